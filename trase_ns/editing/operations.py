"""What can be done to an edited scene: pure functions from edits to edits. `History` makes undo of any of them.

Every `rows` is bool [M], the Gaussians that are meant; the rest stays as it is, exactly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from trase_ns.editing.edits import COLUMNS, UNSELECTED, Edits, Look, SceneObject, next_color
from trase_ns.errors import UserError
from trase_ns.scene.clock import TimeMap
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity

LARGEST = 1e6  # factor of a size, and move in units of the scene
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear Rec. 709 primaries


def select(edits: Edits, rows: Tensor, likeness: Tensor | None = None) -> Edits:
    """Make `rows` the selection.

    Args:
        edits: the edited scene.
        rows: bool [M].
        likeness: [M] cosine of each one's feature to the object that it is selected with; 1 by default.
    """
    values = torch.ones_like(edits.likeness) if likeness is None else likeness.to(edits.likeness)
    return replace(edits, likeness=torch.where(rows, values.clamp_min(-1.0), UNSELECTED))


def hide(edits: Edits, rows: Tensor) -> Edits:
    """Remove `rows` from every picture and export; `show` brings them back."""
    return edits.with_rows(rows, hidden=True)


def show(edits: Edits, rows: Tensor) -> Edits:
    """Show `rows` again where they were hidden."""
    return edits.with_rows(rows, hidden=False)


def isolate(edits: Edits, rows: Tensor) -> Edits:
    """Hide everything but `rows`, and show those."""
    return replace(edits, hidden=~rows)


def fade(edits: Edits, rows: Tensor, opacity: float) -> Edits:
    """Multiply the trained opacity of `rows` with `opacity` in [0, 1]."""
    return edits.with_rows(rows, opacity=_in_range("opacity", opacity, 0.0, 1.0))


def recolor(
    edits: Edits,
    rows: Tensor,
    color: tuple[float, float, float],
    strength: float = 1.0,
    mode: Literal["tint", "replace"] = "tint",
) -> Edits:
    """Change the colour of `rows`.

    Args:
        edits: the edited scene.
        rows: bool [M].
        color: RGB in [0, 1].
        strength: share of the new colour, in [0, 1].
        mode: "tint" keeps light and dark, "replace" makes everything the one colour.
    """
    strength = _in_range("strength", strength, 0.0, 1.0)
    target = torch.tensor([_in_range("color", value, 0.0, 1.0) for value in color])
    kept = (1.0 - strength) * torch.eye(3)
    if mode == "replace":
        look = Look(kept, strength * target)
    elif mode == "tint":
        # Of middle brightness the colour itself comes out; a dark one not darker than it must be.
        weights = torch.tensor(LUMINANCE)
        bright = target / torch.clamp(target @ weights, min=0.25)
        look = Look(kept + strength * torch.outer(bright, weights), torch.zeros(3))
    else:
        raise UserError(f"recolour mode {mode!r}: use tint or replace")
    looks, look_of = _renumbered(edits.looks, edits.look, rows, look.after)
    return replace(edits, looks=looks, look=look_of)


def restyle(edits: Edits, rows: Tensor, harmonics: Tensor) -> Edits:
    """Replace the colour of `rows` by harmonics coefficients [n, K, 3], n the number of `rows`."""
    count = int(rows.sum())
    if harmonics.ndim != 3 or len(harmonics) != count or harmonics.shape[2] != 3:
        raise ValueError(f"harmonics of shape {tuple(harmonics.shape)} do not fit {count} Gaussians")
    start = sum(len(block) for block in edits.styles)
    numbers = torch.arange(start, start + count, device=edits.style.device)
    edits = edits.with_rows(rows, style=numbers, look=0)
    return replace(edits, styles=(*edits.styles, harmonics.detach().cpu()))


def place(edits: Edits, rows: Tensor, similarity: Similarity) -> Edits:
    """Move, turn and grow `rows` in the scene's world, at all times and on top of how they move."""

    def placed(before: Similarity) -> Similarity:
        after = similarity.after(before) if _is_sound(similarity) else similarity
        if not _is_sound(after):
            raise UserError("a move, turn or size that is not finite, or far too large or small, was refused")
        return after

    placements, placement = _renumbered(edits.placements, edits.placement, rows, placed)
    return replace(edits, placements=placements, placement=placement)


def retime(edits: Edits, rows: Tensor, time_map: TimeMap) -> Edits:
    """Give `rows` another course of time, on top of the one that they have."""
    clocks, clock = _renumbered(edits.clocks, edits.clock, rows, lambda old: (time_map, *old))
    return replace(edits, clocks=clocks, clock=clock)


def reset(edits: Edits, rows: Tensor) -> Edits:
    """Take all edits of `rows` back: place, time, colour, opacity and hiding."""
    return edits.with_rows(rows, placement=0, clock=0, look=0, style=-1, hidden=False, opacity=1.0)


def duplicate(edits: Edits, rows: Tensor, name: str = "copy") -> Edits:
    """Copy `rows` with their edits; the copy is a new object and becomes the selection."""
    taken = rows.nonzero().flatten()
    columns = {column: torch.cat([getattr(edits, column), getattr(edits, column)[taken]]) for column in COLUMNS}
    return _appended(replace(edits, **columns), len(taken), name)


