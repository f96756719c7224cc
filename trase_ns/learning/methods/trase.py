"""TRASE's objective, and its ablation that carries masks from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trase_ns.learning.features import FeatureStage, FeatureStageConfig
from trase_ns.learning.methods.training import View, random_directions
from trase_ns.learning.pixels import sample_pixels
from trase_ns.learning.smoothing import Neighbours
from trase_ns.learning.view_weights import ViewWeights
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians

DIMENSIONS = 32


class TraseObjective:
    """Equation 8 of TRASE, and with `following` its section 5 on multi-frame supervision.

    There the masks of a frame are carried on to the next moment by the motion of the Gaussians, and the objective is
    taken at the pixels that they arrive at, too; the loss is the mean of both. The paper renders the motion of the
    Gaussians as optical flow; here it is blended at the sampled pixels alone, which is the same flow.

    Args:
        scene: the frozen scene.
        config: sizes and thresholds.
        following: for each view the camera of the next moment, or None at the end; see `following_cameras`.
    """

    learning_rate = 0.0025

    def __init__(
        self,
        scene: DynamicGaussians,
        config: FeatureStageConfig,
        following: Sequence[Camera | None] | None = None,
    ):
        self.stage = FeatureStage(scene, Neighbours(scene.means), config)
        self.following = following

    def start(self, generator: torch.Generator) -> Tensor:
        """Return random directions of 32 numbers."""
        scene = self.stage.scene
        return random_directions(len(scene), DIMENSIONS, generator, scene.device)

    def loss(self, features: Tensor, view: View, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the terms "positive", "negative" and "norm"."""
        assert view.masks is not None
        stage, config, camera = self.stage, self.stage.config, view.camera
        after = self.following[view.index] if self.following is not None else None
        if after is None:
            return stage.loss(features, camera, view.masks, view.index, generator=generator)
        sample = sample_pixels(
            view.masks, camera.width, camera.height, config.pixels, config.masks, generator, features.device
        )
        smooth = stage.neighbours.mean(features, config.neighbours, generator)
        terms = stage.terms(smooth, camera, sample, view.index)
        pixels, inside = carry(stage.weights, sample.pixels, camera, after, view.index)
        carried = replace(
            sample,
            pixels=pixels[inside],
            mask_vectors=sample.mask_vectors[inside],
            paired=sample.paired[inside],
        )
        if not inside.any():
            return terms
        later = stage.terms(smooth, after, carried)
        return {name: (terms[name] + later[name]) / 2 for name in terms}


def following_cameras(cameras: Sequence[Camera]) -> list[Camera | None]:
    """Return for each camera the nearest one in space of the next moment, None for those of the last."""
    times = sorted({camera.time for camera in cameras})
    at = {time: [camera for camera in cameras if camera.time == time] for time in times}
    following: list[Camera | None] = []
    for camera in cameras:
        later = times[times.index(camera.time) + 1 :]
        here = camera.position
        found = min(at[later[0]], key=lambda c: float((c.position - here).norm())) if later else None
        following.append(found)
    return following


@torch.no_grad()
def carry(
    weights: ViewWeights, pixels: Tensor, camera: Camera, after: Camera, view: int | None = None
) -> tuple[Tensor, Tensor]:
    """Move pixels along with the Gaussians that they show, from one camera and time to another.

    Args:
        weights: those of the scene.
        pixels: [P, 2] int64 (x, y) of `camera`.
        camera, after: cameras of the two moments.
        view: name of the view of `camera`, see `ViewWeights.of`.

    Returns:
        [P, 2] int64 pixels of `after`, and [P] bool which of them lie inside its picture; a pixel that shows nothing,
        or Gaussians behind `after`, has none.
    """
    blending = weights.of(camera, pixels, view)
    before, depth = _projected(weights.at(camera.time).means, camera)
    there, depth_there = _projected(weights.at(after.time).means, after)
    moved = there - before
    usable = (depth > 0) & (depth_there > 0)
    total = blending.matmul(usable[:, None].to(moved))
    flow = blending.matmul(moved * usable[:, None]) / total.clamp_min(1e-6)
    place = (pixels + 0.5 + flow).floor()
    limit = place.new_tensor([after.width, after.height])
    inside = ((place >= 0) & (place < limit)).all(dim=1) & (total[:, 0] > 0.5)
    return place.where(inside[:, None], 0.0).long(), inside


def _projected(means: Tensor, camera: Camera) -> tuple[Tensor, Tensor]:
    """Pixel coordinates [N, 2] and depths [N] of points [N, 3]."""
    camera = camera.to(means.device)
    seen = means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    depth = seen[:, 2]
    front = seen / depth.where(depth > 1e-6, 1.0)[:, None]
    return front[:, :2] * camera.K.diagonal()[:2] + camera.K[:2, 2], depth.where(depth > 1e-6, 0.0)
