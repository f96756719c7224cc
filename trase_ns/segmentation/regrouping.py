"""The objects of a finished run anew, coarser or finer, by one number and without training.

Two ways. Objects that nest are a tree already: `at_level` picks a level of it, in milliseconds. Trained features give
a tree of their own, from the scene alone: `FeatureTree`, made once in about a second, is cut anywhere in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.errors import UserError
from trase_ns.learning.smoothing import Neighbours
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.filtering import has_features
from trase_ns.segmentation.objects import PLAUSIBLE, Segmentation

# Features are gathered into so many small groups, from a sample of so many Gaussians, before these are linked.
GROUPS = 256
SAMPLE = 20_000
ROUNDS = 12
# Mean cosine within objects at granularity 0 and at 1.
COARSEST, FINEST = 0.0, 0.9
# Of an object that keeps less than this share of its Gaussians at a level only a rest is left: it is not of the level.
REST = 0.25
# An object of fewer of all Gaussians than this share goes to the one most like it.
SMALLEST = 0.002


def at_level(segmentation: Segmentation, granularity: float, features: Tensor | None = None) -> Segmentation:
    """Take nested objects apart: each Gaussian to one of those that hold it, by their sizes.

    Sizes run evenly by their logarithm from the largest object's at granularity 0 to the smallest one's at 1. Each
    Gaussian goes to the smallest object above the size wanted that holds it, if none is so large to its largest; of
    objects whose support is close enough to the best there, as for a click with "coarse" or "fine".

    Args:
        segmentation: the objects, best with their parts as `find_objects` with method "masks" gives them.
        granularity: 0 for the largest objects, 1 for the smallest.
        features: [N, F] features of the Gaussians, for the centres of the new objects.

    Returns:
        Objects that do not overlap; `summary["from"]` says which of the old ones each is what is left of.

    Raises:
        UserError: granularity is not in [0, 1].
    """
    _check(granularity)
    count = len(segmentation)
    chosen = torch.ones(count, dtype=torch.bool, device=segmentation.labels.device)
    while True:
        labels = _labels_at(segmentation, granularity, chosen)
        kept = torch.bincount(labels[labels >= 0], minlength=count)
        lost = chosen & (kept < REST * segmentation.sizes)
        if not bool(lost.any()):
            break
        chosen &= ~lost
    left = [i for i in range(count) if bool((labels == i).any())]
    members = [(labels == i).nonzero().flatten() for i in left]
    order = sorted(range(len(left)), key=lambda i: (-len(members[i]), members[i][:1].tolist()))
    summary = {"method": "level", "granularity": granularity, "from": [left[i] for i in order], "objects": len(left)}
    support = segmentation.support[left] if left else segmentation.support[:0]
    result = Segmentation.from_members(members, segmentation.gaussians, support, features, summary)
    return result.to(segmentation.labels.device)


def _labels_at(segmentation: Segmentation, granularity: float, chosen: Tensor) -> Tensor:
    """Return [N] int64, of the `chosen` objects (bool [O]) the one that each Gaussian goes to at a level, or -1."""
    sizes, none = segmentation.sizes, torch.full_like(segmentation.labels, -1)
    if not len(sizes):
        return none
    wanted = float(sizes[0]) ** (1 - granularity) * float(sizes[-1]) ** granularity  # numbered by falling size
    owners = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
    support = segmentation.support[owners]
    best = support.new_zeros(len(none)).scatter_reduce(0, segmentation.indices, support, "amax")
    kept = chosen[owners] & (support >= PLAUSIBLE * best[segmentation.indices])
    owners, indices = owners[kept], segmentation.indices[kept]
    # Of the objects that are large enough the last one; of the others, which follow them, the first one.
    large = sizes[owners] >= wanted * (1 - 1e-6)
    last = none.scatter_reduce(0, indices[large], owners[large], "amax")
    first = torch.full_like(none, len(sizes)).scatter_reduce(0, indices[~large], owners[~large], "amin")
    return torch.where(last >= 0, last, torch.where(first < len(sizes), first, none))


@dataclass(frozen=True)
class FeatureTree:
    """Small groups of Gaussians with like features, and the order in which they join into larger ones.

    Attributes:
        groups: [N] int64, the group of each Gaussian, -1 for those without a feature.
        centres: [G, F] float32, normalised mean feature of each group.
        merges: [G - 1, 4] float64, the tree in SciPy's form; heights are 1 - mean cosine.
    """

    groups: Tensor
    centres: Tensor
    merges: np.ndarray

    def labels(self, granularity: float, smallest: float = SMALLEST) -> Tensor:
        """Cut the tree.

        Args:
            granularity: from 0, few large objects, to 1, many small ones: the mean cosine within objects grows
                evenly from COARSEST to FINEST.
            smallest: share of all Gaussians below which an object goes to the one that is most like it.

        Returns:
            [N] int64 on the CPU, -1 for Gaussians without a feature.

        Raises:
            UserError: granularity is not in [0, 1].
        """
        from scipy.cluster.hierarchy import fcluster

        _check(granularity)
        height = 1 - (COARSEST + granularity * (FINEST - COARSEST))
        object_of = np.zeros(len(self.centres), np.int64)
        if len(self.merges):
            object_of = fcluster(self.merges, height, "distance").astype(np.int64) - 1
        objects = torch.from_numpy(object_of)
        weights = torch.bincount(self.groups[self.groups >= 0], minlength=len(objects)).float()
        sizes = torch.zeros(int(objects.max()) + 1).index_add_(0, objects, weights)
        large = sizes >= min(smallest * len(self.groups), float(sizes.max()))
        sums = torch.zeros(len(sizes), self.centres.shape[1]).index_add_(0, objects, self.centres * weights[:, None])
        means = normalize(sums, dim=1)
        target = torch.arange(len(sizes))
        cosines = (means @ means[large].T).argmax(dim=1)
        target[~large] = large.nonzero().flatten()[cosines[~large]]
        return torch.cat([target[objects], target.new_tensor([-1])])[self.groups]


@torch.no_grad()
def feature_tree(scene: DynamicGaussians, seed: int = 0) -> FeatureTree:
    """Make the tree of a scene's features, smoothed over nearest neighbours as in training (TRASE section 3.2).

    Args:
        scene: a scene with trained features.
        seed: of the sample and of where the groups start.

    Raises:
        UserError: the scene has no trained features.
    """
    if not has_features(scene.features):
        raise UserError("this scene has no trained features to group: use the levels of its objects.")
    from scipy.cluster.hierarchy import linkage

    features = scene.features.detach().float()
    smooth = normalize(Neighbours(scene.means).mean(features), dim=1).cpu()
    known = smooth.any(dim=1).nonzero().flatten()
    generator = torch.Generator().manual_seed(seed)
    sample = smooth[known[torch.randperm(len(known), generator=generator)[:SAMPLE]]]
    centres = _starts(sample, min(GROUPS, len(sample)), generator)
    for _ in range(ROUNDS):
        nearest = (sample @ centres.T).argmax(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, sample)
        centres = normalize(sums[sums.any(dim=1)], dim=1)
    groups = torch.full((len(smooth),), -1, dtype=torch.int64)
    for part in known.split(65_536):
        groups[part] = (smooth[part] @ centres.T).argmax(dim=1)
    # Groups that nothing is nearest to any more are of no use to the tree.
    used, inverse = torch.unique(groups[known], return_inverse=True)
    groups[known] = inverse
    centres = centres[used]
    distances = (1 - centres @ centres.T).clamp_min(0).double().numpy()
    merges = np.zeros((0, 4))
    if len(centres) > 1:
        merges = linkage(distances[np.triu_indices(len(centres), 1)], "average")
    return FeatureTree(groups, centres, merges)


def regroup(
    scene: DynamicGaussians,
    granularity: float,
    segmentation: Segmentation | None = None,
    by: Literal["objects", "features"] | None = None,
    tree: FeatureTree | None = None,
) -> Segmentation:
    """Group the Gaussians of a finished scene into objects that do not overlap, as coarse or fine as you like.

    Args:
        scene: the scene.
        granularity: 0 for few large objects, 1 for many small ones.
        segmentation: the objects that the run found, which may nest.
        by: "objects" to choose a level of those, "features" to cut a tree of the features; by default by objects if
            some of them are parts of others, then by features, then by objects all the same.
        tree: what `feature_tree` returned for this scene, to keep from one call to the next.

    Raises:
        UserError: granularity is not in [0, 1], or there is nothing of the kind to group by.
    """
    _check(granularity)
    trained = has_features(scene.features)
    if by is None:
        nested = segmentation is not None and bool((segmentation.parents >= 0).any())
        by = "objects" if nested or not trained else "features"
    features = scene.features if trained else None
    if by == "objects":
        if segmentation is None:
            raise UserError("there are no objects to choose a level of: find them with `trase cluster`.")
        return at_level(segmentation, granularity, features)
    labels = (tree or feature_tree(scene)).labels(granularity)
    members = [(labels == i).nonzero().flatten() for i in labels[labels >= 0].unique()]
    summary = {"method": "feature-tree", "granularity": granularity, "objects": len(members)}
    return Segmentation.from_members(members, len(scene), None, features, summary).to(scene.device)


def _starts(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw `count` of the normalised points [n, F] that are far apart, as k-means++ does."""
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    distance = points.new_full((len(points),), 4.0)
    while len(chosen) < count:
        distance = torch.minimum(distance, (2 - 2 * points @ points[chosen[-1]]).clamp_min(0))
        if not bool((distance > 1e-6).any()):
            break
        chosen.append(int(torch.multinomial(distance, 1, generator=generator)))
    return points[chosen]


def _check(granularity: float) -> None:
    if not 0 <= granularity <= 1:  # NaN is neither
        raise UserError(f"granularity {granularity:g}: use a number from 0 (coarse) to 1 (fine).")
