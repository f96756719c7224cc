"""Objects from trained features: clusters of masks or of Gaussians, and every Gaussian to the nearest centre."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.centres import cluster_centres, hdbscan, nearest_centre

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# scikit-learn's HDBSCAN and DBSCAN take minutes and gigabytes beyond some ten thousand points of 32 numbers.
SAMPLE = 8_000
# Those that fit no cluster of the sample are sampled and clustered once more, for objects too small to show in it:
# at most so many points, so that clusters have at least this share of all points.
SECOND_SAMPLE = 4_000
SMALLEST = 1e-4
# A point fits a cluster if it is at most this many times as far from the centre as nine in ten sampled members are.
SLACK = 1.25


@dataclass(frozen=True)
class Clusters:
    """Clusters of N points.

    Attributes:
        labels: [N] int64, -1 for all where there is no cluster, and for features of zero.
        sample: number of points that were clustered; the others went to the nearest centre.
        second_sample: number of points that fitted no cluster of the sample and were clustered by themselves.
    """

    labels: Tensor
    sample: int
    second_sample: int


def cluster_gaussians(
    features: Tensor,
    method: str = "hdbscan",
    min_cluster_size: int = 10,
    epsilon: float | None = None,
    seed: int = 0,
) -> Clusters:
    """Cluster a sample of the Gaussians' features and give every Gaussian to the nearest centre (TRASE section 3.4).

    The paper says DBSCAN, its program runs HDBSCAN with `min_cluster_size` 10 and `epsilon` 0.01 on a sample of 2 %;
    here the sample is SAMPLE Gaussians, and a second one of those that fit none of its clusters (see `_centres_of`).
    Noise belongs to no cluster and makes none; its Gaussians go to the nearest centre with all others.

    Args:
        features: [N, F], of any length; they are normalised.
        method: "hdbscan" or "dbscan".
        min_cluster_size: least size of a cluster, for DBSCAN the neighbours of a core point.
        epsilon: distance of normalised features below which HDBSCAN splits no further (default 0.01) or in which
            DBSCAN looks for neighbours (default 0.2).
        seed: of the samples.
    """
    features = normalize(features.detach().float().cpu(), dim=1)
    centres, samples = _centres_of(features, method, min_cluster_size, epsilon, seed)
    return Clusters(nearest_centre(features, centres)[0], *samples)


def cluster_masks(
    features: Tensor,
    weights: MaskWeights,
    min_cluster_size: int | None = None,
    epsilon: float = 0.2,
    seed: int = 0,
) -> Clusters:
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
        seed: of the samples where there are more than SAMPLE masks.
    """
    features = normalize(features.detach().float().cpu(), dim=1)
    means = torch.from_numpy(np.asarray(weights.inside @ features.numpy())).float()
    means = normalize(means[means.norm(dim=1) > 0], dim=1)
    if min_cluster_size is None:
        frames = len(np.unique(weights.frame_of_mask)) * min(SAMPLE / max(len(means), 1), 1)
        min_cluster_size = min(max(math.ceil(frames / 12), 3), 30)
    centres, samples = _centres_of(means, "hdbscan", min_cluster_size, epsilon, seed)
    return Clusters(nearest_centre(features, centres)[0], *samples)


def _centres_of(
    points: Tensor, method: str, min_cluster_size: int, epsilon: float | None, seed: int
) -> tuple[Tensor, tuple[int, int]]:
    """Return the centres [C, F] of the clusters of normalised points [n, F], and the sizes of the two samples.

    An even sample has too few points of a small object to tell them from noise, however clear the object is. So what
    fits none of its clusters is sampled and clustered again, and what comes out is kept if it is no wider than the
    clusters of the first sample, as noise is, and apart from them, as their fringes are not: in many dimensions
    distances within and between clusters are at right angles.
    """
    generator = torch.Generator().manual_seed(seed)
    sample = points[torch.randperm(len(points), generator=generator)[:SAMPLE]]
    labels = _cluster(sample.numpy(), method, min_cluster_size, epsilon)
    centres = cluster_centres(sample, labels)
    if len(sample) == len(points) or not len(centres):
        return centres, (len(sample), 0)

    reach = _widths(sample, labels, centres, 0.9)
    nearest, cosine = nearest_centre(points, centres)
    rest = points[(_distance(cosine) > SLACK * reach[nearest]) & (nearest >= 0)]
    count = min(math.ceil(len(rest) * min_cluster_size / (SMALLEST * len(points))), SECOND_SAMPLE)
    second = rest[torch.randperm(len(rest), generator=generator)[:count]]
    # HDBSCAN tells clusters from each other: one that is known lets it see one that is alone.
    second = torch.cat([second, sample[labels == 0][: 10 * min_cluster_size]])
    labels = _cluster(second.numpy(), method, min_cluster_size, epsilon)
    more = cluster_centres(second, labels)
    core = _widths(second, labels, more, 0.25)  # of what there is of a small object most may be noise
    nearest, cosine = nearest_centre(more, centres)
    apart = _distance(cosine) > torch.hypot(reach[nearest], core)
    return torch.cat([centres, more[apart & (core <= reach.max())]]), (len(sample), count)


def _cluster(points: np.ndarray, method: str, min_cluster_size: int, epsilon: float | None) -> Tensor:
    """Return [n] int64 clusters of normalised points [n, F], -1 for noise."""
    if len(points) < max(min_cluster_size, 2):
        return torch.full((len(points),), -1, dtype=torch.int64)
    if method == "dbscan":
        from sklearn.cluster import DBSCAN

        labels = DBSCAN(eps=0.2 if epsilon is None else epsilon, min_samples=min_cluster_size).fit_predict(points)
        return torch.from_numpy(np.asarray(labels, dtype=np.int64))
    return hdbscan(points, min_cluster_size, 0.01 if epsilon is None else epsilon)


def _widths(points: Tensor, labels: Tensor, centres: Tensor, share: float) -> Tensor:
    """Return [C] the distance from its centre within which this share of each cluster's points lies."""
    distance = _distance((points * centres[labels]).sum(dim=1)) if len(centres) else points.new_zeros(len(points))
    widths = [distance[labels == i].quantile(share) for i in range(len(centres))]
    return torch.stack(widths) if widths else points.new_zeros(0)


def _distance(cosine: Tensor) -> Tensor:
    """Distance of two normalised vectors."""
    return (2 - 2 * cosine).clamp_min(0).sqrt()
