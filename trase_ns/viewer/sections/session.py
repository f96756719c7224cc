"""The session: saved by itself a moment after each change, and on demand."""

from __future__ import annotations

import atexit
import threading
from typing import Any

import viser

from trase_ns.errors import UserError
from trase_ns.viewer.sections.section import Section

DELAY = 1.0  # seconds without a change before it is saved


class SessionSaving(Section):
    """A button, and a thread that saves when changes have come to rest."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        self._save = self.host.server.gui.add_button(
            "Save session", icon=viser.Icon.DEVICE_FLOPPY, hint="It is also saved by itself after each change"
        )
        self._save.visible = self.studio.folder is not None
        self.on_click(self._save, self._now)
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._saved: tuple | None = self._state()
        atexit.register(self.flush)

    def show(self) -> None:
        """Save soon."""
        if self.studio.folder is None or not self.panel.settled() or self._state() == self._saved:
            return
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = threading.Timer(DELAY, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Save now what is not saved yet; what goes wrong is said in the panel."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self.studio.folder is None or not self.panel.settled() or self._state() == self._saved:
                return
            state = self._state()
            try:
                self.panel.note_view()
                self.studio.save()
                self._saved = state
            except UserError as error:
                self.panel.say(f"the session could not be saved: {error}")

    def _now(self) -> None:
        if not self.panel.settled():
            raise UserError("the session can be saved once the geometry is trained")
        self.panel.note_view()
        path = self.studio.save()
        self._saved = self._state()
        self.panel.say(f"saved {path}")

    def _state(self) -> tuple:
        return id(self.studio.edits), self.studio.similarity, self.studio.position
