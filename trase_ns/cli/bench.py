"""`trase bench`: compare methods on scenes, with costs, tables and pictures."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.plugin.preset import PRESETS

if TYPE_CHECKING:
    from trase_ns.bench.jobs import Job, Outcome
    from trase_ns.bench.plan import Plan
    from trase_ns.bench.scenes import BenchScene


def main(
    output: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")],
    methods: tuple[str, ...] | None = None,
    scenes: tuple[Path, ...] | None = None,
    runs: tuple[Path, ...] | None = None,
    suite: tuple[str, ...] | None = None,
    seed: int = 0,
    benchmark: str | None = None,
    preset: str | None = None,
    trainer: str = "trase",
    training: str = "",
    steps: int | None = None,
    dgd_maps: str | None = None,
    dgd_model: Literal["dinov2", "clip", "vgg16"] | None = None,
    dgd_weights: str | None = None,
    ray: str | None = None,
    workers: int | None = None,
    threads: int = 2,
    keep_runs: bool = False,
) -> None:
    """Compare methods: train each scene once, give it the features and objects of each method, and score them.

    Each object is selected once by the clicks of the benchmark and scored in its frames, as by `trase evaluate`. Writes
    results.json, results.csv, tables in results.md and results.tex, pictures of every object by every method, and what
    all of it costs. Killed or stopped, the same command goes on where it was. A method that fails becomes a message in
    the tables, the others go on, and the exit status is 1.

    Args:
        output: Folder for everything.
        methods: Methods to compare. Default: trase, trase-soft, trase-hard, trase-no-mining, trase-cgc, trase-click,
            trase-dgd and trase-uplift. There are also trase-filtered, trase-multi-frame and trase-features.
        scenes: Folders of data sets with a benchmark. Default: the synthetic suite, made with --seed.
        runs: config.yml of finished runs, whose geometry is taken, instead of data sets.
        suite: Scenes of the synthetic suite to take. Default: all of them.
        seed: Of the synthetic suite, of the trainings and of the methods.
        benchmark: Folder with the clicks and the ground truth; {scene} stands for the name of the scene. Default:
            benchmark in the folder of the data set. A scene's folder of the Mask-Benchmark will do.
        preset: TRASE_PRESET of the trainings. Default: that of each scene of the suite; for others that of the device.
        trainer: Method of ns-train that makes the geometry, as trase-neu3d.
        training: Further options of ns-train in one string, as "--pipeline.model.geometry-steps 3000".
        steps: Steps of the features, of all methods that train. Default: each method's own.
        dgd_maps: Folder of the feature maps for trase-dgd; {scene} stands for the name of the scene. Default: they are
            made with --dgd-model.
        dgd_model: Makes the feature maps. Default: the first of these whose weights are on this machine; where there is
            none, trase-dgd is left out, and its row says so.
        dgd_weights: Weights of --dgd-model, as --weights of `trase maps`.
        ray: "local", or the address of a Ray cluster: several scenes at a time.
        workers: Scenes at a time with --ray local. Default: as many as there are cores for.
        threads: Threads of each job. Numbers may differ in their last digits with other numbers of threads.
        keep_runs: Write a run with the features and objects of each method, to look at it in the viewer.
    """
    from trase_ns.bench.methods import chosen

    check(scenes, runs, suite, preset, benchmark, ray, workers, steps, threads, seed, dgd_maps, dgd_model, dgd_weights)
    names = chosen(methods)
    from trase_ns.bench.plan import NOT_RUN, Plan, failures
    from trase_ns.bench.run import make_folder, run_bench
    from trase_ns.bench.scenes import scenes_at, scenes_of_runs, suite_scenes

    output = output.resolve()
    make_folder(output)
    if runs is not None:
        found = scenes_of_runs(runs, benchmark)
    elif scenes is not None:
        found = scenes_at(scenes, preset, benchmark)
    else:
        found = suite_scenes(output / "data", seed, suite, preset)
    words = tuple(shlex.split(training))
    plan = Plan(
        output,
        tuple(found),
        names,
        seed=seed,
        training=words,
        trainer=trainer,
        steps=steps,
        maps=dgd_maps,
        map_model=dgd_model,
        map_weights=dgd_weights,
        threads=threads,
        keep=keep_runs,
    )
    results = run_bench(plan, Progress(plan).report, ray, workers)
    show(results)
    console.print(f"wrote {output / 'results.md'}", highlight=False, soft_wrap=True)
    # What nobody asked for by name may be left out.
    failed = [message for message in failures(results) if methods is not None or NOT_RUN not in message]
    if failed:
        raise UserError(f"{len(failed)} of the jobs failed:\n" + "\n".join(f"  {message}" for message in failed))


def check(
    scenes: tuple[Path, ...] | None,
    runs: tuple[Path, ...] | None,
    suite: tuple[str, ...] | None,
    preset: str | None,
    benchmark: str | None,
    ray: str | None,
    workers: int | None,
    steps: int | None,
    threads: int,
    seed: int,
    dgd_maps: str | None,
    dgd_model: str | None,
    dgd_weights: str | None,
) -> None:
    """Check the options before anything is loaded.

    Raises:
        UserError: some exclude each other, or one is out of its range.
    """
    given = [name for name, value in (("--scenes", scenes), ("--runs", runs), ("--suite", suite)) if value is not None]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} exclude each other: name the scenes in one way.")
    if preset is not None and runs is not None:
        raise UserError("--preset is of trainings, and --runs are trained already. Leave one out.")
    if preset is not None and preset not in PRESETS:
        raise UserError(f"--preset {preset}: there are {', '.join(PRESETS[:-1])} and {PRESETS[-1]}.")
    if benchmark is not None and scenes is None and runs is None:
        raise UserError("--benchmark goes with --scenes or --runs: the suite has its own.")
    if workers is not None and ray != "local":
        raise UserError("--workers goes with --ray local: a cluster knows its own size.")
    if dgd_weights is not None and dgd_model is None:
        raise UserError("--dgd-weights goes with --dgd-model: name the model that they are of.")
    if dgd_maps is not None and dgd_model is not None:
        raise UserError("--dgd-maps and --dgd-model exclude each other: maps are made or given.")
    for name, value in (("--workers", workers), ("--steps", steps), ("--threads", threads)):
        if value is not None and value < 1:
            raise UserError(f"{name} {value}: use a number of at least 1.")
    if seed < 0:
        raise UserError(f"--seed {seed}: use a number of at least 0.")


class Progress:
    """Prints a line for each job that is done, with an estimate of what is left.

    Args:
        plan: the benchmark.
    """

    def __init__(self, plan: Plan):
        self.left = [(scene.name, job.name) for scene in plan.scenes for job in plan.jobs(scene)]
        self.total = len(self.left)
        self.seconds: dict[str, list[float]] = {}

    def report(self, scene: BenchScene, job: Job, outcome: Outcome) -> None:
        """Take note of a job that is done, and print its line."""
        from trase_ns.bench.jobs import remaining

        if (scene.name, job.name) in self.left:
            self.left.remove((scene.name, job.name))
        if outcome.error is None and not outcome.again:
            self.seconds.setdefault(job.name, []).append(outcome.result["seconds"])
        if outcome.error:
            what = f"failed: {outcome.error}"
        else:
            what = "done before" if outcome.again else f"{outcome.result['seconds']:.0f} s"
            what += f", mIoU {outcome.result['miou']:.3f}" if "miou" in outcome.result else ""
            if outcome.result.get("psnr") is not None:
                what += f", PSNR {outcome.result['psnr']:.1f} dB"
        estimate = remaining(self.seconds, [name for _, name in self.left])
        rest = "" if estimate is None or not self.left else f"; about {estimate / 60:.0f} min of work left"
        console.print(
            f"{self.total - len(self.left)}/{self.total} {scene.name}, {job.name}: {what}{rest}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def show(results: dict[str, Any]) -> None:
    """Print the scores and the costs of the methods."""
    from rich.table import Table

    from trase_ns.bench.tables import cost_table, score_table

    for table in (score_table(results), cost_table(results)):
        shown = Table(title=table.caption)
        shown.add_column(table.first)
        for column in table.columns:
            shown.add_column(column.head, justify="right")
        for row, cells in zip(table.rows, table.cells()):
            shown.add_row(row.name, *(f"[bold]{text}[/bold]" if best else text for text, best in cells))
        console.print(shown)
