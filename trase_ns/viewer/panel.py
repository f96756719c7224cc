"""The segmentation panel: a thin view of the studio, in any viewer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import viser

from trase_ns.console import console
from trase_ns.editing.studio import GRANULARITIES, Studio
from trase_ns.errors import UserError
from trase_ns.viewer.host import Host
from trase_ns.viewer.playback import Playback
from trase_ns.viewer.text import plain


class Panel:
    """The folder "Segmentation" in the page of a viewer.

    Callbacks hold the viewer's lock and never raise: what goes wrong is said in the panel.

    Args:
        host: the viewer.
        studio: the selection that the panel shows and changes.
        playback: what the viewer shows; None for one that cannot be baked.
    """

    def __init__(self, host: Host, studio: Studio, playback: Playback | None = None):
        self.host = host
        self.studio = studio
        self.playback = playback
        gui = host.server.gui
        with gui.add_folder("Segmentation", order=host.order):
            self._start = gui.add_button(
                "Click to select", icon=viser.Icon.POINTER, hint="Select objects by clicks; drags do not turn the view"
            )
            self._stop = gui.add_button("Stop selecting", icon=viser.Icon.POINTER_OFF, color="orange", visible=False)
            self._subtract = gui.add_checkbox("Subtract", False, hint="A click takes away instead of adding")
            self._granularity = gui.add_dropdown(
                "Granularity", GRANULARITIES, hint="What a click means: the whole thing (coarse) or its part (fine)"
            )
            self._similarity = gui.add_slider(
                "Similarity",
                min=0.0,
                max=1.0,
                step=0.01,
                initial_value=self.studio.similarity,
                hint="Least similarity of a selected Gaussian to its object: higher drops the doubtful ones",
            )
            self._clear = gui.add_button("Clear selection", icon=viser.Icon.ERASER)
            self._smooth = gui.add_checkbox(
                "Smooth playback",
                False,
                visible=self.playback is not None,
                hint="Bake the motion to key times, so that a new time costs no deformation; takes some seconds once",
            )
            self._status = gui.add_markdown("")
        self._start.on_click(lambda _: self._attempt(self._listen))
        self._stop.on_click(lambda _: self._attempt(self.host.server.scene.remove_pointer_callback))
        self._similarity.on_update(lambda _: self._attempt(self._set_similarity))
        self._smooth.on_update(lambda _: self._attempt(self._set_smooth))
        self._clear.on_click(lambda _: self._attempt(self.studio.clear))
        self.studio.subscribe(self._show)
        self._show()

    def _listen(self) -> None:
        """Take the viewer's clicks until "Stop selecting" or until another tool takes them."""
        scene = self.host.server.scene
        scene.on_pointer_event("click")(self._clicked)
        scene.on_pointer_callback_removed(lambda: self._show_listening(False))
        self._show_listening(True)

    def _show_listening(self, listening: bool) -> None:
        self._start.visible, self._stop.visible = not listening, listening

    def _clicked(self, event: viser.ScenePointerEvent) -> None:
        """Select what the page that was clicked shows there, as it looks now and not when the lock is free."""
        self._attempt(lambda: self._select(event), locked=False)

    def _select(self, event: viser.ScenePointerEvent) -> None:
        spot = self.host.spot(event)
        with self.host.lock:
            first = self.studio.selection() is None
            self.studio.click(*spot, self._subtract.value, self._granularity.value)
            if first:
                self.host.show_output("selection")

    def _set_similarity(self) -> None:
        """Take the slider's value; put the slider back where the studio does not take it."""
        studio = self.studio
        try:
            if self._similarity.value != studio.similarity:
                studio.set_similarity(self._similarity.value)
        finally:
            if self._similarity.value != studio.similarity:
                self._similarity.value = studio.similarity

    def _set_smooth(self) -> None:
        """Bake the scene, or show it as it is again; untick the box where there is nothing to bake."""
        assert self.playback is not None
        if not self._smooth.value:
            self.playback.drop()
            self._say("")
            return
        self._say("baking the motion ...")
        try:
            self._say(self.playback.bake())
        except UserError:
            self._smooth.value = False
            raise

    def _attempt(self, action: Callable[[], Any], locked: bool = True) -> None:
        """Run `action`, by default under the viewer's lock, and say in the panel what goes wrong."""
        try:
            with self.host.lock if locked else nullcontext():
                action()
        except UserError as error:
            self._say(str(error))
        except Exception as error:
            console.print_exception()
            self._say(f"{type(error).__name__}: {error} (the terminal has the details)")

    def _show(self) -> None:
        """Show the state of the studio and render anew."""
        counts = self.studio.counts()
        objects = "1 object" if counts.objects == 1 else f"{counts.objects} objects"
        self._summary = f"{counts.gaussians:,} of {counts.total:,} Gaussians selected ({objects})"
        self._say(self.studio.message)
        self.host.rerender()

    def _say(self, message: str) -> None:
        """Show `message` below what is selected."""
        self._status.content = f"{self._summary}\n\n{plain(message)}".strip()
