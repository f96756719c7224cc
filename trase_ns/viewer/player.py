"""Play and pause: moves the time that is shown through the moments of a scene."""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trase_ns.errors import UserError

if TYPE_CHECKING:
    import viser

# Moments closer than this are the same one: what a page sends back has been through its number format.
_SAME = 1e-6
SPEEDS = (0.1, 120.0)


class Player:
    """Moves a time forward at a chosen speed, from one moment of the scene to the next.

    Where it is, is the time that is shown and nothing else, so a time slider may be moved while it plays. Moments are
    skipped where showing them takes longer than the speed allows.

    Args:
        times: the moments of the scene in [0, 1], ascending, at least one.
        get: returns the time that is shown.
        put: shows another time.
        speed: moments a second.
        loop: begin again after the last moment, instead of stopping there.
    """

    def __init__(
        self,
        times: Sequence[float],
        get: Callable[[], float],
        put: Callable[[float], None],
        speed: float = 24.0,
        loop: bool = True,
    ):
        self.times = tuple(times)
        self.loop = loop
        self._get, self._put = get, put
        self._speed = speed
        self._owed = 0.0  # part of a moment that the last steps did not go
        self._stop: threading.Event | None = None
        self._lock = threading.Lock()
        self._observers: list[Callable[[], None]] = []

    @property
    def playing(self) -> bool:
        """Whether the time moves."""
        return self._stop is not None

    @property
    def speed(self) -> float:
        """Moments a second, within `SPEEDS`."""
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        if value is None or not math.isfinite(value):
            raise UserError(f"speed {value}: use a number of frames a second from {SPEEDS[0]:g} to {SPEEDS[1]:g}")
        self._speed = min(max(float(value), SPEEDS[0]), SPEEDS[1])

    def subscribe(self, observer: Callable[[], None]) -> None:
        """Call `observer` whenever playing begins or ends."""
        self._observers.append(observer)

    def play(self) -> None:
        """Let the time move, in a thread; from the start where it stands at the end and does not loop."""
        with self._lock:
            if self.playing:
                return
            self._stop, self._owed = threading.Event(), 0.0
            if not self.loop and self._index() == len(self.times) - 1:
                self._put(self.times[0])
            threading.Thread(target=self._run, args=(self._stop,), daemon=True).start()
        self._notify()

    def pause(self) -> None:
        """Let the time stand."""
        with self._lock:
            if self._stop is None:
                return
            self._stop.set()
            self._stop = None
        self._notify()

    def advance(self, seconds: float) -> None:
        """Go on by as many moments as are due after `seconds`; pauses at the last one where it does not loop."""
        self._owed += seconds * self._speed
        count = int(self._owed)
        self._owed -= count
        if not count:
            return
        target = self._index() + count
        if self.loop:
            self._put(self.times[target % len(self.times)])
        else:
            self._put(self.times[min(target, len(self.times) - 1)])
            if target >= len(self.times) - 1:
                self.pause()

    def _index(self) -> int:
        """Place of the latest moment that is not after the time shown; -1 before the first."""
        return bisect_right(self.times, self._get() + _SAME) - 1

    def _run(self, stop: threading.Event) -> None:
        before = time.monotonic()
        while not stop.wait(1.0 / self._speed):
            now = time.monotonic()
            self.advance(now - before)
            before = now

    def _notify(self) -> None:
        for observer in tuple(self._observers):
            observer()


def add_play_controls(gui: viser.GuiApi, player: Player) -> None:
    """Add "Play" and "Pause", the speed and "Loop" to where `gui` stands."""
    from viser import Icon

    play = gui.add_button("Play", icon=Icon.PLAYER_PLAY, hint="Let the time move")
    pause = gui.add_button("Pause", icon=Icon.PLAYER_PAUSE, color="orange", visible=False)
    speed = gui.add_slider(
        "Speed", min=1.0, max=60.0, step=1.0, initial_value=player.speed, hint="Frames of the video a second"
    )
    loop = gui.add_checkbox("Loop", player.loop, hint="Begin again after the last frame")

    def show() -> None:
        play.visible, pause.visible = not player.playing, player.playing

    def set_speed(_: object) -> None:
        try:
            player.speed = speed.value
        except UserError:
            speed.value = player.speed  # not a number: back to what it was

    def set_loop(_: object) -> None:
        player.loop = loop.value

    play.on_click(lambda _: player.play())
    pause.on_click(lambda _: player.pause())
    speed.on_update(set_speed)
    loop.on_update(set_loop)
    player.subscribe(show)
