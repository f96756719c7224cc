"""Features averaged over the nearest Gaussians in canonical space."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


class Neighbours:
    """The nearest Gaussians of every Gaussian, itself among them.

    Args:
        means: [N, 3] positions in canonical space.
        k: neighbours of each; all Gaussians where there are fewer.
    """

    def __init__(self, means: Tensor, k: int = 16) -> None:
        from scipy.spatial import KDTree

        points = means.detach().cpu().double().numpy()
        k = min(k, len(points))
        indices = KDTree(points).query(points, k, workers=-1)[1].reshape(len(points), k)
        # [k, N]: one contiguous row for each rank, so that a mean is k gathers of [N, F] and no [N, k, F] exists.
        self._ranks = torch.from_numpy(indices.T.copy()).to(means.device)

    @property
    def indices(self) -> Tensor:
        """[N, k] int64: the neighbours of each Gaussian, nearest first."""
        return self._ranks.T

    def mean(self, features: Tensor, sample: int | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return each Gaussian's smooth feature: the mean of its neighbours' normalised features (TRASE section 3.2).

        Args:
            features: [N, F], of any length; differentiable.
            sample: number of neighbours to draw, the same ranks for all Gaussians (8 of 16 in training); all if None.
            generator: source of the draw, on the CPU.

        Returns:
            [N, F]; at most of length one, and shorter where neighbours disagree.
        """
        ranks = self._ranks
        if sample is not None and sample < len(ranks):
            ranks = ranks[torch.randperm(len(ranks), generator=generator)[:sample].to(ranks.device)]
        directions = functional.normalize(features, dim=1)
        total = directions.index_select(0, ranks[0])
        for rank in ranks[1:]:
            total = total + directions.index_select(0, rank)
        return total / len(ranks)
