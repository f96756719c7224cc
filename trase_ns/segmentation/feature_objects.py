"""Objects as the other papers make them from features: by candidates of two levels, by a threshold, or by clicks."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.centres import cluster_centres
from trase_ns.learning.granularity import LEVELS, Level, nearest_candidates
from trase_ns.learning.prototype import threshold_mask
from trase_ns.segmentation.clustering import cluster_gaussians, cluster_masks
from trase_ns.segmentation.filtering import filter_by_similarity
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.refine import Lifted, drop_duplicates, refine

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

# Objects that are this much alike (IoU) are one.
_SAME = 0.9


def objects_of_candidates(
    features: Tensor, candidates: Mapping[Level, Tensor], weights: MaskWeights | None = None
) -> Segmentation:
    """Return the objects of Click-Gaussian: for each candidate of both levels the Gaussians that resemble it most.

    Every Gaussian is in one coarse object and one fine object, so that a click's granularity chooses the level.

    Args:
        features: [N, D] features of the Gaussians.
        candidates: for each level [C, D_l], of length one.
        weights: the uplifted masks, that say how well each object is supported; without them all are alike.
    """
    start = time.perf_counter()
    nearest = nearest_candidates(features, candidates)
    members = [part for level in LEVELS for part in Lifted.from_labels(nearest[level].cpu().numpy()).members]
    counts = {f"{level}_candidates": len(candidates[level]) for level in LEVELS}
    return _segmentation(members, features, weights, {"method": "candidates", **counts}, start)


def objects_by_threshold(
    features: Tensor, threshold: float, weights: MaskWeights | None = None, seed: int = 0
) -> Segmentation:
    """Return what resembles the centre of each cluster: CGC's and DGD's selection of a clicked feature, for all.

    The clusters are those of the masks' mean features, or of the Gaussians' own without masks. Objects may overlap,
    and a Gaussian that resembles no centre is in none.

    Args:
        features: [N, F] features of the Gaussians.
        threshold: least cosine.
        weights: the uplifted masks, or None.
        seed: of the samples that are clustered.
    """
    start = time.perf_counter()
    clusters = (
        cluster_gaussians(features, seed=seed) if weights is None else cluster_masks(features, weights, seed=seed)
    )
    centres = cluster_centres(normalize(features.float(), dim=1), clusters.labels.to(features.device))
    members = [threshold_mask(features, centre, threshold).nonzero()[:, 0].cpu().numpy() for centre in centres]
    summary = {"method": "threshold", "threshold": threshold, "seed": seed}
    return _segmentation(members, features, weights, summary, start)


def no_objects(features: Tensor) -> Segmentation:
    """Return a segmentation without objects: a click then takes the Gaussians with a feature like its own."""
    summary = {"method": "clicks", "objects": 0, "gaussians": len(features), "seconds": 0.0}
    return Segmentation.from_members([], len(features), features=features, summary=summary).to(features.device)


def filtered(segmentation: Segmentation, features: Tensor, similarity: float) -> Segmentation:
    """Keep of each object the Gaussians whose cosine to its mean feature is at least `similarity` (TRASE's filter).

    Args:
        segmentation: the objects, with centres.
        features: [N, F] features of the Gaussians.
        similarity: in [-1, 1].
    """
    assert segmentation.centres is not None
    members = [
        filter_by_similarity(segmentation.members(i), features, segmentation.centres[i], similarity)
        for i in range(len(segmentation))
    ]
    kept = [i for i, mask in enumerate(members) if mask.any()]
    summary = {**segmentation.summary, "similarity": similarity, "objects": len(kept)}
    result = Segmentation.from_members(
        [members[i] for i in kept], segmentation.gaussians, segmentation.support[kept], features, summary
    )
    return result.to(features.device)


def _segmentation(
    members: list[np.ndarray], features: Tensor, weights: MaskWeights | None, summary: dict, start: float
) -> Segmentation:
    """The objects, each once and with its support."""
    members = [m for m in members if len(m)]
    support = np.ones(len(members), np.float32) if weights is None else refine(weights, members).support
    lifted = drop_duplicates(Lifted(members, support), np.ones(len(features), np.float32), _SAME)
    summary = {**summary, "objects": len(lifted.members), "gaussians": len(features)}
    summary["masks"] = 0 if weights is None else len(weights.frame_of_mask)
    summary["seconds"] = round(time.perf_counter() - start, 3)
    kept = [torch.from_numpy(m) for m in lifted.members]
    result = Segmentation.from_members(kept, len(features), torch.from_numpy(lifted.support), features, summary)
    return result.to(features.device)
