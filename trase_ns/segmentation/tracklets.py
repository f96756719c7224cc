"""Masks of long videos, joined block by block: what the frames of a block agree on is one mask of a shorter video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from trase_ns.segmentation.linkage import link_masks
from trase_ns.segmentation.overlaps import FAINT, mask_overlaps

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# A block has about so many masks: each of them is compared with those of its block alone.
BLOCK = 1200


@dataclass(frozen=True)
class Tracklets:
    """Masks that were joined over spans of a video: masks themselves, of a shorter video whose frames are the spans.

    Attributes:
        weights: K tracklets in S spans. `visibility` is the mean over the frames of a span; of it, `inside` has the
            share that lies in a tracklet's masks in the frames that have one.
        masks: for each tracklet the masks in it, int64.
    """

    weights: MaskWeights
    masks: list[np.ndarray]

    @property
    def sizes(self) -> np.ndarray:
        """[K] int64, the number of masks of each."""
        return np.array([len(masks) for masks in self.masks], np.int64)


def join_blocks(weights: MaskWeights, cut: float, block: int = BLOCK) -> Tracklets:
    """Join masks within blocks of frames, then the tracklets within blocks of spans, until they are one block.

    The cost grows with the number of masks, not with its square. Average linkage joins what is closest first, whatever
    the cut: what the strictest cut joins is where all others begin. Of a block at most half as many tracklets go on,
    those of the most masks, then those most like another one: what is like nothing else in its block is no object.

    Args:
        weights: the uplifted masks. If they are no more than a block, each is a tracklet of its own.
        cut: largest mean distance (1 - IoU) within a tracklet.
        block: how many masks to compare with each other.
    """
    level = Tracklets(weights, [np.array([i]) for i in range(len(weights.frame_of_mask))])
    while len(level.masks) > block and _frames(level.weights) > 1:
        most = max(block // 2, int(np.bincount(level.weights.frame_of_mask).max()))
        level = _in_a_row([_joined(level, span, cut, most) for span in _spans(level.weights, block)])
    return level


def _frames(weights: MaskWeights) -> int:
    visibility: Any = weights.visibility
    return visibility.shape[0]


def _spans(weights: MaskWeights, block: int) -> list[np.ndarray]:
    """Divide the frames into spans with about `block` masks each, but of two frames or more."""
    count = _frames(weights)
    spans = min(math.ceil(len(weights.frame_of_mask) / block), count // 2)
    masks = np.cumsum(np.bincount(weights.frame_of_mask, minlength=count))
    ends = np.searchsorted(masks, masks[-1] * np.arange(1, spans) / spans) + 1
    return [span for span in np.split(np.arange(count), ends) if len(span)]


def _joined(level: Tracklets, span: np.ndarray, cut: float, most: int) -> Tracklets:
    """Return what the masks in the frames `span` are joined to, `most` of it, as masks of a single frame."""
    from trase_ns.learning.uplift import MaskWeights

    rows = np.flatnonzero(np.isin(level.weights.frame_of_mask, span))
    inside: Any = level.weights.inside[rows]
    visibility: Any = level.weights.visibility[span]
    frames, sizes = level.weights.frame_of_mask[rows] - span[0], level.sizes[rows]
    overlaps = mask_overlaps(MaskWeights(inside, visibility, frames))
    labels = link_masks(overlaps, cut, sizes=sizes)

    count = int(labels.max(initial=-1)) + 1
    likeness = np.zeros(count)
    np.maximum.at(likeness, labels, overlaps.iou.max(axis=1).toarray().ravel())
    best = np.lexsort((-likeness, -np.bincount(labels, sizes, count)))[:most]
    masks = [np.concatenate([level.masks[row] for row in rows[labels == group]]) for group in best]
    groups = sparse.csr_matrix((sizes.astype(np.float32), (labels, np.arange(len(rows)))), shape=(count, len(rows)))
    lifted, mean = _together(groups[best], inside, visibility, frames)
    return Tracklets(MaskWeights(lifted, mean, np.zeros(len(best), np.int64)), masks)


def _together(groups: Any, inside: Any, visibility: Any, frames: np.ndarray) -> tuple[Any, Any]:
    """Return groups of masks as masks of a single frame, which sees the mean of what all frames see.

    Of a Gaussian that share is inside which is so in the mean over the group's masks, by what their frames see of it.

    Args:
        groups: scipy CSR [K, M], how much each mask counts in each group.
        inside: scipy CSR [M, N].
        visibility: scipy CSR [F, N].
        frames: [M], the frame of each mask.

    Returns:
        scipy CSR [K, N] and [1, N].
    """
    covered = (groups @ inside).tocoo()
    counts = np.stack(
        [np.asarray(groups[:, frames == frame].sum(axis=1)).ravel() for frame in range(visibility.shape[0])]
    )
    seen = np.zeros_like(covered.data)
    mean = np.zeros(inside.shape[1], np.float32)
    for frame, count in enumerate(counts):
        dense = visibility[[frame]].toarray().ravel()
        seen += count[covered.row] * dense[covered.col]
        mean += dense / len(counts)
    covered.data *= mean[covered.col] / np.maximum(seen, covered.data)
    lifted = covered.tocsr()
    lifted.data[lifted.data < FAINT] = 0
    lifted.eliminate_zeros()
    return lifted, sparse.csr_matrix(mean[None])


def _in_a_row(spans: list[Tracklets]) -> Tracklets:
    """Return the tracklets of spans that follow each other."""
    from trase_ns.learning.uplift import MaskWeights

    inside: Any = sparse.vstack([span.weights.inside for span in spans], format="csr")
    visibility: Any = sparse.vstack([span.weights.visibility for span in spans], format="csr")
    span_of = np.repeat(np.arange(len(spans)), [len(span.masks) for span in spans])
    return Tracklets(MaskWeights(inside, visibility, span_of), [masks for span in spans for masks in span.masks])
