"""Objects from masks: gather the masks that show an object, and lift them into the scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# A mask counts as part of an object if this share of it is seen to lie in it.
INSIDE = 0.7
# A frame sees an object if it sees this share of the most that any frame sees of it.
SEEN = 0.1


@dataclass(frozen=True)
class Lifted:
    """Objects lifted from masks.

    Attributes:
        members: for each object the ascending int64 indices of its Gaussians.
        support: [O] float32 in [0, 1]; see `Segmentation.support`.
    """

    members: list[np.ndarray]
    support: np.ndarray

    @staticmethod
    def from_labels(labels: np.ndarray) -> Lifted:
        """Return the classes of `labels` (int64 [N], -1 for none) that have Gaussians, each with support 1."""
        members = [np.flatnonzero(labels == i) for i in np.unique(labels[labels >= 0])]
        return Lifted(members, np.ones(len(members), np.float32))


def lift(inside: Any, frames: np.ndarray, confidence: np.ndarray, visibility: Any) -> np.ndarray:
    """Return the Gaussians (ascending int64) that fit the masks of one object best.

    The share of a Gaussian's weight that lies in the masks is f = D^-1 W^T F of LUDVIG for a mask as the feature,
    summed over frames at their own times. Those with the largest shares are taken, as many as give the largest IoU of
    their weights with the masks. A Gaussian with share s raises an IoU of J if s > J / (1 + J), so that this is the
    threshold: nearly a half where the masks agree, less where Gaussians reach over the border of a small object.

    Args:
        inside: scipy CSR [K, N], weight of each Gaussian inside each mask.
        frames: [K] int64, frame of each mask.
        confidence: [K], how much each mask counts.
        visibility: scipy CSC [F, N], weight of each Gaussian in each frame.
    """
    entries = inside.data * np.repeat(confidence, np.diff(inside.indptr))
    covered = np.bincount(inside.indices, entries, inside.shape[1])
    touched = np.flatnonzero(np.bincount(inside.indices, minlength=inside.shape[1]))
    covered = covered[touched]
    total = visibility[:, touched].T @ np.bincount(frames, confidence, visibility.shape[0])
    total = np.maximum(total, covered)
    order = np.argsort(-covered / total, kind="stable")
    common = np.cumsum(covered[order])
    union = covered.sum() + np.cumsum((total - covered)[order])
    count = int(np.argmax(common / union)) + 1 if len(order) else 0
    return np.sort(touched[order[:count]])


def refine(
    weights: MaskWeights,
    members: list[np.ndarray],
    min_iou: float = 0.5,
) -> Lifted:
    """Sharpen objects: in every frame find the mask that shows the object, and lift all these masks anew.

    In each frame it is the mask with the largest IoU with what is seen of the object, or the union of the masks that
    lie inside it if that fits better; frames without a good one are left out. So masks that are missing, merged or
    ragged in some frames are outvoted by the others.

    Args:
        weights: the uplifted masks.
        members: for each object the int64 indices of its Gaussians.
        min_iou: least IoU of a mask with the object.
    """
    inside: Any = weights.inside
    visibility: Any = weights.visibility
    mass = np.asarray(inside.sum(axis=1)).ravel()
    chosen = _members_matrix(members, inside.shape[1])
    visible = (visibility @ chosen.T).toarray()
    visibility = visibility.tocsc()
    common: Any = sparse.csc_matrix(inside @ chosen.T)

    lifted, support = [], np.zeros(len(members), np.float32)
    for i in range(len(members)):
        entries = slice(common.indptr[i], common.indptr[i + 1])
        masks, overlap = common.indices[entries], common.data[entries]
        shown = _best_masks(
            inside, masks, overlap, mass[masks], weights.frame_of_mask[masks], visible[:, i], members[i], min_iou
        )
        seen = visible[:, i] >= SEEN * max(visible[:, i].max(initial=0), 1e-12)
        support[i] = shown.quality[seen].mean() if seen.any() else 0
        confidence = shown.quality[shown.frames]
        lifted.append(lift(shown.weights, shown.frames, confidence, visibility))
    return Lifted(lifted, support)


def drop_duplicates(lifted: Lifted, importance: np.ndarray, largest_iou: float = 0.8) -> Lifted:
    """Keep of objects that are nearly the same (IoU over `importance`, [N]) the one with the best support."""
    count = len(lifted.members)
    chosen = _members_matrix(lifted.members, len(importance))
    common = (chosen.multiply(importance[None]).tocsr() @ chosen.T).tocoo()
    size = np.array([importance[m].sum() for m in lifted.members])
    iou = common.data / np.maximum(size[common.row] + size[common.col] - common.data, 1e-12)
    twins: list[list[int]] = [[] for _ in range(count)]
    for row, column in zip(common.row[iou > largest_iou], common.col[iou > largest_iou]):
        twins[row].append(int(column))
    kept: list[int] = []
    for i in np.lexsort((np.arange(count), -lifted.support)).tolist():
        if len(lifted.members[i]) and not any(twin in kept for twin in twins[i]):
            kept.append(i)
    kept.sort()
    return Lifted([lifted.members[i] for i in kept], lifted.support[kept])


@dataclass(frozen=True)
class _Shown:
    """Where an object shows: the frames with a mask, or a union of masks, that is good enough, their weights and the
    IoU in all frames."""

    frames: np.ndarray
    weights: Any
    quality: np.ndarray


def _best_masks(
    inside: Any,
    masks: np.ndarray,
    overlap: np.ndarray,
    mass: np.ndarray,
    frames: np.ndarray,
    visible: np.ndarray,
    members: np.ndarray,
    min_iou: float,
) -> _Shown:
    """Find for each frame the mask or union that shows the object best.

    Args:
        inside: [M, N], all masks.
        masks: [K], those that show anything of the object.
        overlap, mass, frames: [K], of these the weight on the object, the whole weight, and the frame.
        visible: [F], what each frame sees of the object.
        members: the Gaussians of the object.
        min_iou: least IoU that is good enough.
    """
    iou = overlap / np.maximum(mass + visible[frames] - overlap, 1e-12)
    order = np.lexsort((np.arange(len(masks)), -iou, frames))
    first = order[np.flatnonzero(np.diff(frames[order], prepend=-1))]  # the best mask of each frame
    quality, best = np.zeros(len(visible), np.float32), np.full(len(visible), -1)
    quality[frames[first]], best[frames[first]] = iou[first], masks[first]

    # The masks may overlap each other: together they cover no more than their sum, which bounds the union's IoU.
    part = overlap >= INSIDE * mass
    count = np.bincount(frames[part], minlength=len(visible))
    bound = np.minimum(np.bincount(frames[part], overlap[part], len(visible)), visible) / np.maximum(visible, 1e-12)
    unions: dict[int, Any] = {}
    own = np.zeros(inside.shape[1], np.bool_)
    own[members] = True
    for frame in np.flatnonzero((count > 1) & (bound > np.maximum(quality, min_iou))).tolist():
        union = _union(inside[masks[part & (frames == frame)]])
        covered = float(union.data[own[union.indices]].sum())
        value = covered / max(float(union.sum()) + visible[frame] - covered, 1e-12)
        if value > quality[frame]:
            unions[frame], quality[frame] = union, value
    good = np.flatnonzero((quality >= min_iou) & (best >= 0))
    single = np.array([frame not in unions for frame in good.tolist()], np.bool_)
    weights = sparse.vstack([inside[best[good[single]]], *(unions[frame] for frame in good[~single])], format="csr")
    return _Shown(np.concatenate([good[single], good[~single]]), weights, quality)


def _union(masks: Any) -> Any:
    """Return scipy CSR [1, N], the largest weight in each column of CSR [K, N]."""
    columns, place = np.unique(masks.indices, return_inverse=True)
    weights = np.zeros(len(columns), masks.dtype)
    np.maximum.at(weights, place, masks.data)
    return sparse.csr_matrix((weights, columns, [0, len(columns)]), shape=(1, masks.shape[1]))


def _members_matrix(members: list[np.ndarray], gaussians: int) -> Any:
    """Return scipy CSR [O, N] float32 of ones for the members of each object."""
    indices = np.concatenate([*members, np.zeros(0, np.int64)]).astype(np.int64)
    indptr = np.cumsum([0, *(len(m) for m in members)])
    return sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=(len(members), gaussians))
