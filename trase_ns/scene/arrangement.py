"""A scene put together from parts that move by fields of their own, each with its own course of time and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from trase_ns.scene import quaternions
from trase_ns.scene.clock import Clock, TimeMap, moment_of
from trase_ns.scene.field import Field
from trase_ns.scene.field_state import below, describe_field, field_from_state
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity

# Bounds on what a file may ask for; arrangements may hold arrangements.
MOST_PARTS = 4096
DEEPEST = 8


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

    kind = "arrangement"

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
            part = cast(Part, part)
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

    def spec(self) -> dict[str, Any]:
        """See `Field.spec`: for each part its field and its course of time."""
        parts = [cast(Part, part) for part in self.parts]
        return {
            "parts": [
                {"field": describe_field(part.field), "clock": [asdict(time_map) for time_map in part.clock]}
                for part in parts
            ]
        }

    @classmethod
    def from_state(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> Arrangement:
        """See `Field.from_state`."""
        described = spec.get("parts")
        if not isinstance(described, list) or not 1 <= len(described) <= MOST_PARTS or spec.keys() != {"parts"}:
            raise ValueError(f"an arrangement needs a list of 1 to {MOST_PARTS} parts")
        if _depth(spec) > DEEPEST:
            raise ValueError(f"arrangements are nested more than {DEEPEST} deep")
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith("parts.")}
        if own.keys() != {"part", "local", "placement", "rotations", "translations", "scales"}:
            raise ValueError("tensors of the arrangement are missing or too many")
        count, places = own["part"].shape[:1], own["scales"].shape[:1]
        shapes = {"part": count, "local": count, "placement": count, "scales": places}
        shapes |= {"rotations": (*places, 3, 3), "translations": (*places, 3)}
        for name, shape in shapes.items():
            dtype = torch.float64 if name in ("rotations", "translations", "scales") else torch.int64
            if own[name].shape != shape or own[name].dtype != dtype or not own[name].numel():
                raise ValueError(f"{name} of the arrangement must be {str(dtype).removeprefix('torch.')} {list(shape)}")
        parts = [_part(entry, below(tensors, f"parts.{i}.")) for i, entry in enumerate(described)]
        known = sum(len([n for n in tensors if n.startswith(f"parts.{i}.")]) for i in range(len(parts)))
        if known + len(own) != len(tensors):
            raise ValueError("there are tensors of parts that the arrangement does not have")
        _check_within("part", own["part"], len(parts))
        _check_within("placement", own["placement"], len(own["scales"]))
        for number, part in enumerate(parts):
            rows = own["local"][own["part"] == number]
            if part.motion is not None:
                _check_within("local", rows, len(part.motion))
            if part.field is not None:
                part.field.check_motion(part.motion, 0 if part.motion is None else len(part.motion))
            elif part.motion is not None:
                raise ValueError("a part at rest has motion")
        unit = own["rotations"] @ own["rotations"].mT
        if not torch.allclose(unit, torch.eye(3, dtype=torch.float64).expand_as(unit), atol=1e-4):
            raise ValueError("rotations of the arrangement are not rotations")
        if not bool((own["scales"] > 0).all()):
            raise ValueError("scales of the arrangement must be larger than 0")
        placements = [
            Similarity(rotation, translation, float(scale))
            for rotation, translation, scale in zip(own["rotations"], own["translations"], own["scales"])
        ]
        return cls(parts, own["part"], own["local"], placements, own["placement"]).requires_grad_(False)

    def check_motion(self, motion: Tensor | None, gaussians: int) -> None:
        """See `Field.check_motion`: the number of each Gaussian here, int64 [N]."""
        if motion is None or motion.shape != (gaussians,) or motion.dtype != torch.int64:
            raise ValueError(f"motion must be int64 {[gaussians]}")
        _check_within("motion", motion, len(self.part))


def compact(scene: DynamicGaussians) -> DynamicGaussians:
    """Return the same scene with an arrangement of no more than its Gaussians need; any other scene as it is.

    What is all of one part, as recorded and in its place, needs no arrangement.
    """
    field, numbers = scene.field, scene.motion
    if not isinstance(field, Arrangement) or numbers is None:
        return scene
    part_of, local, placement = field.part[numbers], field.local[numbers], field.placement[numbers]
    kept, part_of = torch.unique(part_of, return_inverse=True)
    parts, new_local = [], local.clone()
    for number, old in enumerate(kept.tolist()):
        part = cast(Part, field.parts[old])
        rows = (part_of == number).nonzero().flatten()
        motion = None if part.motion is None else part.motion[local[rows]]
        parts.append(Part(part.field, motion, part.clock))
        new_local[rows] = torch.arange(len(rows), device=rows.device)
    if len(parts) == 1 and not parts[0].clock and not bool((placement > 0).any()):
        return replace(scene, field=parts[0].field, motion=parts[0].motion)
    # Entry 0 stays the identity.
    used = torch.unique(torch.cat([placement.new_zeros(1), placement]))
    placements = [Similarity(field.rotations[i], field.translations[i], float(field.scales[i])) for i in used.tolist()]
    arranged = Arrangement(parts, part_of, new_local, placements, torch.searchsorted(used, placement))
    return replace(scene, field=arranged, motion=torch.arange(len(numbers), device=numbers.device))


def _part(described: Any, tensors: dict[str, Tensor]) -> Part:
    """Make a part of what `Arrangement.spec` says of it."""
    if not isinstance(described, dict) or described.keys() != {"field", "clock"}:
        raise ValueError("a part of an arrangement needs field and clock")
    maps = described["clock"]
    wanted = {"speed", "offset", "wrap"}
    if not isinstance(maps, list) or any(not isinstance(m, dict) or m.keys() != wanted for m in maps):
        raise ValueError("the clock of a part must be a list of speed, offset and wrap")
    if any(type(m[name]) not in (int, float) for m in maps for name in ("speed", "offset")):
        raise ValueError("speed and offset of a clock must be numbers")
    if tensors.keys() - {"motion", *(name for name in tensors if name.startswith("field."))}:
        raise ValueError("a part has tensors that nothing is known of")
    field = field_from_state(described["field"], below(tensors, "field."))
    return Part(field, tensors.get("motion"), tuple(TimeMap(**m) for m in maps))


def _check_within(name: str, numbers: Tensor, count: int) -> None:
    if numbers.numel() and not (int(numbers.min()) >= 0 and int(numbers.max()) < count):
        raise ValueError(f"{name} of the arrangement points outside of its {count} entries")


def _depth(spec: Any) -> int:
    """How deep arrangements are nested in a spec."""
    depth, layer = 0, [spec]
    while layer and depth <= DEEPEST:
        depth += 1
        fields = [entry.get("field") for s in layer for entry in s.get("parts", []) if isinstance(entry, dict)]
        layer = [f["spec"] for f in fields if isinstance(f, dict) and isinstance(f.get("spec"), dict)]
        layer = [s for s in layer if isinstance(s.get("parts"), list)]
    return depth
