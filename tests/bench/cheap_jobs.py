"""Jobs that take no time, for tests; the worker's process imports this module."""

import os
import signal
import time
from pathlib import Path

from trase_ns.errors import UserError


def add(a, b, log):
    """Return a sum, and leave a line in a file: how often this ran."""
    with open(log, "a") as file:
        file.write(f"{a} + {b}\n")
    return {"sum": a + b, "threads": os.environ.get("OMP_NUM_THREADS")}


def refuse(message):
    raise UserError(message)


def crash():
    raise RuntimeError("what nobody expected")


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def wait(started):
    """Write this process's id, and wait to be ended."""
    Path(started).write_text(str(os.getpid()))
    time.sleep(600)


def take(megabytes):
    """Use memory."""
    return {"length": len(bytearray(megabytes << 20))}


def slow_add(a, b, log, seconds):
    """Add after a while, and note the worker that wanted it: the parent of this process."""
    with open(log, "a") as file:
        file.write(f"{os.getppid()}\n")
    time.sleep(seconds)
    return {"sum": a + b}
