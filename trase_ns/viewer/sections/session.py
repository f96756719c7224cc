"""The session: saved by itself a moment after each change, and on demand."""

from __future__ import annotations

import atexit
import threading
from pathlib import Path
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
        self._lock = threading.Lock()  # of the timer
        self._saving = threading.Lock()
        self._saved: tuple | None = self._state()
        atexit.register(self.flush)

    def show(self) -> None:
        """Save soon."""
        if not self._due():
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
        self.panel.attempt(self._save_if_due, locked=False)

    def _save_if_due(self) -> None:
        with self._saving:
            if self._due():
                try:
                    self._write()
                except UserError as error:
                    raise UserError(f"the session could not be saved: {error}") from error

    def _now(self) -> None:
        if not self.panel.settled():
            raise UserError("the session can be saved once the geometry is trained")
        with self._saving:
            path = self._write()
        self.panel.say(f"saved {path}")

    def _due(self) -> bool:
        """Whether there is something to save, and somewhere."""
        return self.studio.folder is not None and self.panel.settled() and self._state() != self._saved

    def _write(self) -> Path | None:
        state = self._state()  # as it is before: what changes meanwhile is saved next time
        self.panel.note_view()
        path = self.studio.save()
        self._saved = state
        return path

    def _state(self) -> tuple:
        return id(self.studio.edits), self.studio.similarity, self.studio.position
