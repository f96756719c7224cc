"""Jobs that run in a process of their own, and are never run again once their result is on disk.

A job is a function with plain options, called by `trase_ns.bench.worker`. Its result is a JSON file with the job's key,
a hash of all that decides the result. So a benchmark that was killed goes on where it was, and a result that was made
with other options, from other data or by another version does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from trase_ns import __version__
from trase_ns.console import warn
from trase_ns.files import atomic_write, sha256

VERSION = 1  # of what the actions do: raise it with every change of their results
_READ = 16 << 20  # bytes; larger files are known by their size


@dataclass(frozen=True)
class Job:
    """One piece of work.

    Attributes:
        name: for people: "geometry", "pictures" or a method.
        action: the function, as "package.module:name"; it returns plain JSON values.
        options: its arguments, plain JSON values; paths among them.
        decides: what the result depends on: plain JSON values, no paths.
        path: file of the result; what is printed goes beside it, with the suffix .log.
    """

    name: str
    action: str
    options: dict[str, Any]
    decides: dict[str, Any]
    path: Path

    @property
    def key(self) -> str:
        """Hash of all that decides the result."""
        return digest({"action": self.action, "decides": self.decides, "version": [VERSION, __version__]})

    @property
    def log(self) -> Path:
        """What the job printed."""
        return self.path.with_suffix(".log")


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its result, or why there is none.

    Attributes:
        result: what the action returned, with "seconds" and "memory_mb" of its process.
        error: one message, or None.
        again: whether the result is of an earlier start.
    """

    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    again: bool = False


def finished(job: Job, quiet: bool = False) -> Outcome | None:
    """Return the outcome of a job that is done already; None where it is still to do.

    Args:
        job: the job.
        quiet: say nothing of a damaged file.
    """
    try:
        content = json.loads(job.path.read_text(encoding="utf-8"))
        key, result = content["key"], dict(content["result"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        if not quiet:
            warn(f"{job.path} is damaged: {job.name} is done again.")
        return None
    return Outcome(result, again=True) if key == job.key else None


def run_job(job: Job, environment: Mapping[str, str] | None = None) -> Outcome:
    """Return the outcome of a job, after running it in a process of its own where it is not done already.

    The process ends at once when this one does, however it ends.

    Args:
        job: the job.
        environment: variables beside those of this process.
    """
    done = finished(job)
    if done is not None:
        return done
    order = {"action": job.action, "options": job.options, "key": job.key, "path": str(job.path)}
    job.path.parent.mkdir(parents=True, exist_ok=True)
    with open(job.log, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "trase_ns.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_WAIT_POLICY": "passive", "MPLBACKEND": "Agg", **(environment or {})},
        )
        assert process.stdin is not None
        try:
            try:
                # The pipe stays open as long as this process lives: its end tells the other one to end.
                process.stdin.write(json.dumps(order).encode() + b"\n")
                process.stdin.flush()
            except BrokenPipeError:
                pass
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
    return _outcome(job, code)


def write_result(path: Path, key: str, result: dict[str, Any]) -> None:
    """Write the result of a job, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({"key": key, "result": result}, indent=1) + "\n", encoding="utf-8")


def error_path(path: Path) -> Path:
    """Return the file in which a job says why it has no result."""
    return path.with_suffix(".error")


def digest(value: Any) -> str:
    """Return a hash of plain JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


@cache
def fingerprint(folder: Path) -> str:
    """Return a hash of a folder's files: their names and sizes, and the contents of those up to 16 MB; read once."""
    entries = []
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        place = path.relative_to(folder)
        if not any(part.startswith(".") for part in place.parts):
            size = path.stat().st_size
            entries.append([place.as_posix(), size, sha256(path) if size <= _READ else None])
    return digest(entries)


def _outcome(job: Job, code: int) -> Outcome:
    done = finished(job)
    if code == 0 and done is not None:
        return Outcome(done.result)
    error = error_path(job.path)
    if code == 1 and error.exists():
        return Outcome(error=error.read_text(encoding="utf-8").strip())
    how = f"was ended by signal {-code}" if code < 0 else f"ended with exit status {code}"
    return Outcome(error=f"the process {how}; its last words are in {job.log}. The same command tries it again.")


def remaining(seconds: Mapping[str, list[float]], left: list[str]) -> float | None:
    """Estimate the seconds of the jobs that are left from those that are done.

    Args:
        seconds: of the jobs that were run, by their names.
        left: names of the jobs that are left.

    Returns:
        The estimate; None where nothing was run yet.
    """
    means = {name: sum(values) / len(values) for name, values in seconds.items() if values}
    if not means:
        return None
    # A method that was not run yet takes what methods take; the geometry, which takes far longer, is run first.
    others = [mean for name, mean in means.items() if name != "geometry"] or [min(means.values())]
    return sum(means.get(name, sum(others) / len(others)) for name in left)
