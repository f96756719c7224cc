"""Features rendered in a step that trains the geometry, too."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from torch import Tensor

from trase_ns.learning.distillation import Blending
from trase_ns.render import contributions, render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


class JointWeights:
    """What `ViewWeights` is to a frozen scene, for the Gaussians of one training step; nothing is kept.

    Args:
        gaussians: those that the step renders, at its time.
        shaping: let the gradients of what is rendered reach them, too, as in DGD; whole pictures are rendered then.
    """

    def __init__(self, gaussians: Gaussians, shaping: bool = False):
        self.gaussians = gaussians
        self.shaping = shaping

    def of(self, camera: Camera, pixels: Tensor, view: Hashable = None) -> Blending:
        """Return what blends features at `pixels` [P, 2] int64 (x, y) by its `matmul`: [N, F] to [P, F]."""
        if self.shaping:
            return _Blending(self.gaussians, camera, pixels)
        return contributions(self.gaussians, camera, pixels)


@dataclass(frozen=True)
class _Blending:
    """Blending by the rasterizer, differentiable in the Gaussians."""

    gaussians: Gaussians
    camera: Camera
    pixels: Tensor

    def matmul(self, values: Tensor) -> Tensor:
        picture = render_view(self.gaussians, self.camera, colors=values).color
        return picture[self.pixels[:, 1], self.pixels[:, 0]]
