"""How kernels run: one Python thread at a time, on numba's threads, compiled once and announced."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from numba.core import config, event

from trase_ns.console import console

# Two Python threads, the trainer and the viewer, must not enter numba's threads at once: its `workqueue` layer ends
# the process then, and the others would only slow each other down.
_lock = threading.RLock()

config.THREADING_LAYER_PRIORITY = ["omp", "tbb", "workqueue"]  # type: ignore[attr-defined]
# Threads that wait for work in a loop take the processor from torch's threads. OpenMP reads this when it is loaded,
# with the first kernel; for torch's own OpenMP it must be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


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


def forget_stale_kernels(package: Path, *imported: Path) -> None:
    """Delete numba's cached kernels of the sources in the folder `package` if any source has changed.

    numba compares a cached kernel with its own source file alone, not with what that file imports.

    Args:
        package: the folder.
        imported: sources of other folders, whose functions its kernels call.
    """
    sources = [*sorted(package.glob("*.py")), *imported]
    digest = sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    cache = package / "__pycache__"
    stamp = cache / "kernels.sha256"
    with suppress(OSError):  # a folder that cannot be written has no cache of kernels
        if stamp.exists() and stamp.read_text() == digest:
            return
        cache.mkdir(exist_ok=True)
        for kernel in [*cache.glob("*.nbi"), *cache.glob("*.nbc")]:
            kernel.unlink(missing_ok=True)
        stamp.write_text(digest)


@contextmanager
def kernels() -> Iterator[None]:
    """Hold the lock around calls of kernels."""
    with _lock:
        yield
