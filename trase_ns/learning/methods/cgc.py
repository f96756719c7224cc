"""The objective of Contrastive Gaussian Clustering; the geometry learns nothing from it."""

from __future__ import annotations

import torch
from torch import Tensor

from trase_ns.learning.methods.joint import JointWeights
from trase_ns.learning.methods.options import CgcOptions
from trase_ns.learning.methods.training import View, random_directions
from trase_ns.learning.pixels import sample_pixels
from trase_ns.learning.prototype import (
    CLUSTERING_WEIGHT,
    SMALLEST_SEGMENT,
    nearest_and_farthest,
    prototype_loss,
    spatial_loss,
)
from trase_ns.learning.view_weights import ViewWeights
from trase_ns.scene.gaussians import DynamicGaussians


class CgcObjective:
    """CGC's equation 5 without its colours: contrast of segments, and likeness in space.

    The paper trains geometry and features together, segments in every 50th step and space in every 100th; on a frozen
    scene the steps between do nothing, so they are left out.

    Args:
        scene: the frozen scene.
        options: sizes and weights.
        weights: how features are blended; those of the frozen scene by default. In a joint training, too, gradients
            reach the features alone: the paper says that the colour loss is what optimises the geometry.
    """

    def __init__(
        self,
        scene: DynamicGaussians,
        options: CgcOptions | None = None,
        weights: ViewWeights | JointWeights | None = None,
    ):
        self.scene = scene.detach()
        self.options = options or CgcOptions()
        self.learning_rate = self.options.learning_rate
        self.weights = weights or ViewWeights(self.scene)

    def start(self, generator: torch.Generator) -> Tensor:
        """Return random directions."""
        return random_directions(len(self.scene), self.options.dimensions, generator, self.scene.device)

    def loss(self, features: Tensor, view: View, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the terms "prototypes" and, in steps that regularise, "spatial"."""
        assert view.masks is not None
        camera, options = view.camera, self.options
        total = camera.width * camera.height
        count = min(options.pixels or total, total)
        sample = sample_pixels(view.masks, camera.width, camera.height, count, None, generator, features.device)
        contrast = prototype_loss(
            self.weights.of(camera, sample.pixels, view.index).matmul(features),
            sample.mask_vectors,
            share=count / total,
            smallest_segment=options.smallest_segment or min(SMALLEST_SEGMENT, total // 1000),
            temperature=options.temperature,
        )
        terms = {"prototypes": CLUSTERING_WEIGHT * contrast}
        if step % options.spatial_every == 0:
            drawn = torch.randperm(len(features), generator=generator)[: options.spatial_sample].to(features.device)
            near, far = nearest_and_farthest(self.scene.means, drawn)
            terms["spatial"] = spatial_loss(features, drawn, near, far)
        return terms
