"""The order in which training frames are drawn: from one moment of the video outwards."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

# While the window grows, this share of the draws is from its newest frames ...
_NEWEST_DRAWS = 0.5
# ... which are this many.
_NEWEST_FRAMES = 6
# The window grows from the moment nearest to the middle that shows this share of the most things, a mean of so many.
_FULL, _MEAN = 0.9, 7
# A moment is new until this many have come in after it.
_NEW_MOMENTS = 2.5


def fullest_moment(times: Sequence[float], counts: Sequence[int]) -> float:
    """Return the moment from which to follow things: of those that show many, the one nearest to the middle.

    What enters late, or hides for a while, is then there from the start and only has to be followed out of sight.

    Args:
        times: moment of each frame in [0, 1].
        counts: number of masks of each frame.
    """
    order = np.argsort(times, kind="stable")
    kernel = np.ones(min(_MEAN, len(order)))
    total = np.convolve(np.asarray(counts, float)[order], kernel, "same")
    mean = total / np.convolve(np.ones(len(order)), kernel, "same")
    full = np.flatnonzero(mean >= _FULL * mean.max())
    middle = len(order) // 2
    return float(times[int(order[full[np.abs(full - middle).argmin()]])])


class FrameSampler:
    """Draws frames in random order, from a window of moments that grows from one moment to the whole video.

    So what moves far is first known at one moment and then followed: a deformation field that has to explain all times
    at once averages it away. While the window grows half of the draws are from its newest frames, which the field does
    not know yet; else each frame is drawn once before any comes again.

    Args:
        times: moment of each frame in [0, 1]; several cameras may share one.
        first, last: steps between which the window grows to all moments.
        start: share of the moments in the window before that; there is always one.
        seed: of the order.
        centre: the moment that it grows from; the middle of the video if None.
    """

    def __init__(
        self,
        times: Sequence[float],
        first: int = 0,
        last: int = 0,
        start: float = 1.0,
        seed: int = 0,
        centre: float | None = None,
    ):
        moments = sorted(set(times))
        middle = len(moments) // 2
        if centre is not None:
            middle = min(range(len(moments)), key=lambda i: abs(moments[i] - centre))
        outwards = sorted(range(len(moments)), key=lambda i: (abs(i - middle), -i))
        rank = {moments[i]: place for place, i in enumerate(outwards)}
        self._times = times
        self._ranks = [rank[time] for time in times]
        self._outwards = sorted(range(len(times)), key=lambda i: (self._ranks[i], i))
        self._moments = len(moments)
        self._first, self._last, self._start = first, last, start
        self._random = random.Random(seed)
        self._rest: list[int] = []
        self._following: int | None = None

    def _reached(self, step: int) -> float:
        """Number of moments in the window at `step`, with its fraction."""
        grown = (step - self._first) / (self._last - self._first) if step < self._last else 1.0
        return max(1.0, (self._start + (1.0 - self._start) * max(grown, 0.0)) * self._moments)

    def window(self, step: int) -> list[int]:
        """Return the frames that may be drawn at `step`, the oldest members first."""
        count = round(self._reached(step))
        return [i for i in self._outwards if self._ranks[i] < count]

    def reach(self, step: int) -> tuple[float, float] | None:
        """Return the first and the last moment in the window at `step`, or None where it does not grow any more."""
        if step >= self._last:
            return None
        times = [self._times[i] for i in self.window(step)]
        return min(times), max(times)

    def is_new(self, index: int, step: int) -> bool:
        """Return whether the moment of frame `index` is among the latest that came into the growing window."""
        late = 0.5 <= self._reached(step) - self._ranks[index] < _NEW_MOMENTS
        return self._first <= step < self._last and late and self._ranks[index] >= self._start * self._moments

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
