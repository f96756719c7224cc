"""Average linkage on a sparse graph in which pairs weigh as much as is known about them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse.csgraph import connected_components

from trase_ns.segmentation.overlaps import Overlaps


def link_masks(overlaps: Overlaps, cut: float, prior: float = 0.05, sizes: np.ndarray | None = None) -> np.ndarray:
    """Group masks so that the mean IoU between groups that could still be joined is below 1 - `cut`.

    The mean is weighted by what is known of each pair: the geometric mean of the shares of the two masks that the
    other's frame sees. Masks of the front and of the back of an object share nothing, which speaks against them only
    as far as each could have been seen from the other's place.

    Args:
        overlaps: IoU of M masks and the shares that frames see of them.
        cut: largest distance (1 - mean IoU) at which groups are joined.
        prior: weight of an IoU of 0 beside what is known of two groups, so that a glimpse joins nothing.
        sizes: [M], how many masks each stands for; one by default.

    Returns:
        [M] int64, the number of each mask's group, from 0.
    """
    # A mean reaches a threshold only if one of its pairs does: groups never leave a component of strong pairs.
    strong = overlaps.iou.copy()
    strong.data = (strong.data >= 1 - cut).astype(np.float32)
    strong.eliminate_zeros()
    _, component = connected_components(strong, directed=False)

    groups = np.arange(len(component))
    order = np.argsort(component, kind="stable")
    bounds = np.flatnonzero(np.diff(component[order], prepend=-1, append=-1))
    for start, end in zip(bounds[:-1], bounds[1:]):
        index = order[start:end]
        if len(index) > 1:
            known = overlaps.seen[index][:, overlaps.frames[index]]
            known = np.sqrt(known * known.T)
            if sizes is not None:
                known *= np.outer(sizes[index], sizes[index]).astype(np.float32)
            groups[index] = index[_merge(overlaps.iou[index][:, index].toarray() * known, known, prior, 1 - cut)]
    return np.unique(groups, return_inverse=True)[1]


def _merge(similarity: np.ndarray, weight: np.ndarray, prior: float, threshold: float) -> np.ndarray:
    """Join the closest two clusters until none are closer than `threshold`; return [n] a member of each's cluster.

    Args:
        similarity: [n, n] sums of weighted similarities between clusters, changed in place.
        weight: [n, n] sums of their weights, changed in place.
        prior: weight of a similarity of 0 beside them.
        threshold: least mean similarity to join.
    """
    n = len(similarity)
    cluster = np.arange(n)
    mean: Any = similarity / np.maximum(weight + prior, 1e-12)
    np.fill_diagonal(mean, -1)
    best = mean.argmax(axis=1)
    value = mean[np.arange(n), best]
    while True:
        i = int(value.argmax())
        if value[i] < threshold:
            return cluster
        j = int(best[i])
        cluster[cluster == j] = i
        for sums in (similarity, weight):
            sums[i] += sums[j]
            sums[:, i] += sums[:, j]
        gone = mean[i] < 0  # itself, and those that were joined before
        mean[i] = np.where(gone, -1, similarity[i] / np.maximum(weight[i] + prior, 1e-12))
        mean[:, i] = mean[i]
        mean[j] = mean[:, j] = -1
        # A row that has come closer to i need not know: the row of i does.
        stale = np.union1d(np.flatnonzero((best == i) | (best == j)), [i, j])
        best[stale] = mean[stale].argmax(axis=1)
        value[stale] = mean[stale, best[stale]]
