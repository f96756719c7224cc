"""Measure how long the parts of the program take, and rewrite docs/performance.md, its JSON and its picture.

    python -m benchmarks.performance [--quick] [--output docs/performance.md]

Everything is random with a fixed seed, and what is compared is measured by turns in this one run: the ratios say more
than the times, which depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.accuracy import ROOT, machine
from benchmarks.performance import commands, methods, rasterizer, steps, studio
from benchmarks.performance.page import page
from benchmarks.performance.plots import draw
from benchmarks.performance.timing import Effort, most_threads, side_by_side
from trase_ns.console import track


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the program itself")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/performance.md", help="the page")
    options = parser.parse_args()
    torch.manual_seed(0)
    found = measured(options.quick, "cuda" if torch.cuda.is_available() else "cpu")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    draw(found, options.output.parent / "pictures/performance.svg")
    memory = options.output.with_name("memory.json")
    text = page(found, json.loads(memory.read_text()) if memory.exists() else None)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def measured(quick: bool, device: str) -> dict[str, Any]:
    """Measure everything."""
    cores = most_threads()
    effort, brief = (Effort(1, 0.05), Effort(1, 0.05)) if quick else (Effort(3, 0.4), Effort(2, 0.2))
    found: dict[str, Any] = {"machine": machine(), "threads": cores, "quick": quick, "load_before": load()}

    def each(items: Any, description: str, work: Callable[[Any], Any]) -> list:
        return [work(item) for item in track(list(items), description)]

    found["rasterizer"] = each(
        rasterizer.cases(quick), "rasterizer", lambda case: rasterizer.measure_case(case, effort, device, cores)
    )
    found["feature_step"] = side_by_side(steps.feature_steps(quick, device), brief)
    found["uplifting"] = methods.uplifting(quick, device, brief)
    with commands.temporary_folder() as folder:
        calls = [
            *rasterizer.weights(quick, device),
            *steps.parts(quick, device),
            *methods.parts(quick, device),
            *commands.clicks(quick, device),
            *commands.files(quick, Path(folder)),
            *commands.programs(),
        ]
        waits = list(studio.waits(quick, device, Path(folder)))
        for part, measured_calls in (("parts", calls), ("studio", waits)):
            times = each(measured_calls, part, lambda call: side_by_side({"it": call[1]}, brief)["it"])
            found[part] = {name: value for (name, _), value in zip(measured_calls, times)}
    found["clusters"] = commands.clusters(quick, device)
    found["objects"] = each(commands.frames(quick), "objects", lambda count: commands.objects(count, device))
    found["curves"] = {
        name: [
            [point, value]
            for point, value in zip(
                points, each(points, f"by {name}", lambda point: rasterizer.measure_point(point, brief, device))
            )
        ]
        for name, points in rasterizer.curves(quick).items()
    }
    found["load_after"] = load()
    return rounded(found)


def load() -> float:
    """Return how many programs ran on average in the last minute."""
    return round(os.getloadavg()[0], 1)


def rounded(value: Any) -> Any:
    """Return the same results with three digits behind the point."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: rounded(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(entry) for entry in value]
    return value


if __name__ == "__main__":
    main()
