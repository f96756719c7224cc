"""Selecting: clicks, rectangles, scribbles, and what grows from them."""

from __future__ import annotations

from typing import Any

import viser

from trase_ns.editing import tools
from trase_ns.editing.studio import GRANULARITIES, Mode
from trase_ns.errors import UserError
from trase_ns.viewer.sections.section import Section

BRUSH = 4.0  # pixels


class Selecting(Section):
    """The tools that select; one at a time takes the clicks of the page."""

    def __init__(self, panel: Any):
        super().__init__(panel)
        gui, icon = self.host.server.gui, viser.Icon
        self._start = gui.add_button(
            "Click to select", icon=icon.POINTER, hint="Select objects by clicks; drags do not turn the view"
        )
        self._rectangle = gui.add_button(
            "Rectangle", icon=icon.MARQUEE_2, hint="Draw a rectangle: the objects that lie mostly inside"
        )
        self._scribble = gui.add_button(
            "Scribble", icon=icon.SCRIBBLE, hint="Click several points of a stroke, then end it: what lies under it"
        )
        self._end_scribble = gui.add_button("End the stroke", icon=icon.CHECK, color="green", visible=False)
        self._stop = gui.add_button("Stop selecting", icon=icon.POINTER_OFF, color="orange", visible=False)
        self._subtract = gui.add_checkbox("Subtract", False, hint="Take away instead of adding")
        self._granularity = gui.add_dropdown(
            "Granularity", GRANULARITIES, hint="What a click means: the whole thing (coarse) or its part (fine)"
        )
        self._exact = gui.add_checkbox(
            "Gaussians, not objects", False, hint="Rectangle and scribble select what is exactly there"
        )
        self._similarity = gui.add_slider(
            "Similarity",
            min=0.0,
            max=1.0,
            step=0.01,
            initial_value=self.studio.similarity,
            hint="Least similarity of a selected Gaussian to its object: higher drops the doubtful ones",
        )
        self._sets = gui.add_button_group("Set", ["All", "None", "Invert"])
        self._space = gui.add_button_group("In space", ["Grow", "Shrink", "Tidy"])
        self._like = gui.add_slider(
            "Likeness",
            min=0.0,
            max=1.0,
            step=0.01,
            initial_value=0.9,
            hint="For “Grow to similar”: how like it must be",
        )
        self._nearby = gui.add_checkbox("Only what hangs together", True, hint="For “Grow to similar”")
        self._similar = gui.add_button("Grow to similar", icon=icon.WAND)
        self._clear = gui.add_button("Clear selection", icon=icon.ERASER)
        self._stroke: list[Any] = []

        self.on_click(self._start, lambda: self._listen("click", self._clicked))
        self.on_click(self._rectangle, lambda: self._listen("rect-select", self._drawn))
        self.on_click(self._scribble, self._listen_to_scribble)
        self.on_click(self._end_scribble, self._finish_stroke)
        self.on_click(self._stop, self.stop)
        self.on_click(self._clear, self.studio.clear)
        self.on_click(self._similar, self._grow_to_similar)
        self.on_click(self._sets, self._change_set)
        self.on_click(self._space, self._change_in_space)
        self._similarity.on_update(lambda _: self.panel.attempt(self._set_similarity))

    @property
    def mode(self) -> Mode:
        """Whether tools add or take away."""
        return "subtract" if self._subtract.value else "add"

    def show(self) -> None:
        """Show the threshold that is in force."""
        if self._similarity.value != self.studio.similarity:
            self._similarity.value = self.studio.similarity

    def _listen(self, kind: Any, callback: Any) -> None:
        """Take the pages' clicks until "Stop selecting" or until another tool takes them."""
        scene = self.host.server.scene
        self.stop()
        scene.on_pointer_event(kind)(callback)
        scene.on_pointer_callback_removed(lambda: self._show_listening(False))
        self._show_listening(True)

    def _listen_to_scribble(self) -> None:
        self._listen("click", self._stroked)
        self._stroke = []
        self._end_scribble.visible = True
        self.panel.say("click the points of the stroke, then “End the stroke”")

    def stop(self) -> None:
        """Let the clicks of the page turn the view again."""
        if self._stop.visible:
            self.host.server.scene.remove_pointer_callback()

    def _show_listening(self, listening: bool) -> None:
        for button in (self._start, self._rectangle, self._scribble):
            button.visible = not listening
        self._stop.visible = listening
        self._end_scribble.visible = False

    def _clicked(self, event: viser.ScenePointerEvent) -> None:
        """Select what the page that was clicked shows there, as it looks now and not when the lock is free."""

        def select() -> None:
            spot = self.host.spot(event)
            with self.host.lock:
                self._showing_it(lambda: self.studio.click(*spot, self._subtract.value, self._granularity.value))

        self.panel.attempt(select, locked=False)

    def _drawn(self, event: viser.ScenePointerEvent) -> None:
        def select() -> None:
            from trase_ns.segmentation.regions import Rectangle

            rectangle = Rectangle(*self.host.region(event), granularity=self._level())
            with self.host.lock:
                self._showing_it(lambda: tools.select_region(self.studio, rectangle, self.mode))

        self.panel.attempt(select, locked=False)

    def _stroked(self, event: viser.ScenePointerEvent) -> None:
        def note() -> None:
            self._stroke.append(self.host.spot(event))
            count = len(self._stroke)
            self.panel.say(f"{count} point{'s' if count > 1 else ''} of the stroke; “End the stroke” selects")

        self.panel.attempt(note, locked=False)

    def _finish_stroke(self) -> None:
        from trase_ns.segmentation.regions import Scribble

        if not self._stroke:
            raise UserError("the stroke has no points: click some on the object first")
        camera = self._stroke[-1].camera
        if any(not spot.camera.viewmat.equal(camera.viewmat) for spot in self._stroke):
            self._stroke = []
            raise UserError("the view was moved during the stroke: draw it again without moving")
        points = tuple((spot.x, spot.y) for spot in self._stroke)
        self._stroke = []
        scribble = Scribble(camera, points, radius=BRUSH, granularity=self._level())
        self._showing_it(lambda: tools.select_region(self.studio, scribble, self.mode))

    def _level(self) -> Any:
        if self._exact.value:
            return "gaussians"
        return None if self._granularity.value == "auto" else self._granularity.value

    def _showing_it(self, select: Any) -> None:
        """Select, and show the selection if it is the first one."""
        first = self.studio.selection() is None
        select()
        self.panel.say(self.studio.message)
        if first:
            self.host.show_output("selection")

    def _set_similarity(self) -> None:
        """Take the slider's value; put the slider back where the studio does not take it."""
        try:
            if self._similarity.value != self.studio.similarity:
                self.studio.set_similarity(self._similarity.value)
        finally:
            self.show()

    def _change_set(self) -> None:
        action = {"All": self.studio.select_all, "None": self.studio.clear, "Invert": self.studio.invert}
        action[self._sets.value]()

    def _change_in_space(self) -> None:
        action = {"Grow": tools.grow, "Shrink": tools.shrink, "Tidy": tools.tidy}
        action[self._space.value](self.studio, self.host.time)

    def _grow_to_similar(self) -> None:
        tools.grow_to_similar(self.studio, self._like.value, self._nearby.value, self.host.time)
