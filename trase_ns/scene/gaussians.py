"""Gaussians at one moment, and Gaussians that move."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trase_ns.scene.field import Field


@dataclass(frozen=True)
class Gaussians:
    """N Gaussians at one moment, in the units that a rasterizer takes.

    Attributes:
        means: [N, 3] world positions.
        quats: [N, 4] rotations, wxyz, of any length.
        scales: [N, 3] standard deviations along the axes, linear, in world units.
        opacities: [N] in (0, 1).
        sh: [N, K, 3] spherical-harmonics coefficients of the colour, K = (degree + 1)^2.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics."""
        return round(self.sh.shape[1] ** 0.5) - 1

    def subset(self, index: Tensor) -> Gaussians:
        """Return the Gaussians that `index` names: bool [N] or integers [M]."""
        return Gaussians(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, device: torch.device | str) -> Gaussians:
        """Return the same Gaussians on `device`."""
        return Gaussians(*(getattr(self, f.name).to(device) for f in fields(self)))


@dataclass(frozen=True)
class DynamicGaussians:
    """A scene: N Gaussians in canonical space, their features, and the field that moves them.

    Attributes:
        means: [N, 3] positions in canonical space.
        quats: [N, 4] rotations, wxyz, of any length.
        log_scales: [N, 3] natural logarithms of the scales.
        logit_opacities: [N] logits of the opacities.
        sh0: [N, 3] spherical-harmonics coefficients of degree 0.
        sh_rest: [N, K - 1, 3] coefficients of the higher degrees; K - 1 may be 0.
        features: [N, F] segmentation features.
        field: the deformation, or None for a scene at rest.
        motion: what the field keeps for each Gaussian, float [N, B], or None where it keeps nothing.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    logit_opacities: Tensor
    sh0: Tensor
    sh_rest: Tensor
    features: Tensor
    field: Field | None = None
    motion: Tensor | None = None

    @staticmethod
    def at_rest(gaussians: Gaussians) -> DynamicGaussians:
        """Return a scene in which `gaussians` do not move; scales 0 and opacities 0 and 1 become nearly so."""
        smallest = torch.finfo(gaussians.scales.dtype).tiny
        return DynamicGaussians(
            gaussians.means,
            gaussians.quats,
            gaussians.scales.clamp_min(smallest).log(),
            gaussians.opacities.logit(eps=1e-6),
            gaussians.sh[:, 0],
            gaussians.sh[:, 1:],
            gaussians.means.new_zeros(len(gaussians), 0),
        )

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.means.device

    @property
    def opacities(self) -> Tensor:
        """[N] in (0, 1), the same at all times."""
        return torch.sigmoid(self.logit_opacities)

    @property
    def sh(self) -> Tensor:
        """[N, K, 3] spherical-harmonics coefficients, the same at all times."""
        return torch.cat([self.sh0[:, None], self.sh_rest], dim=1)

    def at(self, time: float, time_noise: float = 0.0) -> Gaussians:
        """Return the Gaussians at `time` (equation 1 of the TRASE paper); differentiable.

        Args:
            time: moment in [0, 1].
            time_noise: standard deviation of the noise that annealed smooth training adds to the time.
        """
        means, quats, log_scales = self.means, self.quats, self.log_scales
        if self.field is not None:
            moment = time + float(torch.randn(())) * time_noise if time_noise else time
            means, quats, log_scales = self.field.move(means, quats, log_scales, self.motion, moment)
        return Gaussians(
            means,
            quats,
            torch.exp(log_scales),
            self.opacities,
            self.sh,
        )

    def subset(self, index: Tensor) -> DynamicGaussians:
        """Return the scene of the Gaussians that `index` names (bool [N] or integers [M]), with the same field."""
        return replace(self, **{name: tensor[index] for name, tensor in self._tensors().items()})

    def detach(self) -> DynamicGaussians:
        """Return the same scene without gradients; the tensors are shared, not copied."""
        return replace(self, **{name: tensor.detach() for name, tensor in self._tensors().items()})

    def to(self, device: torch.device | str) -> DynamicGaussians:
        """Return the same scene on `device`, with a copy of the field where that lies elsewhere."""
        if self.means.to(device) is self.means:
            return self
        moved = {name: tensor.to(device) for name, tensor in self._tensors().items()}
        return replace(self, **moved, field=None if self.field is None else deepcopy(self.field).to(device))

    def _tensors(self) -> dict[str, Tensor]:
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "field"}
        return {name: value for name, value in values.items() if value is not None}
