"""Objects from masks and moving geometry alone: masks of different frames that share their Gaussians are one object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from trase_ns.segmentation.linkage import link_masks
from trase_ns.segmentation.overlaps import mask_overlaps
from trase_ns.segmentation.refine import Lifted, drop_duplicates, lift, refine
from trase_ns.segmentation.tracklets import join_blocks

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights


def objects_from_masks(
    weights: MaskWeights,
    cuts: Sequence[float] = (0.4, 0.6, 0.8),
    min_frames: int | None = None,
    rounds: int = 1,
) -> Lifted:
    """Find the objects, nested ones apart, that the masks of all frames agree on.

    Masks of long videos are joined block by block first (`join_blocks`). Then all are grouped by average linkage on
    their 4D IoU; groups that last for enough frames are lifted into the scene and refined. No one cut of the linkage is
    right for all objects: a low one loses those whose masks vary, a high one merges a part with its whole. So the
    groups of several are taken together, and of those that come out alike the one that the masks support best is kept.
    Nothing is drawn at random.

    Args:
        weights: the uplifted masks.
        cuts: largest mean distances (1 - IoU) within a group.
        min_frames: frames in which an object must have a mask; by default 6, less in videos under 75 frames.
        rounds: how often the objects are refined; at least once.
    """
    frame_of_mask = weights.frame_of_mask
    if min_frames is None:
        count = len(np.unique(frame_of_mask))
        min_frames = min(6, max(math.ceil(0.08 * count), min(count, 2), 1))
    tracklets = join_blocks(weights, min(cuts))
    overlaps, sizes = mask_overlaps(tracklets.weights), tracklets.sizes
    groups = {tuple(group) for cut in cuts for group in _groups(link_masks(overlaps, cut, sizes=sizes))}

    inside: Any = tracklets.weights.inside
    visibility: Any = tracklets.weights.visibility.tocsc()
    members: list[np.ndarray] = []
    for group in sorted(groups):
        index = np.array(group)
        frames = frame_of_mask[np.concatenate([tracklets.masks[i] for i in group])]
        if len(np.unique(frames)) >= min_frames:
            spans = tracklets.weights.frame_of_mask[index]
            members.append(lift(inside[index], spans, sizes[index].astype(float), visibility))
    importance = np.asarray(weights.visibility.sum(axis=0)).ravel()
    lifted = Lifted(members, np.ones(len(members), np.float32))
    for _ in range(max(rounds, 1)):
        lifted = drop_duplicates(refine(weights, lifted.members), importance)
    return lifted


def _groups(labels: np.ndarray) -> list[list[int]]:
    """Return the masks of each group, ascending."""
    order = np.argsort(labels, kind="stable")
    return [part.tolist() for part in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(part)]
