"""Clusters of features and their centres on the sphere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize


def hdbscan(points: np.ndarray, min_cluster_size: int, epsilon: float = 0.01) -> Tensor:
    """Cluster points by HDBSCAN; noise is -1.

    Args:
        points: [n, F] float, normalised features; some ten thousand take minutes and gigabytes.
        min_cluster_size: least size of a cluster, at least 2.
        epsilon: distance below which clusters are not split.

    Returns:
        [n] int64, from 0 on.
    """
    from sklearn.cluster import HDBSCAN

    size = max(min_cluster_size, 2)
    if len(points) < size:
        return torch.full((len(points),), -1, dtype=torch.int64)
    model = HDBSCAN(min_cluster_size=size, copy=True)  # pyright: ignore[reportArgumentType]  # the stub is wrong
    labels = np.asarray(model.fit_predict(points), dtype=np.int64)
    # Not by `cluster_selection_epsilon`, which raises TypeError with NumPy 2.4: clusters that parted at less than
    # epsilon are the ones that lie in one cluster of the tree cut there.
    whole = np.asarray(model.dbscan_clustering(epsilon, min_cluster_size=size))
    for i in range(int(whole.max()) + 1):
        parts = np.unique(labels[(whole == i) & (labels >= 0)])
        if len(parts) > 1:
            labels[(whole == i) | np.isin(labels, parts)] = parts[0]
    _, labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)
    return torch.from_numpy(labels)


def cluster_centres(points: Tensor, labels: Tensor) -> Tensor:
    """Return the normalised mean [C, F] of each cluster of `points` [n, F]; noise (-1 in `labels` [n]) has none."""
    inside = labels >= 0
    count = int(labels.max()) + 1 if inside.any() else 0
    sums = points.new_zeros(count, points.shape[1]).index_add_(0, labels[inside], points[inside])
    return normalize(sums, dim=1)


def nearest_centre(features: Tensor, centres: Tensor, chunk: int = 65_536) -> tuple[Tensor, Tensor]:
    """Find the centre [C, F] with the largest cosine for each normalised feature [N, F].

    Returns:
        [N] int64, the centre, and [N] float32, the cosine; -1 and 0 if C is 0, and for a feature of zero.
    """
    labels = torch.full((len(features),), -1, dtype=torch.int64, device=features.device)
    cosines = features.new_zeros(len(features))
    if len(centres):
        for start in range(0, len(features), chunk):
            part = features[start : start + chunk]
            cosine, label = (part @ centres.T).max(dim=1)
            labels[start : start + chunk] = label.where(part.any(dim=1), -1)
            cosines[start : start + chunk] = cosine
    return labels, cosines


def cosines(features: Tensor, query: Tensor) -> Tensor:
    """Return the cosine [...] of each of `features` [..., F] with `query` [F]; 0 where either is zero."""
    lengths = torch.linalg.vector_norm(features, dim=-1) * torch.linalg.vector_norm(query)
    return features @ query / lengths.clamp_min(torch.finfo(features.dtype).tiny)


def pair_cosines(features: Tensor, rows: Tensor, others: Tensor) -> Tensor:
    """Return the cosines [S, K] of the features of Gaussians and of others; differentiable in `features`.

    Args:
        features: [N, F], of any length.
        rows: [S] int64, the Gaussians.
        others: [S, K] int64, the others of each.
    """
    directions = normalize(features[rows], dim=1)
    return torch.stack([(directions * normalize(features[other], dim=1)).sum(dim=1) for other in others.T], dim=1)
