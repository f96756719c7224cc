"""The objective of Click-Gaussian on a scene whose geometry is frozen, and its candidates of all views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.granularity import (
    LEVELS,
    Level,
    click_gaussian_loss,
    global_candidates,
    level_features,
    level_maps,
    sample_by_size,
)
from trase_ns.learning.methods.options import ClickOptions
from trase_ns.learning.methods.training import View, random_directions
from trase_ns.learning.smoothing import Neighbours
from trase_ns.learning.uplift import MaskWeights, uplift_masks
from trase_ns.learning.view_weights import ViewWeights
from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians


class ClickObjective:
    """Click-Gaussian's equation 13, guided by the candidates of all views from two thirds of the steps on.

    The mean feature of a segment (equation 6) is the uplifted segment times the features, so that segments are
    uplifted once, and finding candidates anew renders nothing. It is taken over the whole segment. A training that is
    resumed finds them from the features that it goes on with.

    Args:
        scene: the frozen scene.
        views: all views, with masks.
        options: sizes and schedule.
        seed: of the clustering.
    """

    def __init__(
        self, scene: DynamicGaussians, views: Sequence[View], options: ClickOptions | None = None, seed: int = 0
    ):
        self.scene = scene.detach()
        self.views = views
        self.options = options or ClickOptions()
        self.learning_rate = self.options.learning_rate
        self.seed = seed
        self.weights = ViewWeights(self.scene)
        self._neighbours = Neighbours(scene.means, self.options.neighbours + 1).indices[:, 1:]
        self._segments: dict[Level, MaskWeights] = {}
        self._candidates: dict[Level, Tensor] | None = None

    def start(self, generator: torch.Generator) -> Tensor:
        """Return random directions."""
        return random_directions(len(self.scene), self.options.dimensions, generator, self.scene.device)

    def loss(self, features: Tensor, view: View, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the terms of equation 13."""
        assert view.masks is not None
        options, camera = self.options, view.camera
        begin = round(options.guidance_from * options.steps)
        if step >= begin and (self._candidates is None or (step - begin) % options.refresh_every == 0):
            self._candidates = self.candidates(features)
        maps = level_maps(view.masks, camera.width, camera.height)
        pixels = sample_by_size(maps["fine"], options.pixels, generator)
        segments: dict[Level, Tensor] = {
            level: maps[level][pixels[:, 1], pixels[:, 0]].to(features.device) for level in LEVELS
        }
        pixels = pixels.to(features.device)
        rows = torch.randperm(len(features), generator=generator)[: options.spatial_sample].to(features.device)
        rendered = self.weights.of(camera, pixels, view.index).matmul(features)
        return click_gaussian_loss(features, rendered, segments, rows, self._neighbours[rows], self._candidates)

    @torch.no_grad()
    def candidates(self, features: Tensor) -> dict[Level, Tensor]:
        """Return for each level the global feature candidates [C, D_l] of all views, of length one (section 3.4)."""
        if not self._segments:
            for level in LEVELS:
                self._segments[level] = uplift_masks(self.scene, _LevelSegments(self.views, level))
        found: dict[Level, Tensor] = {}
        for level, segments in self._segments.items():
            own = level_features(features.detach(), level)
            sums = torch.from_numpy(np.asarray(segments.inside @ own.cpu().numpy())).to(own)
            views = len(np.unique(segments.frame_of_mask))
            found[level] = global_candidates(normalize(sums, dim=1), views, level, self.seed)
        return found


class _LevelSegments:
    """Cameras and segments of one level of all views, made when their turn comes; with a length."""

    def __init__(self, views: Sequence[View], level: Level):
        self._views = views
        self._level: Level = level

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[tuple[Camera, MaskSet]]:
        for view in (self._views[i] for i in range(len(self))):
            assert view.masks is not None
            labels = level_maps(view.masks, view.camera.width, view.camera.height)[self._level].numpy()
            dense = labels[None] == np.arange(len(view.masks))[:, None, None]
            yield view.camera, MaskSet.from_dense(view.frame, dense)
