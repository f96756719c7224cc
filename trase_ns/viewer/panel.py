"""The panel: the studio in the page of any viewer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trase_ns.console import console
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.scene.similarity import Similarity
from trase_ns.viewer.host import Host, moment
from trase_ns.viewer.playback import Playback
from trase_ns.viewer.sections.editing import Editing
from trase_ns.viewer.sections.exporting import Exporting
from trase_ns.viewer.sections.following import Following
from trase_ns.viewer.sections.history import History
from trase_ns.viewer.sections.objects import Objects
from trase_ns.viewer.sections.selecting import Selecting
from trase_ns.viewer.sections.session import SessionSaving
from trase_ns.viewer.sections.style import Style
from trase_ns.viewer.sections.text_prompts import TextPrompts
from trase_ns.viewer.text import breakable


@dataclass(frozen=True)
class Place:
    """Where a scene comes from, for what is written of it.

    Attributes:
        directory: folder for exports; None where there is none.
        background: RGB in [0, 1] behind the Gaussians.
        world: the map from the data set's world to that of the scene, or None where it is not known.
    """

    directory: Path | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    world: Similarity | None = None


class Panel:
    """The folder "Segmentation" in the page of a viewer.

    Callbacks hold the viewer's lock and never raise: what goes wrong is said in the panel.

    Args:
        host: the viewer.
        studio: the edited scene that the panel shows and changes.
        playback: what the viewer shows; None for one that cannot be baked.
        settled: whether the Gaussians stay as they are from now on; until then no session is saved.
        place: where the scene comes from.
    """

    def __init__(
        self,
        host: Host,
        studio: Studio,
        playback: Playback | None = None,
        settled: Callable[[], bool] = lambda: True,
        place: Place | None = None,
    ):
        self.host = host
        self.studio = studio
        self.playback = playback
        self.settled = settled
        self.place = place or Place()
        gui = host.server.gui
        with gui.add_folder("Segmentation", order=host.order):
            self._status = gui.add_markdown("")
            self.history = History(self)
            tabs = gui.add_tab_group()  # with icons they would not stand in one line
            with tabs.add_tab("Select"):
                self.selecting = Selecting(self)
                with gui.add_folder("By words", expand_by_default=False):
                    self.text_prompts = TextPrompts(self)
            with tabs.add_tab("Objects"):
                self.objects = Objects(self)
            with tabs.add_tab("Edit"):
                self.editing = Editing(self)
                with gui.add_folder("Style of a picture", expand_by_default=False):
                    self.style = Style(self)
            with tabs.add_tab("Export"):
                self.exporting = Exporting(self)
                self.session = SessionSaving(self)
            self.following = Following(self)
            self._smooth = gui.add_checkbox(
                "Smooth playback",
                False,
                visible=self.playback is not None,
                hint="Bake the motion to key times, so that a new time costs no deformation; takes some seconds once",
            )
        self._smooth.on_update(lambda _: self.attempt(self._set_smooth))
        self._sections = (
            self.history, self.selecting, self.text_prompts, self.objects, self.editing, self.style, self.exporting,
            self.session, self.following,
        )  # fmt: skip
        self._summary = ""
        studio.subscribe(self.show)
        if "time" in studio.view:
            host.time = moment(studio.view["time"])
        self.show()

    def attempt(self, action: Callable[[], Any], locked: bool = True) -> None:
        """Run `action`, by default under the viewer's lock, and say in the panel what goes wrong."""
        try:
            with self.host.lock if locked else nullcontext():
                action()
        except UserError as error:
            self.say(str(error))
        except Exception as error:
            console.print_exception()
            self.say(f"{type(error).__name__}: {error} (the terminal has the details)")

    def say(self, message: str) -> None:
        """Show `message` below what is selected."""
        self._status.content = f"{self._summary}\n\n{breakable(message)}".strip()

    def show(self) -> None:
        """Show the studio as it is now and render anew."""
        counts = self.studio.counts()
        objects = "1 object" if counts.objects == 1 else f"{counts.objects} objects"
        self._summary = f"{counts.gaussians:,} of {counts.total:,} Gaussians selected ({objects})"
        self.say(self.studio.message)
        for section in self._sections:
            section.show()
        self.host.rerender()

    def note_view(self) -> None:
        """Note how the scene is looked at, for the session."""
        self.studio.view = {"time": self.host.time}

    def _set_smooth(self) -> None:
        """Bake the scene, or show it as it is again; untick the box where there is nothing to bake."""
        assert self.playback is not None
        if not self._smooth.value:
            self.playback.drop()
            self.say("")
            return
        self.say("baking the motion ...")
        try:
            self.say(self.playback.bake())
        except UserError:
            self._smooth.value = False
            raise
