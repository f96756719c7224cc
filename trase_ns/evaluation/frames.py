"""Pictures, masks and clicks of a frame as the pinhole camera of the scene sees them: without lens distortion."""

from __future__ import annotations

import numpy as np

from trase_ns.capture.frame import Frame
from trase_ns.capture.images import load_image
from trase_ns.capture.undistort import is_distorted, undistort, undistort_point


def pinhole_picture(frame: Frame, width: int, height: int) -> np.ndarray:
    """Return the picture of `frame`, undistorted, on black, at `width` x `height`: uint8 [H, W, 3].

    Raises:
        UserError: the picture is missing, truncated or of another size than the frame says.
    """
    from PIL import Image

    image = undistort(load_image(frame), frame)
    if image.shape[2] == 4:
        image = (image[..., :3] * (image[..., 3:] / 255.0)).round().astype(np.uint8)
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def pinhole_mask(mask: np.ndarray, frame: Frame) -> np.ndarray:
    """Return a mask that was drawn on the picture of `frame`, undistorted: bool [H, W] of any size to the same."""
    from PIL import Image

    if not is_distorted(frame):
        return mask
    nearest = Image.Resampling.NEAREST
    full = Image.fromarray(mask.astype(np.uint8)).resize((frame.width, frame.height), nearest)
    straight = Image.fromarray(undistort(np.asarray(full), frame, nearest=True))
    return np.asarray(straight.resize((mask.shape[1], mask.shape[0]), nearest)) > 0


def pinhole_point(x: float, y: float, frame: Frame) -> tuple[float, float]:
    """Return where a point of the picture of `frame` is in the undistorted one; fractions of width and height.

    Points that undistortion moves out of the picture come to its border, and the far border to the last pixel.
    """
    x, y = undistort_point(x * frame.width, y * frame.height, frame)
    return (
        min(max(x, 0.0), frame.width - 0.5) / frame.width,
        min(max(y, 0.0), frame.height - 0.5) / frame.height,
    )
