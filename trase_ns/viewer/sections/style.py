"""The look of a picture for the selection."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import viser
from torch import Tensor

from trase_ns.editing import operations
from trase_ns.errors import UserError
from trase_ns.viewer.sections.section import Section, Work


class Style(Section):
    """A picture, and a transfer that can be watched and cancelled."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui, icon = self.host.server.gui, viser.Icon
        self._path = gui.add_text("Picture", "", hint="A PNG or JPEG file on the viewer's machine")
        self._upload = gui.add_upload_button("From this computer", icon=icon.UPLOAD, mime_type="image/*")
        self._steps = gui.add_slider("Steps", min=20, max=1000, step=10, initial_value=200)
        self._colors = gui.add_dropdown("Colours", ["picture", "own"], hint="Those of the picture, or its own")
        self._start = gui.add_button("Transfer the style", icon=icon.PHOTO)
        self._cancel = gui.add_button("Cancel", icon=icon.X, color="orange", visible=False)
        self._progress = gui.add_progress_bar(0.0, visible=False)
        self._work = Work()
        self._uploaded: tuple[str, bytes] | None = None
        self.on_click(self._start, self._begin)
        self.on_click(self._cancel, self._work.cancel)
        self._upload.on_upload(lambda _: self.panel.attempt(self._take))

    def _take(self) -> None:
        file = self._upload.value
        self._uploaded = Path(file.name).suffix, file.content
        self._path.value = Path(file.name).name

    def _begin(self) -> None:
        from trase_ns.capture.images import read_picture
        from trase_ns.editing.style import StyleConfig, StyleTransfer

        mask = self.studio.selection()
        if mask is None:
            raise UserError("style: nothing is selected. Click an object first.")
        if self._work.busy:
            raise UserError("another style is being transferred: wait, or cancel it")
        if self._uploaded is not None and self._path.value:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"picture{self._uploaded[0]}"
                path.write_bytes(self._uploaded[1])
                picture = read_picture(path)
        else:
            picture = read_picture(Path(self._path.value))
        config = StyleConfig(steps=int(self._steps.value), colors="own" if self._colors.value == "own" else "picture")
        self.panel.say("transferring the style ...")
        self._progress.value, self._progress.visible = 0.0, True
        self._start.visible, self._cancel.visible = False, True
        scene = self.studio.scene()
        self._work.start(
            lambda: self._run(lambda: StyleTransfer(scene, mask, picture, list(self.host.cameras), config), mask)
        )

    def _run(self, prepare: Any, mask: Tensor) -> None:
        """Transfer the style in a thread of its own; previews take each other's place as one step of the history."""

        applied = []

        def apply(harmonics: Tensor) -> None:
            if len(mask) != len(self.studio.edits):
                raise UserError("style: the scene has changed meanwhile; the style was not applied")
            self.studio.edit_live(
                f"style {id(mask)}", "style", lambda edits, rows: operations.restyle(edits, mask, harmonics)
            )
            applied[:] = [self.studio.edits]

        def progress(done: int, total: int, loss: float) -> None:
            self._progress.value = 100.0 * done / total

        def transfer() -> None:
            def show(harmonics: Tensor) -> None:
                self.panel.attempt(lambda: apply(harmonics))

            harmonics = prepare().run(progress, lambda: self._work.cancelled, show)
            if harmonics is None:
                if applied and applied[0] is self.studio.edits:
                    self.studio.undo()  # the latest preview
                self.panel.say("the style was cancelled; everything is as it was")
            else:
                show(harmonics)

        try:
            self.panel.attempt(transfer, locked=False)
        finally:
            self._progress.visible = self._cancel.visible = False
            self._start.visible = True
