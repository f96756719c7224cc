"""What moves the Gaussians of a scene."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn


class Field(nn.Module):
    """A deformation of canonical space over time."""

    @abstractmethod
    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return means [N, 3], quaternions [N, 4] and log scales [N, 3] at `time`; differentiable.

        Args:
            means: [N, 3] positions in canonical space.
            quats: [N, 4] rotations, wxyz, of any length.
            log_scales: [N, 3] natural logarithms of the scales.
            motion: [N, ...] what the field keeps for each Gaussian; None for a field that keeps nothing.
            time: moment in [0, 1].
        """
