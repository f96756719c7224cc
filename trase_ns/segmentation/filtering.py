"""The paper's filter: of a cluster keep the Gaussians whose feature is close to the cluster's mean."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import normalize


def cosine_to(features: Tensor, centre: Tensor) -> Tensor:
    """Return the cosine similarity [N] of every feature [N, F] to `centre` [F]; 0 where one of them is zero."""
    features = features.float()
    return features @ normalize(centre.float(), dim=0) / features.norm(dim=1).clamp_min(1e-12)


def filter_by_similarity(mask: Tensor, features: Tensor, centre: Tensor, threshold: float) -> Tensor:
    """Keep of a cluster the Gaussians whose cosine to the mean feature is at least `threshold` (TRASE section 3.4).

    Args:
        mask: bool [N], the Gaussians of the cluster.
        features: [N, F] features of all Gaussians.
        centre: [F] mean feature of the cluster.
        threshold: in [-1, 1].

    Returns:
        bool [N].
    """
    return mask & (cosine_to(features, centre) >= threshold)


def has_features(features: Tensor) -> bool:
    """Whether features [N, F] were trained: not all of them are zero."""
    return features.numel() > 0 and any(bool(value != 0) for value in features.aminmax())
