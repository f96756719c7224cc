"""The feature stage: what a training step costs once the geometry is frozen, F = W S f."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

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
from trase_ns.learning.pixels import sample_pixels
from trase_ns.learning.smoothing import Neighbours
from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians

if TYPE_CHECKING:
    from trase_ns.render import Contributions


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
        automatic = "weights" if scene.device.type == "cuda" else "gaussians"
        self._keeps = automatic if self.config.keep == "auto" else self.config.keep
        budget = self.config.cache_gb
        self._free = int(1e9 * (budget if budget is not None else 2.0 if self._keeps == "weights" else 0.1))
        self._room = self._free > 0
        self._views: dict[Hashable, Contributions] = {}
        self._moments = _Moments(self._free)

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
        return trase_loss(
            self.weights(camera, sample.pixels, view).matmul(smooth),
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

    @torch.no_grad()
    def weights(self, camera: Camera, pixels: Tensor, view: Hashable = None) -> Contributions:
        """Return the blending weights W [P, N] of `pixels` [P, 2] int64 (x, y), kept or computed.

        Where weights are kept, a view is kept whole, if it is named and there is room.
        """
        from trase_ns.render import contributions

        rows = pixels[:, 1] * camera.width + pixels[:, 0]
        if view in self._views:
            kept = self._views[view].rows(rows)
            return replace(kept, indices=kept.indices.long())
        gaussians = self._at(camera.time)
        if self._keeps == "gaussians" or view is None or not self._room:
            return contributions(gaussians, camera, pixels)
        whole = contributions(gaussians, camera)
        packed = replace(whole, indices=whole.indices.int())  # two thirds of the memory
        if self._fits(packed.nbytes):
            self._views[view] = packed
        return whole.rows(rows)

    def _at(self, time: float) -> Gaussians:
        """The Gaussians at a time, kept or computed."""
        kept = self._moments.at(time) if self._keeps == "gaussians" else None
        if kept is not None:
            return kept
        gaussians = self.scene.at(time)
        if self._keeps == "gaussians":
            self._moments.keep(time, gaussians)
        return gaussians

    def _fits(self, nbytes: int) -> bool:
        """Take memory from the budget; once there is too little, nothing more is kept."""
        self._room = nbytes <= self._free
        if self._room:
            self._free -= nbytes
        return self._room


class _Moments:
    """Geometry of the Gaussians at several times, in one piece of memory that fills up and is never moved.

    Single tensors of this size, made between the much larger ones of the steps, would break up the process's memory
    and make it grow by several times their own size.

    Args:
        budget: bytes.
    """

    def __init__(self, budget: int):
        self._budget = budget
        self._places: dict[float, int] = {}
        self._buffer: Tensor | None = None  # [times, 10 N]: means, then quaternions, then scales
        self._first: Gaussians | None = None  # opacities and colours do not change

    def at(self, time: float) -> Gaussians | None:
        """Return the Gaussians at a time, None if they are not kept."""
        if time not in self._places:
            return None
        assert self._buffer is not None and self._first is not None  # noqa: PT018
        count = len(self._first)
        means, quats, scales = self._buffer[self._places[time]].split([3 * count, 4 * count, 3 * count])
        return replace(self._first, means=means.view(-1, 3), quats=quats.view(-1, 4), scales=scales.view(-1, 3))

    def keep(self, time: float, gaussians: Gaussians) -> None:
        """Keep the Gaussians at a time if there is room."""
        geometry = gaussians.means, gaussians.quats, gaussians.scales
        if self._buffer is None:
            width = sum(t.numel() for t in geometry)
            room = self._budget // max(width * gaussians.means.element_size(), 1)
            self._buffer = gaussians.means.new_empty(room, width)  # takes memory only where it is written
            self._first = gaussians
        if len(self._places) < len(self._buffer):
            torch.cat([t.flatten() for t in geometry], out=self._buffer[len(self._places)])
            self._places[time] = len(self._places)
