"""Another course of time for a part of a scene: shifted, slower, backwards, looped or at a stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Wrap = Literal["hold", "loop", "bounce"]


@dataclass(frozen=True)
class TimeMap:
    """The map t -> offset + speed t from the scene's time to the moment that is shown, both in [0, 1].

    Attributes:
        speed: 1 as recorded, 0.5 half as fast, -1 backwards, 0 at a stand.
        offset: the moment that is shown at time 0.
        wrap: outside [0, 1] "hold" stays at the end, "loop" starts again, "bounce" goes back and forth.
    """

    speed: float = 1.0
    offset: float = 0.0
    wrap: Wrap = "hold"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and math.isfinite(self.offset)):
            raise ValueError(f"speed {self.speed} and offset {self.offset} must be finite")
        if self.wrap not in ("hold", "loop", "bounce"):
            raise ValueError(f"unknown wrap {self.wrap!r}")

    def __call__(self, time: float) -> float:
        """Return the moment that is shown at `time`."""
        moment = self.offset + self.speed * time
        if 0.0 <= moment <= 1.0:
            return moment
        if self.wrap == "loop":
            return moment % 1.0
        if self.wrap == "bounce":
            return 1.0 - abs(moment % 2.0 - 1.0)
        return min(max(moment, 0.0), 1.0)


Clock = tuple[TimeMap, ...]
"""Maps one after the other, the scene's time into the first; none for time as it is."""


def moment_of(clock: Clock, time: float) -> float:
    """Return the moment that `clock` shows at `time`."""
    for time_map in clock:
        time = time_map(time)
    return time


def frozen(moment: float) -> TimeMap:
    """Stand still at `moment`."""
    return TimeMap(speed=0.0, offset=moment)


def shifted(delay: float) -> TimeMap:
    """Show everything later by `delay`, a share of the whole time; earlier where it is negative."""
    return TimeMap(offset=-delay)


def at_speed(speed: float, around: float = 0.0, wrap: Wrap = "hold") -> TimeMap:
    """Run `speed` times as fast, with the moment `around` where it was."""
    return TimeMap(speed=speed, offset=around * (1.0 - speed), wrap=wrap)


def backwards() -> TimeMap:
    """Run from the end to the start."""
    return TimeMap(speed=-1.0, offset=1.0)
