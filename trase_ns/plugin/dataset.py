"""Pictures of a capture as Nerfstudio wants them: undistorted, scaled to the cameras, read on demand."""

from __future__ import annotations

import numpy as np
from nerfstudio.data.datasets.base_dataset import InputDataset
from PIL import Image

from trase_ns.capture.frame import Frame
from trase_ns.capture.images import load_image
from trase_ns.capture.undistort import undistort
from trase_ns.scene.camera import Camera


class TraseDataset(InputDataset):
    """Pictures of one split. Nothing is kept in memory."""

    @property
    def frames(self) -> list[Frame]:
        """The frames of the split, in the order of the cameras."""
        return self.metadata["frames"]

    def get_numpy_image(self, image_idx: int) -> np.ndarray:
        """Return picture `image_idx`, undistorted and at the size of its camera, uint8 [H, W, 3 or 4].

        Raises:
            UserError: the file is missing, truncated or of another size than the capture says.
        """
        frame = self.frames[image_idx]
        image: np.ndarray | Image.Image = undistort(load_image(frame), frame)
        size = (int(self.cameras.width[image_idx]), int(self.cameras.height[image_idx]))
        if size != (frame.width, frame.height):
            image = Image.fromarray(image).resize(size, Image.Resampling.BOX)
        return np.array(image)

    def camera(self, index: int) -> Camera:
        """Return camera `index` of the split, in the training world."""
        cameras = self.cameras
        fx, fy, cx, cy = (float(getattr(cameras, name)[index]) for name in ("fx", "fy", "cx", "cy"))
        assert cameras.times is not None
        return Camera.from_opengl(
            cameras.camera_to_worlds[index],
            fx,
            fy,
            cx,
            cy,
            width=int(cameras.width[index]),
            height=int(cameras.height[index]),
            time=float(cameras.times[index]),
        )
