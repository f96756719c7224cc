"""Graph diffusion from a mask or scribbles over all Gaussians: LUDVIG (section 4.3), on a scene that may move."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.centres import cosines
from trase_ns.render import Contributions

NEIGHBOURS, STEPS = 200, 100
FEATURE_BANDWIDTH, UNARY_BANDWIDTH = 0.1, 0.1
# Smaller values, of which processors are slow, are none.
_TINY = 1e-30


def most_seen(weight: Tensor, share: float = 0.5) -> Tensor:
    """Return which Gaussians to keep (section 3.2, "Gaussian filtering"): those of the largest total weight.

    Args:
        weight: [N] total weight of each Gaussian, see `uplift_features`.
        share: share of the Gaussians to keep; those without any weight never are.

    Returns:
        [N] bool.
    """
    kept = torch.zeros_like(weight, dtype=torch.bool)
    kept[weight.topk(round(share * len(weight))).indices] = True
    return kept & (weight > 0)


def high_values(values: Tensor, threshold: float = 1.0) -> Tensor:
    """Return `values` [...] divided by their mean, and 0 where they are then below the threshold (sections 4.1, 4.3).

    The paper takes the mean over all Gaussians or pixels, and a fixed threshold that it does not name. Such a mean
    says how large the object is, so that no threshold could fit all; here it is the mean of those above zero.
    """
    mean = values[values > 0].mean() if (values > 0).any() else values.new_ones(())
    scaled = values / mean
    return scaled * (scaled >= threshold)


class Graph:
    """The nearest Gaussians of each, itself among them, and diffusion along these edges (section 4.3).

    The paper's scenes do not move; here distances are those in canonical space.

    Args:
        means: [N, 3] positions in canonical space.
        k: neighbours of each; all Gaussians where there are fewer.
    """

    def __init__(self, means: Tensor, k: int = NEIGHBOURS) -> None:
        from scipy.spatial import KDTree

        points = means.detach().cpu().double().numpy()
        k = min(k, len(points))
        # In the order of the tree's leaves neighbours lie side by side in memory, too: everything is twice as fast.
        order = KDTree(points, leafsize=64).indices if len(points) else np.zeros(0, np.int64)
        points = points[order]
        found = KDTree(points, leafsize=64).query(points, k, workers=-1)[1] if len(points) else np.zeros((0, 0))
        self._order = torch.from_numpy(order.astype(np.int64)).to(means.device)
        self._neighbours = torch.from_numpy(found.reshape(len(points), k).astype(np.int64)).to(means.device)

    def __len__(self) -> int:
        return len(self._order)

    @property
    def indices(self) -> Tensor:
        """[N, k] int64: the neighbours of each Gaussian, nearest first."""
        indices = torch.empty_like(self._neighbours)
        indices[self._order] = self._order[self._neighbours]
        return indices

    def diffuse(
        self,
        start: Tensor,
        features: Tensor,
        unary: Tensor,
        *,
        feature_bandwidth: float = FEATURE_BANDWIDTH,
        unary_bandwidth: float = UNARY_BANDWIDTH,
        steps: int = STEPS,
    ) -> Tensor:
        """Return g_T of g_t = A g_(t-1) (equation 7), with A_ij = exp(S_f(f_i, f_j) / b_f + P(f_i) / b_p) (equation 8).

        S_f is the cosine. The paper tunes the bandwidths for each scene; these defaults are ours. A is scaled by its
        largest possible entry and each g_t by its largest, which leaves all proportions alone; the paper's numbers
        would overflow. Values below 1e-30 of the largest are none.

        Args:
            start: [N] g_0, not negative, see `high_values`.
            features: [N, F] uplifted features.
            unary: [N] P, at most 1, see `anchor_similarity` and `anchor_probability`.
            feature_bandwidth, unary_bandwidth: b_f and b_p.
            steps: T.

        Returns:
            [N] from 0 to 1, float32; all 0 if `start` is.
        """
        adjacency = self._adjacency(features, unary, feature_bandwidth, unary_bandwidth)
        values = start[self._order].float()[:, None]
        for _ in range(steps):
            values = adjacency.matmul(_scaled(values))
        result = torch.empty_like(values[:, 0])
        result[self._order] = _scaled(values)[:, 0]
        return result

    def _adjacency(self, features: Tensor, unary: Tensor, b_f: float, b_p: float) -> Contributions:
        """A over its largest possible entry, in the order of the tree."""
        count, k = self._neighbours.shape
        directions = normalize(features[self._order].float(), dim=1)
        weights = torch.empty(count, k, device=directions.device)
        for rows in torch.arange(count, device=directions.device).split(64 if not directions.is_cuda else 4096):
            others = directions[self._neighbours[rows].flatten()].view(len(rows), k, directions.shape[1])
            weights[rows] = torch.bmm(others, directions[rows, :, None])[:, :, 0]
        weights = weights.sub_(1).div_(b_f).add_((unary[self._order].float() - 1)[:, None] / b_p).exp_()
        indptr = k * torch.arange(count + 1, device=weights.device)
        return Contributions(indptr, self._neighbours.flatten(), weights.flatten(), (count, count))


def _scaled(values: Tensor) -> Tensor:
    values = values / values.max().clamp_min(_TINY) if len(values) else values
    return values * (values > _TINY)


def anchor_similarity(features: Tensor, anchors: Tensor) -> Tensor:
    """Return the unary term for scribbles (section 4.3): the cosine with the anchors' mean feature.

    Args:
        features: [N, F] uplifted features.
        anchors: [N] bool, the Gaussians under the scribbles.

    Returns:
        [N] from -1 to 1.

    Raises:
        ValueError: there is no anchor.
    """
    if not anchors.any():
        raise ValueError("no Gaussian lies under the scribbles")
    return cosines(features, features[anchors].mean(dim=0))


def anchor_probability(
    features: Tensor, anchors: Tensor, weight: Tensor | None = None, strength: float = 1.0
) -> Tensor:
    """Return the unary term for a whole reference mask (section 4.3): a logistic regression of anchors against others.

    On features of length one, with both classes weighing the same, as in the authors' program; the paper leaves this
    open, and takes all that is no anchor for background. With `weight` only what the reference view shows counts.

    Args:
        features: [N, F] uplifted features; those of zero were seen by no view and are no examples.
        anchors: [N] bool, the Gaussians under the mask.
        weight: [N] total weight of each Gaussian in the reference view, its weight as an example; equal if None.
        strength: inverse strength of the regularisation (C of scikit-learn).

    Returns:
        [N] probability of being foreground.

    Raises:
        ValueError: there are not both anchors and others among the examples.
    """
    from sklearn.linear_model import LogisticRegression

    directions = normalize(features.detach().float(), dim=1).cpu().numpy()
    weights = np.ones(len(directions)) if weight is None else weight.detach().cpu().double().numpy()
    examples = directions.any(axis=1) & (weights > 0)
    truth = anchors.cpu().numpy()[examples]
    if truth.all() or not truth.any():
        raise ValueError("a reference mask that covers all or nothing tells no foreground from a background")
    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=1000)
    model.fit(directions[examples], truth, weights[examples] / weights[examples].mean())
    return torch.from_numpy(model.predict_proba(directions)[:, 1]).to(features)
