"""How much masks of different frames overlap in the scene: 4D IoU over the Gaussians that both frames see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# Overlaps below this are left out: they decide nothing and would fill the matrix.
NEGLIGIBLE = 0.02
# So are weights below this many pixels: half of all on a real video, which together are half a percent of the masks.
FAINT = 0.1


@dataclass(frozen=True)
class Overlaps:
    """4D overlaps of M masks in F frames.

    Attributes:
        iou: scipy CSR [M, M] float32, symmetric with an empty diagonal.
        seen: [M, F] float32 in [0, 1], the share of a mask that each frame sees.
        frames: [M] int64, the frame of each mask.
    """

    iou: Any
    seen: np.ndarray
    frames: np.ndarray


def mask_overlaps(weights: MaskWeights) -> Overlaps:
    """Compare every mask with every other one that it shares Gaussians with, each at its own time.

    With v_f the weight of a Gaussian in frame f and s_a the share of that weight inside mask a, the overlap of mask a
    of frame f and mask b of frame g is taken over min(v_f, v_g):

        intersection = sum min(v_f, v_g) s_a s_b,    size of a = sum min(v_f, v_g) s_a,

    so that what only one of the frames sees, behind an occluder or outside its picture, says nothing against a pair.

    Args:
        weights: the uplifted masks.
    """
    order = np.argsort(weights.frame_of_mask, kind="stable")
    frames = np.asarray(weights.frame_of_mask, dtype=np.int64)[order]
    inside: Any = weights.inside[order]
    inside.data[inside.data < FAINT] = 0
    inside.eliminate_zeros()
    visibility: Any = weights.visibility
    masks, count = len(frames), visibility.shape[0]
    starts = np.searchsorted(frames, np.arange(count + 1))

    own = _visibility_at(inside, visibility, starts)
    share = inside.copy()
    share.data = np.minimum(np.divide(inside.data, own, out=np.zeros_like(own), where=own > 0), 1)
    mass = np.asarray(inside.sum(axis=1)).ravel()

    both = np.zeros((masks, count), np.float32)
    intersections = []
    for frame in range(count):
        dense = visibility[[frame]].toarray().ravel()
        weighted = share.copy()
        weighted.data *= np.minimum(own, dense[share.indices])
        both[:, frame] = np.asarray(weighted.sum(axis=1)).ravel()
        here = share[starts[frame] : starts[frame + 1]]
        intersections.append(weighted[starts[frame] :] @ here.T)  # of the masks of this and of later frames with these

    rows, columns, values = [], [], []
    for frame, part in enumerate(intersections):
        part = part.tocoo()
        row, column = part.col + starts[frame], part.row + starts[frame]
        union = both[row, frames[column]] + both[column, frame] - part.data
        iou = part.data / np.maximum(union, 1e-12)
        keep = (iou >= NEGLIGIBLE) & (row < column)
        rows.append(row[keep])
        columns.append(column[keep])
        values.append(iou[keep])
    upper = sparse.coo_matrix(
        (np.concatenate(values), (order[np.concatenate(rows)], order[np.concatenate(columns)])), shape=(masks, masks)
    )
    seen = np.empty_like(both)
    seen[order] = both / np.maximum(mass, 1e-12)[:, None]
    return Overlaps((upper + upper.T).tocsr().astype(np.float32), np.minimum(seen, 1), weights.frame_of_mask)


def _visibility_at(inside: Any, visibility: Any, starts: np.ndarray) -> np.ndarray:
    """Return for each entry of `inside` the weight of its Gaussian in the frame of its mask."""
    own = np.zeros_like(inside.data)
    for frame in range(len(starts) - 1):
        entries = slice(inside.indptr[starts[frame]], inside.indptr[starts[frame + 1]])
        own[entries] = visibility[[frame]].toarray().ravel()[inside.indices[entries]]
    return own
