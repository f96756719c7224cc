"""Tools of the studio that change the selection by more than clicks, or the list of objects as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trase_ns.editing.edits import Edits, objects_of
from trase_ns.editing.studio import Mode, Studio
from trase_ns.errors import UserError
from trase_ns.segmentation import growing

if TYPE_CHECKING:
    from trase_ns.scene.camera import Camera
    from trase_ns.segmentation.regions import Region
    from trase_ns.segmentation.text_support import TextSupport


def select_region(studio: Studio, region: Region, mode: Mode = "add") -> None:
    """Change the selection by what a rectangle or a scribble means; see `regions.select_region`.

    Raises:
        UserError: it is outside the picture or on nothing, or changes nothing.
    """
    from trase_ns.segmentation.regions import Rectangle, select_region

    scene = studio.scene()
    chosen = select_region(scene, studio.segmentation(), region, at=partial(studio.moments.at, scene))
    label = "rectangle" if isinstance(region, Rectangle) else "scribble"
    studio.select(label, chosen.mask, mode, chosen.objects)
    studio.message = " ".join(chosen.notes)


def select_text(studio: Studio, support: TextSupport, share: float, mode: Mode = "replace") -> None:
    """Change the selection by what a text means, with at least this share of support.

    Raises:
        UserError: the scene has changed since the support was measured, or nothing has so much support.
    """
    if len(support.support) != (len(studio.edits) if support.segmentation is None else len(studio.objects)):
        raise UserError("the objects have changed since the text was looked for: look for it again")
    chosen = support.select(share)
    if not len(chosen):
        raise UserError(" ".join(chosen.notes) or f"nothing has a support of {share:g}: lower the share")
    studio.select(f"text: {support.text}"[:100], chosen.mask, mode, chosen.objects)


def grow(studio: Studio, time: float, radius: float = 1.0) -> None:
    """Add what lies within `radius` usual distances of the selection at `time`."""
    mask, points = _selected(studio, "grow"), _points(studio, time)
    studio.select("grow", growing.grow(points, mask, radius) & ~studio.edits.hidden)


def shrink(studio: Studio, time: float, radius: float = 1.0) -> None:
    """Take away what lies within `radius` usual distances of what is not selected."""
    mask, points = _selected(studio, "shrink"), _points(studio, time)
    studio.select("shrink", growing.shrink(points, mask, radius), "replace")


def tidy(studio: Studio, time: float) -> None:
    """Fill the holes of the selection and take specks off it that lie apart."""
    mask, points = _selected(studio, "tidy"), _points(studio, time)
    filled = growing.fill_holes(points, mask) & ~studio.edits.hidden
    studio.select("tidy", growing.remove_specks(points, filled), "replace")


def remove_with_remains(studio: Studio, cameras: Sequence[Camera]) -> None:
    """Remove the selection and what only it hid; see `remains`. What it hid is told by the studio's message.

    Args:
        studio: the studio.
        cameras: the views that the scene was trained with.

    Raises:
        UserError: nothing is selected.
    """
    from trase_ns.editing.operations import hide
    from trase_ns.segmentation.remains import remains

    scene, mask = studio.scene(), _selected(studio, "remove")
    found = remains(scene, mask, cameras, at=partial(studio.moments.at, scene))
    studio.edit("remove with remains", lambda edits, rows: hide(edits, rows | found))
    studio.message = f"{int(found.sum()):,} Gaussians that only it hid went with it"


def grow_to_similar(studio: Studio, similarity: float, nearby: bool, time: float) -> None:
    """Add the Gaussians whose feature, or colour, is like the selection's.

    Args:
        studio: the studio.
        similarity: least likeness, see `growing.likeness`.
        nearby: only those that hang together with the selection through others like them.
        time: moment for that.

    Raises:
        UserError: nothing is selected, `similarity` is no number, or nothing is so similar.
    """
    if similarity is None or similarity != similarity:
        raise UserError(f"similarity {similarity}: use a number from 0 to 1")
    mask = _selected(studio, "grow to similar")
    radius = 3.0 if nearby else None
    grown = growing.grow_to_similar(studio.scene(), mask, similarity, radius, _points(studio, time))
    studio.select("grow to similar", grown & ~studio.edits.hidden)


def split_into_pieces(studio: Studio, number: int, time: float) -> None:
    """Make objects of the pieces of an object that do not hang together at `time`."""
    entry = studio.objects[number]
    mask = studio.edits.mask(number)
    labels = growing.pieces(_points(studio, time), mask, smallest=0.05)
    count = int(labels.max()) + 1
    if count < 2:
        raise UserError(f"{entry.name} hangs together: there is nothing to split. Select a part of it instead.")

    def split(edits: Edits) -> Edits:
        from trase_ns.editing.operations import split

        for piece in range(1, count):
            edits = split(edits, number, labels == piece, f"{entry.name} {piece + 1}"[:100])
        return edits

    studio.change(f"split {entry.name} into {count}", split)


def regroup(studio: Studio, granularity: float) -> None:
    """Find the objects anew, coarser or finer, without training; names and colours begin anew.

    Raises:
        UserError: granularity is not in [0, 1], or there is nothing to group by.
    """
    from trase_ns.segmentation.regrouping import regroup

    scene, trained = studio.scene(), studio.trained_objects()
    count = studio.edits.trained
    if trained is not None and trained.gaussians != count:
        trained = None
    found = regroup(scene.subset(torch.arange(count, device=scene.device)), granularity, trained)
    kept = tuple(entry for entry in studio.objects if len(entry.rows) and int(entry.rows[-1]) >= count)
    objects = (*objects_of(found.to(scene.device)), *kept)
    studio.change(f"objects anew ({granularity:.2f})", lambda edits: replace(edits, objects=objects))


def _selected(studio: Studio, tool: str) -> Tensor:
    mask = studio.selection()
    if mask is None:
        raise UserError(f"{tool}: nothing is selected. Click an object first.")
    return mask


def _points(studio: Studio, time: float) -> Tensor:
    return studio.moments.at(studio.scene(), time).means
