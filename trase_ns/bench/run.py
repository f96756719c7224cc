"""The whole benchmark: all jobs, then tables and pictures of their results."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from trase_ns.bench import spread, tables
from trase_ns.bench.jobs import Outcome
from trase_ns.bench.pictures import write_chart, write_sheets
from trase_ns.bench.plan import Plan, Report, results_of, run_scene
from trase_ns.errors import UserError
from trase_ns.files import atomic_write


def run_bench(plan: Plan, report: Report, ray: str | None = None, workers: int | None = None) -> dict[str, Any]:
    """Do all jobs of a benchmark that are not done yet, and write its results, tables and pictures.

    Args:
        plan: the benchmark.
        report: told of each job when it is done.
        ray: address of a Ray cluster or "local", to spread the scenes; None does them one after the other.
        workers: scenes at a time, for "local".

    Returns:
        What results.json holds, see `results_of`.

    Raises:
        UserError: the folder cannot be written or is in use; Ray fails. A method that fails is no error.
    """
    make_folder(plan.output)
    with _alone(plan.output):
        text = json.dumps(asdict(plan), indent=2, default=str)
        _write(plan.output / spread.PLAN, text + "\n")
        if ray is None:
            outcomes: dict[str, dict[str, Outcome]] = {s.name: run_scene(plan, s, report) for s in plan.scenes}
        else:
            outcomes = spread.spread(plan, ray, workers, report)
        results = results_of(plan, outcomes)
        write_results(results, plan.output)
        return results


def write_results(results: dict[str, Any], output: Path) -> None:
    """Write results.json, results.csv, results.md and results.tex, the sheets of all objects, and the chart.

    Args:
        results: see `results_of`.
        output: the benchmark's folder.
    """
    _write(output / "results.json", json.dumps(results, indent=1) + "\n")
    _write(output / "results.csv", tables.csv_text(results))
    every = tables.tables(results)
    _write(
        output / "results.md",
        f"# Benchmark\n\n{results['machine']}; seed {results['seed']}.\n\n{tables.markdown(every)}",
    )
    _write(output / "results.tex", tables.latex(every))
    write_sheets(results, output / "scenes", output / "pictures")
    write_chart(results, output / "pictures" / "miou.png")


def make_folder(folder: Path) -> None:
    """Make the benchmark's folder.

    Raises:
        UserError: something else is there, or it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: name a folder for the benchmark.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the folder {folder}: {error.strerror}. Name one that you may write to."
        ) from error


def _alone(folder: Path) -> FileLock:
    """Hold the folder for this process; a lock of a process that died is no lock."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"another `trase bench` works in {folder}: wait for it, or name another folder.") from error
    except OSError as error:
        raise UserError(
            f"cannot write into {folder}: {error.strerror}. Name a folder that you may write to."
        ) from error
    return lock


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
