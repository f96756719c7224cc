"""Selecting by words."""

from __future__ import annotations

from typing import Any

import torch
import viser

from trase_ns.editing import tools
from trase_ns.errors import UserError
from trase_ns.segmentation.text import ENGINES, load_engine, spread
from trase_ns.segmentation.text_support import SHARE, TextSupport
from trase_ns.viewer.sections.section import Section, Work


class TextPrompts(Section):
    """Words, the network that looks for them, and the share of support that is enough."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui = self.host.server.gui
        self._text = gui.add_text("Words", "", hint="What to look for, such as red book")
        self._engine = gui.add_dropdown(
            "Network", ENGINES, hint="The first use downloads its weights; features: those of the scene"
        )
        self._find = gui.add_button("Find", icon=viser.Icon.SEARCH)
        self._share = gui.add_slider(
            "Share", min=0.0, max=1.0, step=0.05, initial_value=SHARE, hint="Least share of support of what is selected"
        )
        self._progress = gui.add_progress_bar(0.0, visible=False)
        self._work = Work()
        self._loaded: tuple[str, Any, Any] | None = None
        self._support: TextSupport | None = None
        self.on_click(self._find, self._start)
        self.on_update(self._share, self._select)

    def _start(self) -> None:
        if not self._text.value.strip():
            raise UserError("write what to look for, such as red book")
        if not self.host.cameras:
            raise UserError("there are no cameras to look from")
        if self._work.busy:
            raise UserError("another text is being looked for: wait for it")
        text, engine = self._text.value, self._engine.value
        self._progress.value, self._progress.visible, self._find.disabled = 0.0, True, True
        self._work.start(lambda: self._look(text, engine))

    def _look(self, text: str, engine: str) -> None:
        """Measure the support of each object, and select; in a thread of its own."""

        def measure() -> None:
            space = self.studio.space()
            if self._loaded is None or self._loaded[:2] != (engine, space):
                self.panel.say(f"loading {engine} ...")
                self._loaded = engine, space, load_engine(engine, device=self.studio.scene().device, space=space)
            views = spread(self.host.cameras)
            background = torch.tensor(self.panel.place.background)
            self._support = self._loaded[2].support(
                self.studio.scene(), self.studio.segmentation(), views, text, background, self._show_progress
            )
            with self.host.lock:
                self._select()

        try:
            self.panel.attempt(measure, locked=False)
        finally:
            self._progress.visible, self._find.disabled = False, False

    def _show_progress(self, done: int, total: int) -> None:
        self._progress.value = 100.0 * done / max(total, 1)

    def _select(self) -> None:
        if self._support is not None:
            tools.select_text(self.studio, self._support, self._share.value)
            self.host.show_output("selection")
