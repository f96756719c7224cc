"""`trase demo`: the whole way on a scene with known answers, from pictures to objects and a report."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.files import atomic_write

if TYPE_CHECKING:
    from trase_ns.plugin.run import Run


def main(
    output_dir: Path = Path("demo"),
    seed: int = 0,
    geometry_steps: int = 4000,
    feature_steps: int = 500,
    max_gaussians: int = 8000,
    frames: int = 100,
    width: int = 192,
    height: int = 144,
) -> None:
    """Make a scene with known answers, train on it, score it and write a report.

    Makes the built-in moving scene with exact masks of its objects and masks as SAM would give them, trains on the
    latter with ns-train, selects every object by clicks, scores the selections in held-out views against the exact
    masks, exports one object, and writes report.html and report.json. Stopped, it goes on where it was: what is
    finished is used again if it was made with the same options.

    Args:
        output_dir: Folder for everything.
        seed: Of the scene.
        geometry_steps: Training steps of the geometry.
        feature_steps: Training steps of the features.
        max_gaussians: Gaussians at most.
        frames: Moments of the scene.
        width: Of the pictures, in pixels.
        height: Of the pictures, in pixels.
    """
    output_dir = output_dir.resolve()
    data = output_dir / "-".join(["scene", f"seed{seed}", f"{frames}x{width}x{height}"])
    _say(1, "the scene")
    started = time.monotonic()
    if (data / "scene.json").exists():
        console.print(f"using the scene in {data} again", highlight=False, soft_wrap=True)
    from trase_ns.synthetic import make_scene

    make_scene(data, seed=seed, frames=frames, width=width, height=height)
    seconds = {"scene": time.monotonic() - started}

    _say(2, "training")
    options = {"geometry-steps": geometry_steps, "feature-steps": feature_steps, "max-gaussians": max_gaussians}
    config, seconds["training"] = train(data, output_dir / "outputs", options)

    _say(3, "evaluation")
    started = time.monotonic()
    evaluation = output_dir / "evaluation"
    run, results, selections = _evaluate(config, data / "benchmark", evaluation)
    seconds["evaluation"] = time.monotonic() - started

    _say(4, "export and report")
    started = time.monotonic()
    exported = _export_one(run, selections, output_dir / "export")
    total = sum(seconds.values())
    from trase_ns.cli.run_report import print_scores, write_run_report
    from trase_ns.evaluation.report import Command, Fact

    viewer = f"ns-viewer --load-config {shlex.quote(str(config))}"
    commands = [Command("Click objects and move through time", viewer)]
    if exported is not None:
        commands.append(Command("An object as Gaussian splats, for any splat viewer", str(exported)))
    figures = write_run_report(
        run,
        results,
        selections,
        evaluation,
        output_dir / "report.html",
        "TRASE demo: the objects of a moving scene",
        facts=[Fact("Time", _duration(total), f"training {_duration(seconds['training'])}")],
        commands=commands,
    )
    seconds["report"] = time.monotonic() - started
    report = {
        "miou": results["miou"],
        "macc": results["macc"],
        "mbiou": results["mbiou"],
        "flicker": results["flicker"],
        "floaters": results["floaters"],
        **figures,
        "objects": [{key: value for key, value in o.items() if key != "frames"} for o in results["objects"]],
        "seconds": round(sum(seconds.values()), 1),
        "seconds_by_stage": {name: round(value, 1) for name, value in seconds.items()},
        "seed": seed,
        "data": str(data),
        "config": str(config),
        "export": None if exported is None else str(exported),
    }
    _write_json(output_dir / "report.json", report)
    print_scores(results)
    console.print(f"report: {output_dir / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"open the viewer and click: {viewer}", highlight=False, soft_wrap=True)


def train(data: Path, output_dir: Path, model_options: dict[str, Any]) -> tuple[Path, float]:
    """Train on `data` with ns-train in a process of its own, or take a finished run of the same options.

    A run that was stopped goes on from its last checkpoint.

    Args:
        data: folder of the data set.
        output_dir: as for ns-train.
        model_options: options of the model, as on the command line of ns-train, without "--pipeline.model.".

    Returns:
        config.yml of the run, and the seconds that its last training took.

    Raises:
        UserError: the training failed.
    """
    from trase_ns.bench.training import Training

    name = "-".join([f"{key}{value}" for key, value in sorted(model_options.items())]) or "default"
    options = [word for key, value in model_options.items() for word in (f"--pipeline.model.{key}", str(value))]
    training = Training(data, output_dir, name, options)
    if training.seconds is not None:
        console.print(f"using the trained run in {training.folder} again", highlight=False, soft_wrap=True)
        return training.config, training.seconds
    if training.started:
        console.print("going on from the last checkpoint of a run that was stopped", highlight=False)
    words = training.words()
    console.print(f"ns-train {shlex.join(words)}", highlight=False, soft_wrap=True)
    started = time.monotonic()
    code = _run([sys.executable, "-m", "nerfstudio.scripts.train", *words])
    if code != 0:
        raise UserError(
            f"the training stopped with exit status {code}; its messages are above. `trase demo` with the same options "
            "goes on from the last checkpoint."
        )
    seconds = time.monotonic() - started
    training.finish(seconds)
    return training.config, seconds


def _run(command: list[str]) -> int:
    """Run a command to its end and return its exit status; it does not outlive this process's SIGTERM or Ctrl-C."""
    # Things cross the whole scene, on any device.
    environment = {"TRASE_PRESET": "motion", **os.environ}
    with _terminable(), subprocess.Popen(command, env=environment) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that what was started is ended too."""

    def stop(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before: Callable | int | None = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _evaluate(config: Path, benchmark: Path, output: Path):
    from trase_ns.evaluation.benchmark import load_benchmark
    from trase_ns.evaluation.scoring import score, select_objects
    from trase_ns.plugin.run import load_run

    wanted = load_benchmark(benchmark)
    run = load_run(config)
    selections = select_objects(run, wanted)
    return run, score(run, wanted, selections, output, {"similarity": None}), selections


def _export_one(run: Run, selections: list, folder: Path) -> Path | None:
    """Export the first object that has Gaussians, at the middle of time."""
    from trase_ns.editing.exporting import moment, write

    for selection in selections:
        if bool(selection.mask.any()):
            path = folder / selection.object.name / "time0.500.ply"
            write(path, moment(run.scene.subset(selection.mask), 0.5))
            return path
    return None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _say(stage: int, name: str) -> None:
    console.rule(f"{stage} of 4: {name}", align="left")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
