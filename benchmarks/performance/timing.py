"""Calls against each other: the fastest of several, measured by turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

import trase_ns.render.cpu  # noqa: F401  (chooses numba's threads before they are started)

Call = Callable[[], object]


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    Attributes:
        rounds: turns that every call gets.
        seconds: time that a turn takes; a call that is slower is made once a turn.
    """

    rounds: int = 3
    seconds: float = 0.3


def side_by_side(calls: dict[str, Call], effort: Effort) -> dict[str, float]:
    """Return the milliseconds of the fastest call of each, after one to warm up.

    They take turns, so that what else the machine does strikes all of them alike.
    """
    fastest = {name: float("inf") for name in calls}
    for call in calls.values():
        call()
    for _ in range(effort.rounds):
        for name, call in calls.items():
            end = time.perf_counter() + effort.seconds
            while True:
                fastest[name] = min(fastest[name], seconds(call))
                if time.perf_counter() >= end:
                    break
    return {name: value * 1000 for name, value in fastest.items()}


def seconds(call: Call) -> float:
    """Return how long one call takes, all that it starts on a GPU included."""
    _finish()
    start = time.perf_counter()
    call()
    _finish()
    return time.perf_counter() - start


def _finish() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def most_threads() -> int:
    """Return how many threads torch and the kernels have."""
    import numba

    return min(torch.get_num_threads(), numba.get_num_threads())


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch and the kernels use `count` threads."""
    import numba

    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(count)
    numba.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
