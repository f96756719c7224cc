"""A pinhole camera at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at a time.

    Attributes:
        viewmat: [4, 4] float32, world to camera, OpenCV axes (x right, y down, z forward).
        K: [3, 3] float32, intrinsics in pixels; the centre of the first pixel is at (0.5, 0.5).
        width: image width in pixels.
        height: image height in pixels.
        time: moment in [0, 1].
    """

    viewmat: Tensor
    K: Tensor
    width: int
    height: int
    time: float = 0.0

    @staticmethod
    def from_opengl(
        c2w: Tensor, fx: float, fy: float, cx: float, cy: float, width: int, height: int, time: float = 0.0
    ) -> Camera:
        """Make a camera from a camera-to-world matrix in OpenGL axes (x right, y up, z back).

        Args:
            c2w: [3, 4] or [4, 4] rigid transform.
            fx, fy, cx, cy: intrinsics in pixels.
            width, height: image size in pixels.
            time: moment in [0, 1].
        """
        c2w = torch.as_tensor(c2w, dtype=torch.float64)
        rotation = c2w[:3, :3] * c2w.new_tensor([1.0, -1.0, -1.0])
        viewmat = torch.eye(4, dtype=torch.float64, device=c2w.device)
        viewmat[:3, :3] = rotation.T
        viewmat[:3, 3] = -rotation.T @ c2w[:3, 3]
        K = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float32, device=c2w.device)
        return Camera(viewmat.float(), K, int(width), int(height), float(time))

    @property
    def position(self) -> Tensor:
        """[3] position of the camera in the world."""
        return -self.viewmat[:3, :3].T @ self.viewmat[:3, 3]

    def to(self, device: torch.device | str) -> Camera:
        """Return this camera with its matrices on `device`."""
        return replace(self, viewmat=self.viewmat.to(device), K=self.K.to(device))

    def at(self, time: float) -> Camera:
        """Return this camera at another time in [0, 1]."""
        return replace(self, time=float(time))

    def resized(self, width: int, height: int) -> Camera:
        """Return this camera with an image of width x height pixels and the same view."""
        K = self.K.clone()
        K[0] *= width / self.width
        K[1] *= height / self.height
        return replace(self, K=K, width=int(width), height=int(height))

    def scaled(self, factor: float) -> Camera:
        """Return this camera with the image size multiplied by `factor` (rounded, at least one pixel)."""
        return self.resized(max(1, round(self.width * factor)), max(1, round(self.height * factor)))

    def reshaped(self, width: int, height: int) -> Camera:
        """Return this camera with an image of width x height pixels, the same shape of pixels and vertical view.

        The centre of the view keeps its share of the picture; more or less is seen at the sides.
        """
        factor = height / self.height
        K = self.K.clone()
        K[0] *= width / self.width
        K[0, 0] = self.K[0, 0] * factor
        K[1] *= factor
        return replace(self, K=K, width=int(width), height=int(height))
