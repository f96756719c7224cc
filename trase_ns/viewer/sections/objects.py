"""The list of the objects: small pictures, names, visibility; merging, splitting and finding them anew."""

from __future__ import annotations

import base64
import io
from typing import Any

import torch
import viser

from trase_ns.editing import operations, tools
from trase_ns.editing.edits import SceneObject
from trase_ns.errors import UserError
from trase_ns.viewer.sections.section import Section, Work
from trase_ns.viewer.text import plain

LISTED = 24  # objects at a time
PICTURE = 40  # pixels
BORDER = 4


class Objects(Section):
    """The list, and what can be done to the object that is picked in it."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui, icon = self.host.server.gui, viser.Icon
        self._pick = gui.add_dropdown("Object", ["none"], hint="Picking one highlights it in the picture")
        self._name = gui.add_text("Name", "", hint="Another name for the object")
        self._use = gui.add_button_group("Selection", ["Only", "Add", "Sub"])
        self._sight = gui.add_button_group("Sight", ["Show", "Hide", "Solo"])
        self._everything = gui.add_button("Everything", icon=icon.PALETTE, hint="All objects in their colours")
        self._show_all = gui.add_button("Show all", icon=icon.EYE, hint="Bring back what was removed or hidden")
        with gui.add_folder("Merge, split, find anew", expand_by_default=False):
            self._other = gui.add_dropdown("With", ["none"], hint="The object to merge the picked one with")
            self._merge = gui.add_button("Merge", icon=icon.GIT_MERGE)
            self._split = gui.add_button(
                "Selection to object", icon=icon.SCISSORS, hint="What is selected becomes an object of its own"
            )
            self._pieces = gui.add_button("Split into pieces", icon=icon.SCISSORS, hint="Pieces that do not touch")
            self._forget = gui.add_button("Forget object", icon=icon.X, hint="Off the list; its Gaussians stay")
            self._granularity = gui.add_slider("Granularity", min=0.0, max=1.0, step=0.05, initial_value=0.5)
            self._regroup = gui.add_button(
                "Find objects anew", icon=icon.REFRESH, hint="Coarser (0) or finer (1), without training; can be undone"
            )
        self._page = gui.add_button_group("Page", ["Before", "Next"], visible=False)
        self._list = gui.add_markdown("")
        self._at = 0  # page of the list
        self._shown: tuple[SceneObject, ...] | None = None
        self._pictures: dict[int, tuple[torch.Tensor, str]] = {}  # by the rows that they show
        self._painting = Work()

        self.on_update(self._pick, self._picked)
        self.on_update(self._name, self._rename)
        self.on_click(self._use, self._select)
        self.on_click(self._sight, self._set_sight)
        self.on_click(self._everything, lambda: self.host.show_output("segments"))
        self.on_click(self._show_all, self.studio.show_all)
        self.on_click(self._merge, self._merge_both)
        self.on_click(self._split, self.studio.split_selection)
        self.on_click(self._pieces, lambda: tools.split_into_pieces(self.studio, self._number(), self.host.time))
        self.on_click(self._forget, lambda: self._change("forget", operations.forget_object))
        self.on_click(self._regroup, lambda: tools.regroup(self.studio, self._granularity.value))
        self.on_click(self._page, self._turn)

    def show(self) -> None:
        """Show the list as it is now."""
        objects = self.studio.objects
        if self._shown is None or objects is not self._shown:
            self._shown = objects
            names = [label(number, entry) for number, entry in enumerate(objects)] or ["none"]
            for dropdown in (self._pick, self._other):
                number = min(_number_of(dropdown.value), len(names) - 1)
                dropdown.options = tuple(names)
                dropdown.value = names[number]
            pages = max(1, -(-len(objects) // LISTED))
            self._page.visible = pages > 1
            self._at = min(self._at, pages - 1)
            self._show_name()
            self._paint()
        self._write()

    def _number(self) -> int:
        """The place of the object that is picked."""
        if not self.studio.objects:
            raise UserError("there are no objects yet: they are found at the end of training")
        return min(_number_of(self._pick.value), len(self.studio.objects) - 1)

    def _picked(self) -> None:
        """Highlight the object, as a selection that can be undone."""
        self._show_name()
        self.studio.select_object(self._number(), "replace")
        self.host.show_output("selection")

    def _show_name(self) -> None:
        objects = self.studio.objects
        self._name.value = objects[self._number()].name if objects else ""

    def _rename(self) -> None:
        number, name = self._number(), self._name.value
        try:
            if name != self.studio.objects[number].name:
                self.studio.change("rename", lambda edits: operations.rename(edits, number, name))
        finally:
            self._show_name()  # of a name that is refused, or cut, what is kept

    def _select(self) -> None:
        mode = {"Only": "replace", "Add": "add", "Sub": "subtract"}[self._use.value]
        self.studio.select_object(self._number(), mode)  # type: ignore[arg-type]
        self.host.show_output("selection")

    def _set_sight(self) -> None:
        number = self._number()
        if self._sight.value == "Solo":
            self._change("isolate", lambda edits, n: operations.isolate(edits, edits.mask(n)))
        else:
            self.studio.set_visible(number, self._sight.value == "Show")

    def _merge_both(self) -> None:
        numbers = [self._number(), min(_number_of(self._other.value), len(self.studio.objects) - 1)]
        self.studio.change("merge", lambda edits: operations.merge(edits, numbers))

    def _change(self, verb: str, operation: Any) -> None:
        number = self._number()
        name = self.studio.objects[number].name
        self.studio.change(f"{verb} {name}", lambda edits: operation(edits, number))

    def _turn(self) -> None:
        pages = max(1, -(-len(self.studio.objects) // LISTED))
        self._at = (self._at + (1 if self._page.value == "Next" else -1)) % pages
        self._write()

    def _write(self) -> None:
        """Write the table of a page of the list."""
        objects, hidden = self.studio.objects, self.studio.edits.hidden
        start = self._at * LISTED
        rows = ["| | object | Gaussians | |", "|---|---|---:|---|"]
        for number in range(start, min(start + LISTED, len(objects))):
            entry = objects[number]
            picture = self._pictures.get(id(entry.rows), (None, _swatch(entry.color)))[1]
            sight = "hidden" if len(entry) and bool(hidden[entry.rows].all()) else ""
            name = plain(f"{number}: {entry.name}")
            rows.append(f'| <img src="{picture}" width="{PICTURE}" /> | {name} | {len(entry):,} | {sight} |')
        self._list.content = "\n".join(rows) if objects else "*No objects yet: they are found at the end of training.*"

    def _paint(self) -> None:
        """Make the small pictures that are missing, beside everything else."""
        cameras = self.host.cameras
        if cameras and self.panel.settled():
            paint = lambda: self._paint_all(list(cameras))  # noqa: E731
            self._painting.start(lambda: self.panel.attempt(paint, locked=False))

    def _paint_all(self, cameras: list) -> None:
        from trase_ns.segmentation.portrait import portrait, spread_views, visible_shares

        views = spread_views(cameras)
        while True:
            edits, scene = self.studio.edits, self.studio.scene()
            missing = [number for number, entry in enumerate(edits.objects) if self._unpainted(entry)]
            if not missing or len(scene) != len(edits):  # the latter where training goes on
                break
            shares = visible_shares(scene, views)
            for number in missing:
                entry = edits.objects[number]
                picture = portrait(scene, edits.mask(number), views, PICTURE, shares)
                self._pictures[id(entry.rows)] = entry.rows, _framed(picture, entry.color)
                if self.studio.edits.objects is not edits.objects:
                    break  # there may be others now
                if number % 8 == 7:
                    self._write()
        self._write()

    def _unpainted(self, entry: SceneObject) -> bool:
        return len(entry) > 0 and id(entry.rows) not in self._pictures


def label(number: int, entry: SceneObject) -> str:
    """What an object is called in a dropdown: names may be the same, numbers are not."""
    return f"{number}: {entry.name}"


def _number_of(text: str) -> int:
    number = text.split(":")[0]
    return int(number) if number.isdecimal() and len(number) < 10 else 0


def _framed(picture: torch.Tensor, color: tuple[float, float, float]) -> str:
    """A picture [S, S, 3] uint8 in a frame of the object's colour, as an address that a page shows."""
    picture = picture.clone()
    frame = (torch.tensor(color) * 255).round().to(torch.uint8)
    for edge in (picture[:BORDER], picture[-BORDER:], picture[:, :BORDER], picture[:, -BORDER:]):
        edge[:] = frame
    return _address(picture)


def _swatch(color: tuple[float, float, float]) -> str:
    return _address((torch.tensor(color) * 255).round().to(torch.uint8).expand(8, 8, 3))


def _address(picture: torch.Tensor) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture.contiguous().numpy()).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