def bring_in(
    edits: Edits, scene: DynamicGaussians, name: str, similarity: Similarity | None = None, clock: TimeMap | None = None
) -> Edits:
    """Put another scene into this one; it is a new object and becomes the selection.

    Args:
        edits: the edited scene.
        scene: what to put in, at rest or moving.
        name: what to call it.
        similarity: from its world to this one's; as it is by default.
        clock: its course of time; as recorded by default.
    """
    count = len(scene)
    if not count:
        raise UserError(f"{name} holds no Gaussians: there is nothing to bring in")
    new = Edits.none(count, device=edits.source.device)
    columns = {column: torch.cat([getattr(edits, column), getattr(new, column)]) for column in COLUMNS}
    columns["source"][len(edits) :] = len(edits.sources) + 1
    sources = (*edits.sources, scene.detach())
    edits = _appended(replace(edits, **columns, sources=sources), count, name)
    rows = edits.likeness > UNSELECTED
    if similarity is not None:
        edits = place(edits, rows, similarity)
    return edits if clock is None else retime(edits, rows, clock)


def rename(edits: Edits, number: int, name: str) -> Edits:
    """Call the object at place `number` of the list `name`; at most 100 characters that can be printed are kept."""
    name = "".join(character for character in name if character.isprintable()).strip()[:100]
    if not name:
        raise UserError("an object needs a name of at least one character that can be printed")
    return _with_object(edits, number, replace(edits.objects[number], name=name))


def merge(edits: Edits, numbers: list[int]) -> Edits:
    """Make one object of several; it has the name and colour of the first."""
    if len(set(numbers)) < 2:
        raise UserError("merging takes at least two objects")
    first = edits.objects[numbers[0]]
    rows = torch.cat([edits.objects[number].rows for number in numbers]).unique()
    support = max(edits.objects[number].support for number in numbers)
    kept = [entry for number, entry in enumerate(edits.objects) if number not in numbers[1:]]
    kept[kept.index(first)] = replace(first, rows=rows, support=support)
    return replace(edits, objects=tuple(kept))


def split(edits: Edits, number: int, rows: Tensor, name: str | None = None) -> Edits:
    """Make the `rows` in the object at place `number` an object of their own, at the end of the list."""
    entry = edits.objects[number]
    inside = rows[entry.rows]
    if not bool(inside.any()) or bool(inside.all()):
        raise UserError(f"{entry.name} cannot be split: select a part of it first, neither nothing nor all of it")
    part = SceneObject(
        name or f"part of {entry.name}"[:100], entry.rows[inside], next_color(edits.objects), entry.support
    )
    edits = _with_object(edits, number, replace(entry, rows=entry.rows[~inside]))
    return replace(edits, objects=(*edits.objects, part))


def add_object(edits: Edits, rows: Tensor, name: str) -> Edits:
    """Make `rows` a new object at the end of the list; it may overlap others."""
    if not bool(rows.any()):
        raise UserError("nothing is selected: an object needs Gaussians")
    entry = SceneObject("new", rows.nonzero().flatten(), next_color(edits.objects))
    edits = replace(edits, objects=(*edits.objects, entry))
    return rename(edits, len(edits.objects) - 1, name)


def forget_object(edits: Edits, number: int) -> Edits:
    """Take an object off the list; its Gaussians stay as they are."""
    return replace(edits, objects=edits.objects[:number] + edits.objects[number + 1 :])


def _with_object(edits: Edits, number: int, entry: SceneObject) -> Edits:
    return replace(edits, objects=(*edits.objects[:number], entry, *edits.objects[number + 1 :]))


def _appended(edits: Edits, count: int, name: str) -> Edits:
    """Make the last `count` rows an object and the selection."""
    rows = torch.zeros(len(edits), dtype=torch.bool, device=edits.source.device)
    rows[len(edits) - count :] = True
    return add_object(select(edits, rows), rows, name)


def _renumbered(table: tuple, column: Tensor, rows: Tensor, change) -> tuple[tuple, Tensor]:
    """Add what `change` makes of each entry of `table` that `rows` use, and point `rows` there."""
    column = column.clone()
    used = column[rows]
    entries = list(table)
    renumbered = used.clone()
    for old in used.unique().tolist():
        renumbered[used == old] = len(entries)
        entries.append(change(table[old]))
    column[rows] = renumbered
    return tuple(entries), column


def _is_sound(similarity: Similarity) -> bool:
    """Whether what it places stays where numbers of single precision are good for something."""
    if not 1 / LARGEST <= similarity.scale <= LARGEST:
        return False
    far = (similarity.scale * similarity.translation.double()).abs().max() <= LARGEST
    return bool(far and torch.isfinite(similarity.rotation).all())


def _in_range(what: str, value: float, low: float, high: float) -> float:
    """`value` brought into [low, high].

    Raises:
        UserError: it is not a number.
    """
    if value is None or value != value:
        raise UserError(f"{what} {value}: use a number from {low:g} to {high:g}")
    return float(min(max(value, low), high))
