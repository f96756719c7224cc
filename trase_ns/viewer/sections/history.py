"""Undo, redo, and the list of what was done."""

from __future__ import annotations

from typing import Any

import viser

from trase_ns.errors import UserError
from trase_ns.viewer.sections.section import Section

BEGINNING = "0: as trained"
LISTED = 40  # steps


class History(Section):
    """Two buttons and a list to go to any step."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui = self.host.server.gui
        self._undo = gui.add_button("Undo", icon=viser.Icon.ARROW_BACK_UP)
        self._redo = gui.add_button("Redo", icon=viser.Icon.ARROW_FORWARD_UP)
        self._list = gui.add_dropdown("History", [BEGINNING], hint="What was done; choosing a step goes there")
        self.on_click(self._undo, lambda: panel.say(f"undone: {self.studio.undo()}"))
        self.on_click(self._redo, lambda: panel.say(f"done again: {self.studio.redo()}"))
        self.on_update(self._list, self._go)

    def show(self) -> None:
        """Show the steps and where in them the scene is."""
        steps, position = self.studio.steps, self.studio.position
        labels = [BEGINNING, *(f"{number}: {label}" for number, label in enumerate(steps, 1))]
        now = labels[position]
        first = max(0, min(position - LISTED // 2, len(labels) - LISTED))
        options = tuple(labels[first : first + LISTED])
        if self._list.options != options:
            self._list.options = options
        if self._list.value != now:
            self._list.value = now
        self._undo.disabled = position == 0
        self._redo.disabled = position == len(steps)

    def _go(self) -> None:
        number = self._list.value.split(":")[0]
        if not (number.isdecimal() and len(number) < 10):
            raise UserError("there is no such step")
        self.studio.go(int(number))
