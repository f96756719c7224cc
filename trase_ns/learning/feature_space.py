"""What the numbers of distilled or uplifted features mean, so that texts can be compared with them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.feature_maps import FeatureMaps


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """The space of the feature maps that Gaussians got their features from.

    Attributes:
        channels: C, numbers of a feature of the maps.
        basis: [K, C] float32 orthonormal rows if features are `map @ basis.T`, see `FeatureMaps.reduction`; None if
            they are as in the maps.
        source: what made the maps, by its key (see `map_store`), as far as they say so; plain JSON values.
    """

    channels: int
    basis: Tensor | None = None
    source: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(maps: FeatureMaps, basis: Tensor | None = None) -> FeatureSpace:
        """Return the space of features that were made of `maps` and reduced by `basis`."""
        return FeatureSpace(maps.channels, basis, maps.source)

    @torch.no_grad()
    def cosines(self, features: Tensor, queries: Tensor) -> Tensor:
        """Compare the Gaussians' features with features of the maps' own space, such as encoded texts.

        Reduced features are meant as the points of the whole space that they stand for, features @ basis.

        Args:
            features: [N, K], or [N, C] without a basis.
            queries: [Q, C].

        Returns:
            [N, Q] float32, 0 for features of zero.

        Raises:
            ValueError: the sizes do not fit.
        """
        size = self.channels if self.basis is None else len(self.basis)
        if features.shape[1] != size or queries.shape[1] != self.channels:
            raise ValueError(f"features {list(features.shape)} and queries {list(queries.shape)} for {size} numbers")
        queries = normalize(queries.to(features.device, torch.float32), dim=1)
        if self.basis is not None:
            queries = queries @ self.basis.to(queries).T
        return normalize(features.float(), dim=1) @ queries.T

    def to_state(self) -> dict[str, Any]:
        """Return tensors and plain values for a checkpoint."""
        basis = torch.zeros(0, self.channels) if self.basis is None else self.basis.detach().cpu()
        return {"basis": basis, "source": json.dumps(self.source)}

    @staticmethod
    def from_state(state: dict[str, Any]) -> FeatureSpace:
        """Return what `to_state` was called on.

        Raises:
            ValueError: it is something else.
        """
        try:
            basis, source = state["basis"], json.loads(state["source"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no space of features ({error})") from error
        if not isinstance(basis, Tensor) or basis.ndim != 2 or not isinstance(source, dict):
            raise ValueError("no space of features")
        return FeatureSpace(basis.shape[1], basis if len(basis) else None, source)
