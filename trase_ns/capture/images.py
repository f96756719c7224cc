"""Images of frames: sizes without decoding, pixels with clear errors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from trase_ns.capture.frame import Frame
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# Pillow raises its own errors for broken headers, SyntaxError for broken PNG chunks, and one for decompression bombs.
IMAGE_ERRORS = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def image_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of the image at `path`, from its header alone.

    Raises:
        UserError: the file is missing or is not an image.
    """
    if not path.is_file():
        raise UserError(f"image {path} is missing: put it there or remove its frame from the data set.")
    try:
        with Image.open(path) as image:
            return image.size
    except IMAGE_ERRORS as error:
        raise UserError(f"image {path} cannot be read ({error}): replace it or remove its frame.") from error


def load_image(frame: Frame) -> np.ndarray:
    """Return the pixels of a frame, [H, W, 3] or, where the file has transparency, [H, W, 4], uint8 sRGB.

    Raises:
        UserError: the file is missing, truncated or not an image, or its size is not the frame's.
    """
    size = image_size(frame.image_path)
    if size != (frame.width, frame.height):
        raise UserError(
            f"image {frame.image_path} is {size[0]} x {size[1]} pixels, but its camera is for "
            f"{frame.width} x {frame.height}: restore the image or correct the intrinsics of the frame."
        )
    try:
        with Image.open(frame.image_path) as image:
            image.load()
            if image.mode.startswith("I"):  # 16 bits a pixel
                image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))
            transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if transparent else "RGB"))
    except IMAGE_ERRORS as error:
        raise UserError(
            f"image {frame.image_path} cannot be read ({error}): it may be truncated; replace it or remove its frame."
        ) from error


def read_picture(path: Path) -> Tensor:
    """Read any picture file as RGB, [H, W, 3] float32 in [0, 1]; transparency becomes black.

    Raises:
        UserError: there is no such file, or it is no picture that can be read.
    """
    import torch

    path = Path(path)
    if not os.path.isfile(path):  # unlike Path.is_file whatever the name
        raise UserError(f"there is no picture {path}. Name a PNG or JPEG file.")
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)  # as phones note how they were held
            rgba = np.asarray(upright.convert("RGBA"), dtype=np.float32) / 255
    except IMAGE_ERRORS as error:
        raise UserError(f"{path} cannot be read as a picture ({error}). Name a PNG or JPEG file.") from error
    return torch.from_numpy(rgba[..., :3] * rgba[..., 3:])
