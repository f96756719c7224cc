"""The deformation field: where every Gaussian is at a time, as an MLP over canonical space."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from trase_ns.scene.field import Field


class DeformationField(Field):
    """MLP from a canonical position and a time to the change of a Gaussian's mean, quaternion and log scales.

    The defaults are the paper's (TRASE section 3.1, after Deformable-3DGS): 8 layers of width 256 with a skip
    connection and ten frequency bands for position and for time. The heads start at zero, so that an untrained field
    moves nothing.

    Positions are scaled to about [-1, 1] by the buffers `centre` [3] and `radius` [], which `set_box` fills.

    Args:
        depth: number of hidden layers.
        width: units of a hidden layer.
        skip_at: index of the hidden layer after which the encoded input is given again. A field with no more than
            `skip_at` + 1 layers has no skip connection.
        position_bands: frequencies 2^0 ... 2^(bands - 1) that encode the position.
        time_bands: frequencies that encode the time.
        detach_positions: give the positions no gradient through the field, as in Deformable-3DGS.
    """

    kind = "mlp"
    limits: ClassVar[dict[str, tuple[int, int]]] = {
        "depth": (1, 64),
        "width": (1, 4096),
        "skip_at": (0, 64),
        "position_bands": (0, 32),
        "time_bands": (0, 32),
        "detach_positions": (False, True),
    }

    centre: Tensor
    radius: Tensor

    def __init__(
        self,
        depth: int = 8,
        width: int = 256,
        skip_at: int = 4,
        position_bands: int = 10,
        time_bands: int = 10,
        detach_positions: bool = True,
    ) -> None:
        super().__init__()
        self.depth = depth
        self.width = width
        self.skip_at = skip_at
        self.position_bands = position_bands
        self.time_bands = time_bands
        self.detach_positions = detach_positions
        encoded = 3 * (1 + 2 * position_bands) + (1 + 2 * time_bands)
        inputs = [encoded] + [width + (encoded if i == skip_at else 0) for i in range(depth - 1)]
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in inputs)
        self.heads = nn.Linear(width, 10)  # mean 3, quaternion 4, log scales 3
        nn.init.zeros_(self.heads.weight)
        nn.init.zeros_(self.heads.bias)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("radius", torch.ones(()))

    @torch.no_grad()
    def set_box(self, means: Tensor) -> None:
        """Scale positions by the box of `means` [N, 3] without the outermost hundredth at each of its faces.

        Stray points far away, which structure from motion often leaves, would squeeze the scene into a few bands.
        """
        ordered = means.sort(dim=0).values
        margin = len(means) // 100
        low, high = ordered[margin], ordered[len(means) - 1 - margin]
        self.centre.copy_((low + high) / 2)
        self.radius.copy_(((high - low).max() / 2).clamp_min(1e-6))

    def forward(self, means: Tensor, time: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the change of every Gaussian at `time` (equation 1 of the TRASE paper).

        Args:
            means: [N, 3] positions in canonical space.
            time: moment in [0, 1]: a number or a tensor of one element for all, or [N, 1] for each Gaussian its own.

        Returns:
            d_means [N, 3] in world units, d_quats [N, 4] (wxyz), d_log_scales [N, 3]; each is to be added.
        """
        if self.detach_positions:
            means = means.detach()
        position = encode_frequencies((means - self.centre) / self.radius, self.position_bands)
        time = torch.as_tensor(time, dtype=means.dtype, device=means.device)
        if time.numel() == 1:
            time = time.reshape(1, 1)
        elif time.shape != (len(means), 1):
            raise ValueError(f"time must be one number or [{len(means)}, 1], not {list(time.shape)}")
        moment = encode_frequencies(time, self.time_bands)

        first, *others = cast("list[nn.Linear]", list(self.layers))
        hidden = torch.relu_(self._encoded(first, position, moment))
        for i, layer in enumerate(others):
            if i == self.skip_at:
                recurrent = layer.weight[:, position.shape[1] + moment.shape[1] :]
                hidden = torch.relu_(self._encoded(layer, position, moment) + functional.linear(hidden, recurrent))
            else:
                hidden = torch.relu_(layer(hidden))
        d_means, d_quats, d_log_scales = self.heads(hidden).split([3, 4, 3], dim=1)
        return d_means, d_quats, d_log_scales

    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return means, quaternions and log scales at `time`; `motion` is for other fields."""
        d_means, d_quats, d_log_scales = self(means, time)
        return means + d_means, quats + d_quats, log_scales + d_log_scales

    @classmethod
    def from_state(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> Field:
        """See `Field.from_state`."""
        field = super().from_state(spec, tensors)
        if not tensors["radius"] > 0:
            raise ValueError("radius of the field must be larger than 0")
        return field

    @staticmethod
    def _encoded(layer: nn.Linear, position: Tensor, moment: Tensor) -> Tensor:
        """Apply the columns of `layer` that read [position, moment]; a single moment [1, T] is but a bias for all."""
        end = position.shape[1] + moment.shape[1]
        from_time = functional.linear(moment, layer.weight[:, position.shape[1] : end], layer.bias)
        weight = layer.weight[:, : position.shape[1]]
        if len(moment) == 1:
            return functional.linear(position, weight, from_time[0])
        return functional.linear(position, weight) + from_time


def encode_frequencies(values: Tensor, bands: int) -> Tensor:
    """Return [values, sin(2^k values), cos(2^k values)] for k = 0 ... bands - 1: [N, C] to [N, C (1 + 2 bands)]."""
    frequencies = 2.0 ** torch.arange(bands, dtype=values.dtype, device=values.device)
    angles = (values[:, :, None] * frequencies).flatten(1)
    return torch.cat([values, angles.sin(), angles.cos()], dim=1)
