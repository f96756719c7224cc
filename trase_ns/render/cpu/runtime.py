"""How kernels run: one Python thread at a time, on numba's threads, compiled once and announced."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba
from numba.core import event

from trase_ns.console import console

# Two Python threads, the trainer and the viewer, must not enter numba's threads at once: its `workqueue` layer ends
# the process then, and the others would only slow each other down.
_lock = threading.RLock()

numba.config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]


class _Announcer(event.Listener):
    """Says once, before the first compilation, what the user waits for."""

    def __init__(self):
        self.said = False

    def on_start(self, event):
        name = event.data["dispatcher"].py_func.__module__
        if not self.said and name.startswith("trase_ns."):
            self.said = True
            console.print("Compiling the CPU renderer (once; about half a minute) ...", highlight=False)

    def on_end(self, event):
        pass


event.register("numba:compile", _Announcer())


@contextmanager
def kernels() -> Iterator[None]:
    """Hold the lock around calls of kernels."""
    with _lock:
        yield
