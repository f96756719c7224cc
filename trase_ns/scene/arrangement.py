"""A scene put together from parts that move by fields of their own, each with its own course of time and place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trase_ns.scene import quaternions
from trase_ns.scene.clock import Clock, moment_of
from trase_ns.scene.field import Field
from trase_ns.scene.similarity import Similarity


class Part(nn.Module):
    """Gaussians that share a field and a course of time.

    Attributes:
        field: what moves them, or None if they rest.
        motion: [n, ...] what the field keeps for each of them, or None.
        clock: their course of time.
    """

    motion: Tensor | None

    def __init__(self, field: Field | None, motion: Tensor | None, clock: Clock = ()) -> None:
        super().__init__()
        self.field = field
        self.clock = clock
        self.register_buffer("motion", motion)


class Arrangement(Field):
    """The field of an arranged scene: every Gaussian is moved by its part and then put in its place.

    The scene's `motion`, int64 [M], holds for each Gaussian its number here, so that subsets of the scene work.

    Args:
        parts: what there is.
        part: [R] int64, the part of each Gaussian.
        local: [R] int64, its number in the part's `motion`.
        placements: maps from where the field puts a Gaussian to where it is; the first is the identity.
        placement: [R] int64, the placement of each Gaussian.
    """

    part: Tensor
    local: Tensor
    placement: Tensor
    rotations: Tensor
    translations: Tensor
    scales: Tensor

    def __init__(
        self,
        parts: Sequence[Part],
        part: Tensor,
        local: Tensor,
        placements: Sequence[Similarity],
        placement: Tensor,
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.register_buffer("part", part)
        self.register_buffer("local", local)
        self.register_buffer("placement", placement)
        device = part.device
        self.register_buffer("rotations", torch.stack([p.rotation.double() for p in placements]).to(device))
        self.register_buffer("translations", torch.stack([p.translation.double() for p in placements]).to(device))
        self.register_buffer("scales", torch.tensor([p.scale for p in placements], dtype=torch.float64, device=device))

    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return means [N, 3], quaternions [N, 4] and log scales [N, 3] at `time`."""
        assert motion is not None
        part_of = self.part[motion]
        moved = [means, quats, log_scales]
        for number, part in enumerate(self.parts):
            assert isinstance(part, Part)
            if part.field is None:
                continue
            rows = (part_of == number).nonzero().flatten()
            if not len(rows):
                continue
            own = None if part.motion is None else part.motion[self.local[motion[rows]]]
            # From what came in, not from `moved`: parts do not overlap.
            result = part.field.move(means[rows], quats[rows], log_scales[rows], own, moment_of(part.clock, time))
            moved = [whole.index_copy(0, rows, new.to(whole)) for whole, new in zip(moved, result)]
        means, quats, log_scales = moved
        return self._placed(means, quats, log_scales, self.placement[motion])

    def _placed(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, placement: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = (placement > 0).nonzero().flatten()
        if not len(rows):
            return means, quats, log_scales
        which = placement[rows]
        rotation = self.rotations.to(means)
        scale = self.scales.to(means)[which, None]
        turned = torch.einsum("nij,nj->ni", rotation[which], means[rows])
        placed = scale * (turned + self.translations.to(means)[which])
        turns = quaternions.from_matrix(self.rotations).to(quats)[which]
        return (
            means.index_copy(0, rows, placed),
            quats.index_copy(0, rows, quaternions.multiply(turns, quaternions.normalise(quats[rows]))),
            log_scales.index_copy(0, rows, log_scales[rows] + scale.log()),
        )
