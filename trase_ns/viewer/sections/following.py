"""A camera that goes with the selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from trase_ns.viewer.sections.section import Section, Work

INTERVAL = 0.1  # seconds between looks at the time


class Following(Section):
    """Moves the views of all pages along with the selection as time goes by."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        self._follow = self.host.server.gui.add_checkbox(
            "Follow selection", False, hint="The view moves along with the middle of the selection"
        )
        self._work = Work()
        self._follow.on_update(lambda _: self.panel.attempt(self._set))

    def _set(self) -> None:
        if self._follow.value:
            self._work.start(self._run)
        else:
            self._work.cancel()

    def _run(self) -> None:
        time, edits = self.host.time, self.studio.edits
        before = self._centre(time)
        while self._work.rest(INTERVAL):
            now = self.host.time
            if self.studio.edits is not edits:  # another selection, or moved: no reason to jump there
                edits, time = self.studio.edits, now
                before = self._centre(now)
            elif now != time and before is not None:
                centre = self._centre(now)
                if centre is not None:
                    self._shift(self.host.to_page(centre) - self.host.to_page(before))
                    time, before = now, centre

    def _centre(self, time: float) -> np.ndarray | None:
        return None if self.studio.selection() is None else self.studio.centre(time).numpy(force=True)

    def _shift(self, by: np.ndarray) -> None:
        for client in list(self.host.server.get_clients().values()):
            with client.atomic():
                position, target = client.camera.position + by, client.camera.look_at + by
                client.camera.position = position
                client.camera.look_at = target
