"""The order in which training frames are drawn: from the middle of the video outwards."""

from __future__ import annotations

import random
from collections.abc import Sequence

# While the window grows, this share of the draws is from its newest frames ...
_NEWEST_DRAWS = 0.5
# ... which are this many.
_NEWEST_FRAMES = 6


class FrameSampler:
    """Draws frames in random order, from a window of times that grows from the middle of the video to all of it.

    So what moves far is first known at one time and then followed: a deformation field that has to explain all times
    at once averages it away. While the window grows half of the draws are from its newest frames, which the field does
    not know yet; else each frame is drawn once before any comes again.

    Args:
        times: moment of each frame in [0, 1].
        first, last: steps between which the window grows to all frames.
        start: share of the frames in the window before that.
        seed: of the order.
    """

    def __init__(self, times: Sequence[float], first: int = 0, last: int = 0, start: float = 1.0, seed: int = 0):
        middle = (min(times) + max(times)) / 2
        self._outwards = sorted(range(len(times)), key=lambda i: (abs(times[i] - middle), i))
        self._first, self._last, self._start = first, last, start
        self._random = random.Random(seed)
        self._rest: list[int] = []
        self._following: int | None = None

    def window(self, step: int) -> list[int]:
        """Return the frames that may be drawn at `step`, the oldest members first."""
        grown = (step - self._first) / (self._last - self._first) if step < self._last else 1.0
        share = self._start + (1.0 - self._start) * max(grown, 0.0)
        return self._outwards[: max(1, round(share * len(self._outwards)))]

    def next(self, step: int) -> int:
        """Draw a frame for `step`."""
        index = self._draw(step) if self._following is None else self._following
        self._following = self._draw(step + 1)
        return index

    def peek(self) -> int | None:
        """Return the frame that comes next, for reading ahead."""
        return self._following

    def _draw(self, step: int) -> int:
        window = self.window(step)
        if self._first <= step < self._last and self._random.random() < _NEWEST_DRAWS:
            return self._random.choice(window[-_NEWEST_FRAMES:])
        if not self._rest:
            self._rest = self._random.sample(window, len(window))
        return self._rest.pop()
