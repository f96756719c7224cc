"""Exporting what is selected, the objects one by one, or the edited scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import viser

from trase_ns.editing import exporting
from trase_ns.errors import UserError
from trase_ns.viewer.sections.section import Section, Work

FORMS = {
    "this moment": "moment",
    "sequence of all moments": "sequence",
    "moving, in one file": "moving",
    "trajectory (CSV)": "trajectory",
}
MASKS = "masks of all frames (COCO)"
LABELS = "label images of all frames"
LARGEST = 1 << 28  # bytes that are sent to a page
LONGEST = 200  # characters of the folder's name


class Exporting(Section):
    """What, how and in which coordinates; the files go beside the session and, if they are few, to the page."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui, icon = self.host.server.gui, viser.Icon
        self._what = gui.add_dropdown("What", ["selection", "scene", "objects"], hint="Objects: each in its own file")
        self._form = gui.add_dropdown("As", [*FORMS, MASKS, LABELS])
        self._format = gui.add_dropdown("Format", exporting.FORMATS, hint="Of moments and sequences")
        self._world = gui.add_dropdown("Coordinates", ["as trained", "of the data set"])
        self._ids = gui.add_checkbox("Ids as a column", False, hint="Some viewers stumble over it")
        self._folder = gui.add_text("Folder", "exports", hint="In the folder of the run")
        self._overwrite = gui.add_checkbox("Overwrite", False)
        self._export = gui.add_button("Export", icon=icon.DOWNLOAD)
        self._cancel = gui.add_button("Cancel export", icon=icon.X, color="orange", visible=False)
        self._work = Work()
        self._export.on_click(lambda event: self.panel.attempt(lambda: self._start(event.client)))
        self.on_click(self._cancel, self._work.cancel)

    def _start(self, client: Any) -> None:
        if self._work.busy:
            raise UserError("another export is running: wait, or cancel it")
        if self._form.value in (MASKS, LABELS):
            self._start_masks()
            return
        folder, options = self._output_dir(), self._options()
        found = exporting.items(self.studio, self._what.value)  # type: ignore[arg-type]
        surroundings = exporting.Surroundings(
            self.host.cameras, background=self.panel.place.background, data_world=self._data_world()
        )

        def write() -> None:
            files: list[Path] = []
            for item in found:
                if self._work.cancelled:
                    raise UserError(f"the export was cancelled after {len(files)} of {len(found)}.")
                cancelled = lambda: self._work.cancelled  # noqa: E731
                files += exporting.export(self.studio, item, folder, options, surroundings, cancelled)
            total = sum(file.stat().st_size for file in files if file.is_file())
            if client is not None and len(files) == 1 and files[0].is_file() and total <= LARGEST:
                client.send_file_download(files[0].name, files[0].read_bytes())
            self.panel.say(f"wrote {files[0]}" if len(files) == 1 else f"wrote {len(files)} files to {folder}")

        self._run(write)

    def _start_masks(self) -> None:
        """Write where the selection, or each object, is seen from each camera of the data set."""
        from trase_ns.evaluation.picture_files import picture_names
        from trase_ns.evaluation.rendered_masks import write_coco_masks, write_label_images

        folder, cameras = self._output_dir(), list(self.host.cameras)
        scene, objects, mask = self.studio.scene(), self.studio.segmentation(), self.studio.selection()
        if not cameras:
            raise UserError("there are no cameras to look from")
        if objects is None:
            raise UserError("there are no objects to export: they are found at the end of training")
        selected = self._what.value == "selection"
        if selected and mask is None and self._form.value == MASKS:
            raise UserError("nothing is selected: select something, or export the objects")
        titles, overwrite = [entry.name for entry in self.studio.objects], self._overwrite.value
        names = picture_names(len(cameras))

        def write() -> None:
            if self._form.value == LABELS:
                path = folder / "labels"
                write_label_images(scene, objects, cameras, names, path, titles, overwrite)
            else:
                path = folder / "masks.json"
                if path.exists() and not overwrite:
                    raise UserError(f"{path} is there already. Overwrite it, or choose another folder.")
                what = mask if selected and mask is not None else objects
                write_coco_masks(scene, what, cameras, names, path, None if what is mask else titles)
            self.panel.say(f"wrote {path}")

        self._run(write)

    def _run(self, write: Callable[[], None]) -> None:
        """Write in a thread of its own, while the page shows that it does."""
        self._export.visible, self._cancel.visible = False, True
        self.panel.say("exporting ...")

        def run() -> None:
            try:
                self.panel.attempt(write, locked=False)
            finally:
                self._export.visible, self._cancel.visible = True, False

        self._work.start(run)

    def _options(self) -> exporting.Options:
        return exporting.Options(
            form=FORMS[self._form.value],  # type: ignore[arg-type]
            format=self._format.value,
            time=self.host.time,
            times=self.host.times if len(self.host.times) > 1 else (0.0, 1.0),
            world=self._data_world() if self._world.value == "of the data set" else None,
            with_ids=self._ids.value,
            overwrite=self._overwrite.value,
        )

    def _data_world(self) -> Any:
        world = self.panel.place.world
        if world is None and self._world.value == "of the data set":
            raise UserError("the coordinates of the data set are not known here: export as trained")
        return None if world is None else world.inverse()

    def _output_dir(self) -> Path:
        """The folder, which lies in that of the run whatever a page says."""
        base = self.panel.place.directory
        if base is None:
            raise UserError("there is no folder to write to: open the scene from a file or a run")
        parts = [exporting.file_name(part) for part in Path(self._folder.value or "exports").parts if part != "/"]
        if len("/".join(parts)) > LONGEST:
            raise UserError(f"the name of the folder is too long: use at most {LONGEST} characters")
        return base.joinpath(*parts or ["exports"])
