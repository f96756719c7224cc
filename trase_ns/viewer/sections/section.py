"""What all parts of the panel have in common."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trase_ns.editing.studio import Studio
    from trase_ns.viewer.host import Host
    from trase_ns.viewer.panel import Panel


class Section:
    """A part of the panel. Its elements are made where the panel's server stands when it is constructed.

    Args:
        panel: the panel, whose `attempt` runs what its elements do.
    """

    def __init__(self, panel: Panel):
        self.panel = panel

    @property
    def studio(self) -> Studio:
        """The edited scene."""
        return self.panel.studio

    @property
    def host(self) -> Host:
        """The viewer."""
        return self.panel.host

    def show(self) -> None:
        """Show the studio as it is now; called after each change."""

    def on_click(self, button: Any, action: Callable[[], Any]) -> None:
        """Let a button, or those of a group, do `action`; what goes wrong is said in the panel."""
        button._impl.is_button = True  # else viser takes a press of the group's latest button for no change
        button.on_click(lambda _: self.panel.attempt(action))

    def on_update(self, element: Any, action: Callable[[], Any]) -> None:
        """Let a change of an element by a person do `action`; what goes wrong is said in the panel."""

        def changed(event: Any) -> None:
            if event.client is not None:  # not one that this program made itself
                self.panel.attempt(action)

        element.on_update(changed)


class Work:
    """Something long that runs beside the viewer, one at a time, and can be cancelled."""

    def __init__(self) -> None:
        self._cancel = threading.Event()
        self._thread: threading.Thread | None = None
        atexit.register(self._end)

    @property
    def busy(self) -> bool:
        """Whether it runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants it to end."""
        return self._cancel.is_set()

    def rest(self, seconds: float) -> bool:
        """Do nothing for a while; returns false as soon as somebody wants it to end."""
        return not self._cancel.wait(seconds)

    def start(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread; nothing happens while another one runs."""
        if self.busy:
            return
        self._cancel.clear()
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Ask it to end."""
        self._cancel.set()

    def _end(self) -> None:
        """Wait a while for it when the program ends: a thread in the midst of torch would crash that."""
        self.cancel()
        if self._thread is not None:
            self._thread.join(10.0)
