"""The feature stage: what a training step costs once the geometry is frozen, F = W S f."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trase_ns.learning.contrastive import (
    NEGATIVE_THRESHOLD,
    POSITIVE_THRESHOLD,
    Mining,
    Normalisation,
    SharedOnlyLarge,
    trase_loss,
)
from trase_ns.learning.pixels import PixelSample, sample_pixels
from trase_ns.learning.smoothing import Neighbours
from trase_ns.learning.view_weights import ViewWeights
from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians


@dataclass
class FeatureStageConfig:
    """How features are learned; the defaults are the paper's."""

    pixels: int = 5000
    """Pixels drawn from a frame in a step (N_p)."""
    masks: int | None = None
    """Masks drawn from a frame in a step whose pixels form pairs (25 or 50 in the paper's runs); None: all."""
    neighbours: int | None = 8
    """Neighbours drawn in a step for the smooth feature; None: all."""
    positive_threshold: float = POSITIVE_THRESHOLD
    """tau_p: positive pairs below this cosine are still to learn."""
    negative_threshold: float = NEGATIVE_THRESHOLD
    """tau_n: negative pairs above this cosine are still to learn."""
    mining: Mining = "soft"
    """Which pairs count: soft (the paper), hard, or none (all pairs)."""
    shared_only_large: SharedOnlyLarge = "positive"
    """What two pixels are that share only masks larger than their finest: positive (the paper), ignore, or negative."""
    normalisation: Normalisation = "pairs"
    """What divides the losses: all pairs (the paper) or the mined ones (the authors' program)."""
    norm_weight: float = 1.0
    """Weight of the term that keeps rendered features at length one."""
    keep: Literal["auto", "weights", "gaussians"] = "auto"
    """What is kept of the views: their blending weights, or only the Gaussians at their times, a thirtieth of the
    memory, from which the weights of the drawn pixels follow in some milliseconds. auto: weights on a GPU, Gaussians
    on a CPU."""
    cache_gb: float | None = None
    """Memory for what is kept; the rest is computed anew in each step. None: 2 for weights, 0.1 for Gaussians."""


class FeatureStage:
    """The TRASE objective of a frozen scene as a function of the features alone.

    With the geometry frozen, a rendered feature map is F = W S f: S averages each Gaussian's neighbours, W holds the
    blending weights of a view at its time. W of a view, or the Gaussians at a time, are kept as long as the budget
    lasts.

    Args:
        scene: the Gaussians and their deformation; its features are not read.
        neighbours: S, made from the canonical means of `scene`.
        config: sizes, thresholds, and what is kept.
    """

    def __init__(self, scene: DynamicGaussians, neighbours: Neighbours, config: FeatureStageConfig | None = None):
        self.scene = scene.detach()
        self.neighbours = neighbours
        self.config = config or FeatureStageConfig()
        self.weights = ViewWeights(self.scene, self.config.keep, self.config.cache_gb)

    def loss(
        self,
        features: Tensor,
        camera: Camera,
        masks: MaskSet,
        view: Hashable = None,
        *,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return the terms of equation 8 at random pixels of a frame; their sum is the loss.

        Args:
            features: [N, F] features of the Gaussians; differentiable.
            camera: camera and time of the frame.
            masks: masks of the frame, in any resolution of the same view.
            view: a name under which the blending weights of this camera may be kept; None: never.
            generator: source of all draws, on the CPU.
        """
        config = self.config
        sample = sample_pixels(
            masks, camera.width, camera.height, config.pixels, config.masks, generator, features.device
        )
        smooth = self.neighbours.mean(features, config.neighbours, generator)
        return self.terms(smooth, camera, sample, view)

    def terms(self, smooth: Tensor, camera: Camera, sample: PixelSample, view: Hashable = None) -> dict[str, Tensor]:
        """Return the terms of equation 8 at given pixels.

        Args:
            smooth: [N, F] smooth features, see `Neighbours.mean`; differentiable.
            camera: camera and time of the frame.
            sample: the pixels, and the masks that cover them.
            view: as for `loss`.
        """
        config = self.config
        return trase_loss(
            self.weights.of(camera, sample.pixels, view).matmul(smooth),
            sample.mask_vectors,
            sample.mask_sizes,
            paired=sample.paired,
            positive_threshold=config.positive_threshold,
            negative_threshold=config.negative_threshold,
            mining=config.mining,
            shared_only_large=config.shared_only_large,
            normalisation=config.normalisation,
            norm_weight=config.norm_weight,
        )
