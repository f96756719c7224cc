"""What was edited, as one immutable value: a few small numbers for each Gaussian, and tables that they point into."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from trase_ns.scene.clock import Clock
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation, distinct_colors

# `likeness` of what is not selected; a cosine is never so small.
UNSELECTED = -2.0


@dataclass(frozen=True, eq=False)
class SceneObject:
    """An object that a person sees in the list.

    Attributes:
        name: what it is called; free text.
        rows: [n] int64, ascending, the Gaussians that are in it.
        color: RGB in [0, 1], by which it is known in every picture.
        support: how well the masks agree that it is an object, in [0, 1].
    """

    name: str
    rows: Tensor
    color: tuple[float, float, float]
    support: float = 1.0

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Look:
    """The map of colours rgb -> matrix rgb + offset.

    Attributes:
        matrix: [3, 3] float32.
        offset: [3] float32.
    """

    matrix: Tensor
    offset: Tensor

    @staticmethod
    def identity() -> Look:
        """Return the map that changes nothing."""
        return Look(torch.eye(3), torch.zeros(3))

    def after(self, first: Look) -> Look:
        """Return the map that does `first` and then this one."""
        return Look(self.matrix @ first.matrix, self.matrix @ first.offset + self.offset)


@dataclass(frozen=True, eq=False)
class Edits:
    """An edited scene of M Gaussians, told from the trained one. Nothing in it is ever changed, only replaced.

    The first N rows are the trained Gaussians in their order, never taken away, only hidden; copies and what was
    brought in from elsewhere follow. Whatever has an entry 0 in a table is as trained. `history.Difference` keeps a
    step as the rows in which the columns differ, so operations need not know how to undo themselves.

    Attributes:
        source: [M] int64, the scene that a Gaussian is from; 0 is the trained one, others are in `sources`.
        index: [M] int64, its number there.
        placement: [M] int64, in `placements`.
        clock: [M] int64, in `clocks`.
        look: [M] int64, in `looks`.
        style: [M] int64, row of `styles` put end to end that replaces its colour; -1 for none.
        hidden: [M] bool.
        opacity: [M] float32, what its opacity is multiplied with, in [0, 1].
        likeness: [M] float32, UNSELECTED or, of a selected one, the cosine of its feature to the object that it was
            selected with (1 where it was not by an object): the paper's filter is a threshold on it.
        trained: N, the number of rows that are the trained Gaussians.
        sources: scenes that were brought in, source 1 first.
        placements: maps of positions, the identity first.
        clocks: courses of time, the one as recorded first.
        looks: maps of colours, the identity first.
        styles: blocks [R, K, 3] of harmonics coefficients.
        objects: the objects, in the order of the list.
    """

    source: Tensor
    index: Tensor
    placement: Tensor
    clock: Tensor
    look: Tensor
    style: Tensor
    hidden: Tensor
    opacity: Tensor
    likeness: Tensor
    trained: int
    sources: tuple[DynamicGaussians, ...] = ()
    placements: tuple[Similarity, ...] = field(default_factory=lambda: (Similarity.identity(),))
    clocks: tuple[Clock, ...] = ((),)
    looks: tuple[Look, ...] = field(default_factory=lambda: (Look.identity(),))
    styles: tuple[Tensor, ...] = ()
    objects: tuple[SceneObject, ...] = ()

    @staticmethod
    def none(gaussians: int, objects: tuple[SceneObject, ...] = (), device: torch.device | str = "cpu") -> Edits:
        """Return the edits of a scene of so many Gaussians that nobody has touched."""
        zeros = torch.zeros(gaussians, dtype=torch.int64, device=device)
        return Edits(
            source=zeros,
            index=torch.arange(gaussians, device=device),
            placement=zeros,
            clock=zeros,
            look=zeros,
            style=zeros - 1,
            hidden=torch.zeros(gaussians, dtype=torch.bool, device=device),
            opacity=torch.ones(gaussians, device=device),
            likeness=torch.full((gaussians,), UNSELECTED, device=device),
            trained=gaussians,
            objects=objects,
        )

    def __len__(self) -> int:
        return len(self.source)

    @property
    def columns(self) -> dict[str, Tensor]:
        """The columns by their names."""
        return {name: getattr(self, name) for name in COLUMNS}

    def selected(self, similarity: float = 0.0) -> Tensor:
        """Return bool [M], what is selected; above 0 `similarity` is the least cosine to the object."""
        return (self.likeness > UNSELECTED) & (self.likeness >= (similarity if similarity > 0 else UNSELECTED))

    def mask(self, number: int) -> Tensor:
        """Return bool [M], the Gaussians of the object at place `number` of the list."""
        mask = torch.zeros(len(self), dtype=torch.bool, device=self.source.device)
        mask[self.objects[number].rows.to(mask.device)] = True
        return mask

    def with_rows(self, rows: Tensor, **values: Tensor | float | int | bool) -> Edits:
        """Return the edits with `values` in the columns that they name, at `rows` (bool [M] or int64 [n])."""
        columns = {}
        for name, value in values.items():
            columns[name] = getattr(self, name).clone()
            columns[name][rows] = value.to(columns[name]) if isinstance(value, Tensor) else value
        return replace(self, **columns)

    def resampled(self, origin: Tensor) -> Edits:
        """Return the edits after a densification of the trained scene.

        What came from an edited or selected Gaussian is so too; copies of one that is gone are gone.

        Args:
            origin: [N'] int64, for each Gaussian that there is now the one of the N before that it came from.
        """
        count = self.trained
        extra = torch.arange(count, len(self), device=self.source.device)
        own = self.source[extra] == 0
        # Where the Gaussians are that each one before became: a run of `places` for each.
        places = torch.argsort(origin, stable=True)
        amount = torch.bincount(origin, minlength=count)
        first = amount.cumsum(0) - amount
        times = torch.where(own, amount[self.index[extra].clamp_max(count - 1)], 1)
        rows = extra.repeat_interleave(times)
        within = torch.arange(len(rows), device=rows.device) - (times.cumsum(0) - times).repeat_interleave(times)
        taken = torch.cat([origin, rows])
        index = self.index[rows].clone()
        copies = self.source[rows] == 0
        index[copies] = places[first[index[copies]] + within[copies]]
        columns = {name: column[taken] for name, column in self.columns.items()}
        columns["index"] = torch.cat([torch.arange(len(origin), device=origin.device), index])
        member = torch.zeros(len(self), dtype=torch.bool, device=taken.device)
        objects = []
        for entry in self.objects:
            member[:] = False
            member[entry.rows.to(member.device)] = True
            objects.append(replace(entry, rows=member[taken].nonzero().flatten()))
        return replace(self, **columns, trained=len(origin), objects=tuple(objects))


COLUMNS = tuple(f.name for f in fields(Edits) if f.type == "Tensor")
TABLES = tuple(f.name for f in fields(Edits) if f.type != "Tensor")


def objects_of(segmentation: Segmentation, names: tuple[str, ...] = ()) -> tuple[SceneObject, ...]:
    """Return the objects of a segmentation as entries of the list, in its order, with its colours and with `names`."""
    if len(names) != len(segmentation):
        names = tuple(f"object {number}" for number in range(len(segmentation)))
    colors = segmentation.palette.tolist()
    return tuple(
        SceneObject(
            name=names[number],
            rows=segmentation.indices[segmentation.indptr[number] : segmentation.indptr[number + 1]],
            color=(colors[number][0], colors[number][1], colors[number][2]),
            support=float(segmentation.support[number]),
        )
        for number in range(len(segmentation))
    )


def segmentation_of(edits: Edits, features: Tensor | None = None) -> Segmentation:
    """Return the objects of the list as a segmentation of M Gaussians, numbered as in the list.

    Args:
        edits: the edited scene.
        features: [M, F] its features, for the objects' mean features; None without.
    """
    return Segmentation.in_order(
        [entry.rows for entry in edits.objects],
        len(edits),
        torch.tensor([entry.support for entry in edits.objects]),
        features,
        colors=torch.tensor([entry.color for entry in edits.objects]).reshape(-1, 3),
    )


def next_color(objects: tuple[SceneObject, ...]) -> tuple[float, float, float]:
    """Return a colour that no object has."""
    taken = {entry.color for entry in objects}
    for color in distinct_colors(len(objects) + 1).tolist():
        if tuple(color) not in taken:
            return (color[0], color[1], color[2])
    raise AssertionError("there are more colours than objects")
