"""Editing the selection: removing, colours, place, time, copies, and what is brought in from elsewhere."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import viser
import viser.transforms

from trase_ns.editing import operations, tools
from trase_ns.editing.edits import Edits
from trase_ns.editing.exporting import file_name
from trase_ns.errors import UserError
from trase_ns.scene import clock
from trase_ns.scene.similarity import Similarity
from trase_ns.viewer.sections.section import Section

TIMES = ("as recorded", "stand still here", "later", "earlier", "half speed", "double speed", "backwards", "loop twice")


class Editing(Section):
    """What is done to the selection. Sliders work as they move; a further move takes the place of the one before."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui, icon = self.host.server.gui, viser.Icon
        self._remove = gui.add_button("Remove", icon=icon.TRASH, hint="From every picture and export; can be undone")
        self._remove_with_remains = gui.add_button(
            "Remove with remains",
            icon=icon.TRASH_X,
            hint="Also what only the selection hid: specks that no picture ever showed. Takes some seconds",
        )
        self._isolate = gui.add_button("Isolate", icon=icon.FOCUS, hint="Hide everything else")
        with gui.add_folder("Colour"):
            self._color = gui.add_rgb("Colour", (230, 60, 40))
            self._mode = gui.add_dropdown("Mode", ["tint", "replace"], hint="A tint keeps light and dark")
            self._strength = gui.add_slider("Strength", min=0.0, max=1.0, step=0.05, initial_value=1.0)
            self._recolor = gui.add_button("Recolour", icon=icon.PALETTE)
            self._opacity = gui.add_slider("Opacity", min=0.0, max=1.0, step=0.05, initial_value=1.0)
        with gui.add_folder("Place"):
            self._move = gui.add_button(
                "Move with a gizmo", icon=icon.ARROWS_MOVE, hint="Drag arrows, squares and rings"
            )
            self._end_move = gui.add_button("End moving", icon=icon.CHECK, color="orange", visible=False)
            self._size = gui.add_slider("Size", min=0.1, max=4.0, step=0.05, initial_value=1.0)
            self._duplicate = gui.add_button("Duplicate", icon=icon.COPY, hint="The copy becomes the selection")
        with gui.add_folder("Time"):
            self._time = gui.add_dropdown("Course", TIMES, hint="Another course of time for the selection")
            self._delay = gui.add_slider(
                "By", min=0.0, max=1.0, step=0.01, initial_value=0.25, hint="Share of the time"
            )
            self._retime = gui.add_button("Retime", icon=icon.CLOCK)
        with gui.add_folder("Bring in", expand_by_default=False):
            self._path = gui.add_text("File", "", hint="A portable scene (.safetensors) or PLY on the viewer's machine")
            self._bring = gui.add_button("Bring in", icon=icon.PLUS)
            self._upload = gui.add_upload_button("From this computer", icon=icon.UPLOAD, mime_type="*/*")
        self._reset = gui.add_button("Undo all edits of the selection", icon=icon.ERASER)
        self._gizmo: viser.TransformControlsHandle | None = None
        self._start: tuple[torch.Tensor, np.ndarray] | None = None
        self._stands_at: Edits | None = None  # what the gizmo was put to, or has led to
        self._placing = False

        self.on_click(self._remove, lambda: self._hide("remove", operations.hide))
        self.on_click(self._remove_with_remains, self._hide_with_remains)
        self.on_click(self._isolate, lambda: self._hide("isolate", operations.isolate))
        self.on_click(self._recolor, self._do_recolor)
        self.on_update(self._opacity, self._fade)
        self.on_click(self._move, self._start_moving)
        self.on_click(self._end_move, self.end_move)
        self.on_update(self._size, self._place)
        self.on_click(self._duplicate, self._do_duplicate)
        self.on_click(self._retime, self._do_retime)
        self.on_click(self._bring, lambda: self.bring_in(Path(self._path.value)))
        self._upload.on_upload(lambda _: self.panel.attempt(self._uploaded))
        self.on_click(self._reset, lambda: self.studio.edit("reset", operations.reset))

    def show(self) -> None:
        """Show the selection's opacity, and put the gizmo to where it is; end moving when nothing is left to move."""
        self._show_opacity()
        if self._gizmo is None or self._placing or self.studio.edits is self._stands_at:
            return
        if self.studio.selection() is None:
            self.end_move()
        else:
            self._begin_move()

    def _hide(self, label: str, operation: Any) -> None:
        self.studio.edit(label, operation)
        self.host.show_output("rgb")

    def _hide_with_remains(self) -> None:
        self.panel.say("looking for what the selection hides ...")
        tools.remove_with_remains(self.studio, self.host.cameras)
        self.panel.say(self.studio.message)
        self.host.show_output("rgb")

    def _do_recolor(self) -> None:
        red, green, blue = (value / 255 for value in self._color.value)
        strength, mode = self._strength.value, "replace" if self._mode.value == "replace" else "tint"
        operation = partial(operations.recolor, color=(red, green, blue), strength=strength, mode=mode)
        self.studio.edit("recolour", operation)
        self.host.show_output("rgb")

    def _show_opacity(self) -> None:
        """Put the slider to the selection's opacity, as after an undo."""
        rows = self.studio.selection()
        shown = 1.0 if rows is None else round(float(self.studio.edits.opacity[rows].mean()), 2)
        if self._opacity.value != shown:
            self._opacity.value = shown

    def _fade(self) -> None:
        self.studio.edit_live("opacity", "opacity", partial(operations.fade, opacity=self._opacity.value))

    def _do_duplicate(self) -> None:
        self.end_move()
        self.studio.edit("duplicate", partial(operations.duplicate, name="copy"))
        self.host.show_output("selection")

    # Place

    def _start_moving(self) -> None:
        self.panel.selecting.stop()  # drags of the gizmo are no clicks
        self._begin_move()

    def _begin_move(self) -> None:
        """Put a gizmo where the selection is now."""
        if self.studio.selection() is None:
            raise UserError("move: nothing is selected. Click an object first.")
        self.end_move()
        centre = self.studio.centre(self.host.time)
        self._start = centre, self.host.to_page(centre.numpy(force=True))
        self._size.value = 1.0
        self._gizmo = self.host.server.scene.add_transform_controls(
            "/trase/move", scale=self._gizmo_size(), position=self._start[1], depth_test=False, opacity=0.9
        )
        self._gizmo.on_update(lambda _: self.panel.attempt(self._place))
        self._stands_at = self.studio.edits
        self._move.visible, self._end_move.visible = False, True

    def end_move(self) -> None:
        """Take the gizmo away; where the selection is, it stays."""
        if self._gizmo is not None:
            self._gizmo.remove()
        self._gizmo = self._start = self._stands_at = None
        self._move.visible, self._end_move.visible = True, False

    def _place(self) -> None:
        """Put the selection where the gizmo stands, with the size of the slider."""
        if self._gizmo is None or self._start is None:
            if self._size.value == 1.0:
                return
            raise UserError("size: “Move with a gizmo” first, then change the size")
        centre, at = self._start
        shift = self.host.to_scene(np.asarray(self._gizmo.position) - at)
        rotation = viser.transforms.SO3(np.asarray(self._gizmo.wxyz)).as_matrix()
        similarity = Similarity.about(
            centre, torch.from_numpy(rotation), torch.from_numpy(shift), float(self._size.value)
        )
        self._placing = True
        try:
            self.studio.edit_live(f"move {id(self._gizmo)}", "move", partial(operations.place, similarity=similarity))
            self._stands_at = self.studio.edits
        finally:
            self._placing = False

    def _gizmo_size(self) -> float:
        """As large as the selection, in the page's units."""
        means = self.studio.moments.at(self.studio.scene(), self.host.time).means[self.studio.selection()]
        low, high = means.quantile(0.1, dim=0), means.quantile(0.9, dim=0)
        return float(np.clip(self.host.scale * float((high - low).max()), 0.1, 10.0))

    # Time

    def _do_retime(self) -> None:
        course, by = self._time.value, self._delay.value
        if not math.isfinite(by):
            raise UserError(f"time: {by} is no share of the time")
        now = self.host.time
        maps = {
            "stand still here": clock.frozen(now),
            "later": clock.shifted(by),
            "earlier": clock.shifted(-by),
            "half speed": clock.at_speed(0.5, now),
            "double speed": clock.at_speed(2.0, now),
            "backwards": clock.backwards(),
            "loop twice": clock.at_speed(2.0, wrap="loop"),
        }
        if course == "as recorded":
            self.studio.edit("time as recorded", lambda edits, rows: edits.with_rows(rows, clock=0))
        else:
            self.studio.edit(f"time: {course}", partial(operations.retime, time_map=maps[course]))

    # From elsewhere

    def bring_in(self, path: Path, name: str | None = None) -> None:
        """Put a scene from a file into this one, as large and in the place as it is there, by default by its name."""
        from trase_ns.scene.reading import read_scene

        scene, name = read_scene(path).to(self.studio.scene().device), name or path.stem
        self.studio.change(f"bring in {name}"[:100], lambda edits: operations.bring_in(edits, scene, name))
        self.host.show_output("selection")

    def _uploaded(self) -> None:
        import tempfile

        file = self._upload.value
        name = Path(file.name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{file_name(name.stem)}.{file_name(name.suffix)}"
            path.write_bytes(file.content)
            self.bring_in(path, name.stem)
