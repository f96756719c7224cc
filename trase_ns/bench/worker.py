"""The process of one job: `python -m trase_ns.bench.worker`, with the order as a line of JSON on standard input.

Standard input stays open as long as whoever gave the order lives; its end ends this process, so that no kill of a
benchmark leaves work behind that nobody waits for.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

from trase_ns.bench.jobs import error_path, write_result
from trase_ns.errors import UserError
from trase_ns.files import atomic_write


def main() -> None:
    """Run one job and write its result, or the message that says why there is none; then the exit status is 1."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_other, daemon=True).start()
    path = Path(order["path"])
    error_path(path).unlink(missing_ok=True)
    module, function = order["action"].split(":")
    started = time.monotonic()
    try:
        result = getattr(import_module(module), function)(**order["options"])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        with atomic_write(error_path(path)) as temporary:
            temporary.write_text(f"{error}\n", encoding="utf-8")
        sys.exit(1)
    seconds = time.monotonic() - started
    write_result(path, order["key"], {**result, "seconds": round(seconds, 2), **_memory()})


def _memory() -> dict[str, float]:
    """Return the most memory that this process has had, in megabytes; that of the GPU too, where one was used."""
    peak = {"memory_mb": round(_resident() / 2**20, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak["gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peak


def _resident() -> float:
    """Return the peak resident memory in bytes."""
    try:
        # getrusage would count the process that this one was forked from, too.
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(most) if sys.platform == "darwin" else most * 1024.0


def _end_with_the_other() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
