"""Objects from masks and moving geometry alone: masks of different frames that share their Gaussians are one object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trase_ns.segmentation.linkage import link_masks
from trase_ns.segmentation.overlaps import mask_overlaps
from trase_ns.segmentation.refine import Lifted, drop_duplicates, lift, refine

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# Linking keeps square matrices of masks: of long videos evenly spaced frames are linked, and all are lifted.
MOST_LINKED = 6000


def objects_from_masks(
    weights: MaskWeights,
    cuts: Sequence[float] = (0.4, 0.6, 0.8),
    min_frames: int | None = None,
    rounds: int = 1,
) -> Lifted:
    """Find the objects, nested ones apart, that the masks of all frames agree on.

    Masks are grouped by average linkage on their 4D IoU; groups that last for enough frames are lifted into the scene
    and refined. No one cut of the linkage is right for all objects: a low one loses those whose masks vary, a high one
    merges a part with its whole. So the groups of several are taken together, and of those that come out alike the one
    that the masks support best is kept. Nothing is drawn at random.

    Args:
        weights: the uplifted masks.
        cuts: largest mean distances (1 - IoU) within a group.
        min_frames: frames in which an object must have a mask; by default 6, less in videos under 75 frames.
        rounds: how often the objects are refined; at least once.
    """
    linked = _linked(weights)
    inside: Any = linked.inside
    frame_of_mask = linked.frame_of_mask
    if min_frames is None:
        count = len(np.unique(frame_of_mask))
        min_frames = min(6, max(math.ceil(0.08 * count), min(count, 2), 1))
    overlaps = mask_overlaps(linked)
    groups = {tuple(group) for cut in cuts for group in _groups(link_masks(overlaps, cut))}

    visibility = linked.visibility.tocsc()
    members: list[np.ndarray] = []
    for group in sorted(groups):
        index = np.array(group)
        frames = frame_of_mask[index]
        if len(np.unique(frames)) >= min_frames:
            members.append(lift(inside[index], frames, np.ones(len(index)), visibility))
    importance = np.asarray(weights.visibility.sum(axis=0)).ravel()
    lifted = Lifted(members, np.ones(len(members), np.float32))
    for _ in range(max(rounds, 1)):
        lifted = drop_duplicates(refine(weights, lifted.members), importance)
    return lifted


def _groups(labels: np.ndarray) -> list[list[int]]:
    """Return the masks of each group, ascending."""
    order = np.argsort(labels, kind="stable")
    return [part.tolist() for part in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(part)]


def _linked(weights: MaskWeights) -> MaskWeights:
    """Return the masks of evenly spaced frames, as many as MOST_LINKED allows."""
    frames = np.unique(weights.frame_of_mask)
    step = math.ceil(len(weights.frame_of_mask) / MOST_LINKED)
    if step <= 1:
        return weights
    inside: Any = weights.inside
    rows = np.flatnonzero(np.isin(weights.frame_of_mask, frames[::step]))
    return replace(weights, inside=inside[rows], frame_of_mask=weights.frame_of_mask[rows])
