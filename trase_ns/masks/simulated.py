"""Masks as Segment Anything would give them, from an exact label picture: for scenes with known answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trase_ns.masks.mask_set import MaskSet


@dataclass(frozen=True)
class SimulationConfig:
    """How the simulated masks go wrong.

    Attributes:
        min_area: smaller masks, and specks of a mask, are dropped; pixels.
        missing: probability that an object has no mask of its own in a frame.
        whole: probability that an object of several parts has a mask of the whole.
        part: probability that a part of such an object has a mask of its own.
        patch: probability that an object has another mask of a patch of its surface.
        merged: probability that two objects that touch in the picture have one mask together.
        swallowed: probability that an object that is merged has no mask of its own any more.
        raggedness: standard deviation of the borders' displacement; pixels.
    """

    min_area: int = 50
    missing: float = 0.08
    whole: float = 0.85
    part: float = 0.65
    patch: float = 0.15
    merged: float = 0.06
    swallowed: float = 0.5
    raggedness: float = 0.7


def simulate_masks(
    labels: np.ndarray,
    parents: Mapping[int, int],
    rng: np.random.Generator,
    frame: str = "",
    config: SimulationConfig | None = None,
) -> MaskSet:
    """Return masks of one frame as segment-anything's automatic generator would find them.

    Masks overlap and nest (an object, its parts, patches of it), some objects have none, some neighbours are merged,
    borders are ragged, and the order says nothing about the identity. The score of a mask is its IoU with the exact
    region, give or take a hundredth, as SAM's predicted IoU would be.

    Args:
        labels: [H, W] integers, part id of each pixel; ids that `parents` does not hold get no masks.
        parents: object id of each part id.
        rng: where all chance comes from: the same state gives the same masks.
        frame: name of the frame.
        config: how the masks go wrong.
    """
    config = config or SimulationConfig()
    masks, scores = [], []
    for region in _regions(labels, parents, rng, config):
        mask = _ragged(region, rng, config)
        if mask.any():
            iou = (mask & region).sum() / (mask | region).sum()
            masks.append(mask)
            scores.append(np.clip(iou + rng.normal(0, 0.01), 0, 1))
    order = rng.permutation(len(masks))
    dense = np.array([masks[i] for i in order], dtype=bool).reshape(-1, *labels.shape)
    return MaskSet.from_dense(frame, dense, [scores[i] for i in order])


def _regions(
    labels: np.ndarray, parents: Mapping[int, int], rng: np.random.Generator, config: SimulationConfig
) -> list[np.ndarray]:
    """Exact [H, W] bool regions that become the masks of the frame."""
    visible = [int(part) for part in np.unique(labels) if int(part) in parents]
    owners = sorted({parents[part] for part in visible})
    objects = {owner: np.isin(labels, [part for part in visible if parents[part] == owner]) for owner in owners}
    swallowed = set()
    regions = []
    for i, a in enumerate(owners):
        for b in owners[i + 1 :]:
            if _could_merge(objects[a], objects[b]) and rng.random() < config.merged:
                regions.append(objects[a] | objects[b])
                swallowed |= {owner for owner in (a, b) if rng.random() < config.swallowed}
    for owner in owners:
        if owner in swallowed or rng.random() < config.missing:
            continue
        parts = [part for part in visible if parents[part] == owner]
        if len(parts) == 1 or rng.random() < config.whole:
            regions.append(objects[owner])
        if len(parts) > 1:
            regions += [labels == part for part in parts if rng.random() < config.part]
        if rng.random() < config.patch:
            regions.append(_patch(objects[owner], rng))
    return regions


def _could_merge(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two regions touch and are of similar size: a thing is seldom merged with its surroundings."""
    from scipy.ndimage import binary_dilation

    sizes = sorted([a.sum(), b.sum()])
    return sizes[1] < 3 * sizes[0] and bool((binary_dilation(a) & b).any())


def _patch(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A side of the region, cut off along a random line near its middle."""
    y, x = np.nonzero(region)
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    patch = np.zeros_like(region)
    keep = along > np.quantile(along, rng.uniform(0.3, 0.7))
    patch[y[keep], x[keep]] = True
    return patch


def _ragged(region: np.ndarray, rng: np.random.Generator, config: SimulationConfig) -> np.ndarray:
    """The region with a ragged border and without specks; empty where nothing of it is large enough."""
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    noise = gaussian_filter(rng.standard_normal(region.shape), 2.0)
    # Signed distance to the border, positive inside; half a pixel, as the border lies between pixel centres.
    inside, outside = np.asarray(distance_transform_edt(region)), np.asarray(distance_transform_edt(~region))
    signed = np.where(region, inside - 0.5, 0.5 - outside)
    return _without_specks(signed + config.raggedness * noise / noise.std() > 0, config.min_area)


def _without_specks(mask: np.ndarray, min_area: int) -> np.ndarray:
    """The mask without its connected pieces that are smaller than `min_area`."""
    from scipy.ndimage import label

    pieces = np.zeros(mask.shape, dtype=np.int32)
    label(mask, output=pieces)
    large = np.bincount(pieces.ravel()) >= min_area
    large[0] = False
    return large[pieces]
