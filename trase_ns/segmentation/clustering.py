"""Objects from trained features: clusters of masks or of Gaussians, and every Gaussian to the nearest centre."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# scikit-learn's HDBSCAN and DBSCAN take minutes and gigabytes beyond some ten thousand points of 32 numbers.
SAMPLE = 10_000


def cluster_gaussians(
    features: Tensor,
    method: str = "hdbscan",
    min_cluster_size: int = 10,
    epsilon: float | None = None,
    seed: int = 0,
) -> Tensor:
    """Cluster a sample of the Gaussians' features and give every Gaussian to the nearest centre (TRASE section 3.4).

    The paper says DBSCAN, its program runs HDBSCAN with `min_cluster_size` 10 and `epsilon` 0.01 on a sample of 2 %;
    here the sample is SAMPLE Gaussians. Noise belongs to no cluster and makes none; its Gaussians go to the nearest
    centre with all others.

    Args:
        features: [N, F], of any length; they are normalised.
        method: "hdbscan" or "dbscan".
        min_cluster_size: least size of a cluster, for DBSCAN the neighbours of a core point.
        epsilon: distance of normalised features below which HDBSCAN splits no further (default 0.01) or in which
            DBSCAN looks for neighbours (default 0.2).
        seed: of the sample.

    Returns:
        [N] int64 cluster of each Gaussian, -1 for all where there is no cluster.
    """
    features = normalize(features.detach().float().cpu(), dim=1)
    generator = torch.Generator().manual_seed(seed)
    sample = features[torch.randperm(len(features), generator=generator)[:SAMPLE]]
    return nearest_centre(features, _centres(sample, _cluster(sample.numpy(), method, min_cluster_size, epsilon)))


def cluster_masks(
    features: Tensor,
    weights: MaskWeights,
    min_cluster_size: int | None = None,
    epsilon: float = 0.2,
    seed: int = 0,
) -> Tensor:
    """Cluster the mean rendered feature of every mask of every frame, and give Gaussians to the nearest centre.

    Far steadier than clusters of Gaussians: masks are fewer, each is one object, and large objects count no more than
    small ones. The rendered feature of a pixel is the sum of blending weight times feature, so that its mean over a
    mask is the uplifted mask times the features (Click-Gaussian's global candidates).

    Args:
        features: [N, F], of any length; they are normalised.
        weights: the uplifted masks.
        min_cluster_size: least number of masks of a cluster; by default a twelfth of the frames, from 3 to 30.
        epsilon: distance of normalised features below which clusters are not split: rendered features of masks are
            means, which lie closer together than those of Gaussians.
        seed: of the sample where there are more than SAMPLE masks.

    Returns:
        [N] int64 cluster of each Gaussian, -1 for all where there is no cluster.
    """
    features = normalize(features.detach().float().cpu(), dim=1)
    means = torch.from_numpy(np.asarray(weights.inside @ features.numpy())).float()
    means = normalize(means[means.norm(dim=1) > 0], dim=1)
    generator = torch.Generator().manual_seed(seed)
    sample = means[torch.randperm(len(means), generator=generator)[:SAMPLE]]
    if min_cluster_size is None:
        frames = len(np.unique(weights.frame_of_mask)) * len(sample) / max(len(means), 1)
        min_cluster_size = min(max(math.ceil(frames / 12), 3), 30)
    return nearest_centre(features, _centres(sample, _cluster(sample.numpy(), "hdbscan", min_cluster_size, epsilon)))


def nearest_centre(features: Tensor, centres: Tensor, chunk: int = 65_536) -> Tensor:
    """Return [N] int64, the centre [C, F] with the largest cosine for each normalised feature [N, F]; -1 if C is 0.

    A feature of zero is near no centre: -1.
    """
    labels = torch.full((len(features),), -1, dtype=torch.int64, device=features.device)
    if len(centres):
        for start in range(0, len(features), chunk):
            part = features[start : start + chunk]
            labels[start : start + chunk] = (part @ centres.T).argmax(dim=1).where(part.any(dim=1), -1)
    return labels


def _cluster(points: np.ndarray, method: str, min_cluster_size: int, epsilon: float | None) -> Tensor:
    """Return [n] int64 clusters of normalised points [n, F], -1 for noise."""
    from sklearn.cluster import DBSCAN, HDBSCAN

    if len(points) < max(min_cluster_size, 2):
        return torch.full((len(points),), -1, dtype=torch.int64)
    if method == "dbscan":
        labels = DBSCAN(eps=0.2 if epsilon is None else epsilon, min_samples=min_cluster_size).fit_predict(points)
        return torch.from_numpy(np.asarray(labels, dtype=np.int64))
    size = max(min_cluster_size, 2)
    model = HDBSCAN(min_cluster_size=size, copy=True)  # pyright: ignore[reportArgumentType]  # the stub is wrong
    labels = np.asarray(model.fit_predict(points), dtype=np.int64)
    # Not by `cluster_selection_epsilon`, which raises TypeError with NumPy 2.4: clusters that parted at less than
    # epsilon are the ones that lie in one cluster of the tree cut there.
    whole = np.asarray(model.dbscan_clustering(0.01 if epsilon is None else epsilon, min_cluster_size=size))
    for i in range(int(whole.max()) + 1):
        parts = np.unique(labels[(whole == i) & (labels >= 0)])
        if len(parts) > 1:
            labels[(whole == i) | np.isin(labels, parts)] = parts[0]
    _, labels[labels >= 0] = np.unique(labels[labels >= 0], return_inverse=True)
    return torch.from_numpy(labels)


def _centres(points: Tensor, labels: Tensor) -> Tensor:
    """Return the normalised mean [C, F] of each cluster; noise (-1) has none."""
    inside = labels >= 0
    count = int(labels.max()) + 1 if inside.any() else 0
    sums = points.new_zeros(count, points.shape[1]).index_add_(0, labels[inside], points[inside])
    return normalize(sums, dim=1)
