"""DGD's objective: feature maps distilled into the Gaussians."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from trase_ns.learning.distillation import distillation_loss, sample_map
from trase_ns.learning.methods.joint import JointWeights
from trase_ns.learning.methods.options import DgdOptions
from trase_ns.learning.methods.training import View
from trase_ns.learning.view_weights import ViewWeights
from trase_ns.scene.gaussians import DynamicGaussians


class DistillationObjective:
    """The feature part of DGD's loss, at random pixels.

    Args:
        scene: the frozen scene.
        load: returns the feature map [h, w, C] of a frame by its name.
        dimensions: C.
        options: sizes.
        weights: how features are blended; those of the frozen scene by default. In a joint training gradients reach
            the geometry through them, as in the paper.
    """

    def __init__(
        self,
        scene: DynamicGaussians,
        load: Callable[[str], Tensor],
        dimensions: int,
        options: DgdOptions | None = None,
        weights: ViewWeights | JointWeights | None = None,
    ):
        self.scene = scene.detach()
        self.load = load
        self.dimensions = dimensions
        self.options = options or DgdOptions()
        self.learning_rate = self.options.learning_rate
        self.weights = weights or ViewWeights(self.scene)

    def start(self, generator: torch.Generator) -> Tensor:
        """Return zeros."""
        return torch.zeros(len(self.scene), self.dimensions, device=self.scene.device)

    def loss(self, features: Tensor, view: View, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the one term "distillation"."""
        camera = view.camera
        total = camera.width * camera.height
        count = min(self.options.pixels, total)
        place = torch.randperm(total, generator=generator)[:count].to(features.device)
        pixels = torch.stack([place % camera.width, place // camera.width], dim=1)
        target = sample_map(self.load(view.frame), pixels, camera.width, camera.height).to(features.device)
        weights = self.weights.of(camera, pixels, view.index)
        return {"distillation": distillation_loss(features, weights, target)}
