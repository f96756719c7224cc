"""`trase evaluate`: score click selections against ground-truth masks."""

from __future__ import annotations

from pathlib import Path

from trase_ns.console import console


def main(load_config: Path, benchmark: Path, output: Path | None = None, similarity: float | None = None) -> None:
    """Score click selections against ground-truth masks.

    Each object of the benchmark is selected once, in 4D, by its clicks; the selection is then rendered into every
    frame that has a ground-truth mask. Writes results.json (mIoU, mAcc, boundary IoU, flicker and floaters, for each
    object and frame), a picture of each object in each frame, a contact sheet, and report.html.

    Args:
        load_config: config.yml of the run.
        benchmark: Folder with benchmark.json and the masks, or a scene's folder of the authors' Mask-Benchmark.
        output: Folder for the results. Default: evaluation in the run's folder.
        similarity: Keep of each selected object the Gaussians with at least this cosine to its mean feature. Default:
            keep all.
    """
    from trase_ns.evaluation.benchmark import load_benchmark
    from trase_ns.evaluation.mask_benchmark import is_mask_benchmark, load_mask_benchmark

    wanted = None if is_mask_benchmark(benchmark) else load_benchmark(benchmark)
    from trase_ns.cli.run_report import print_scores, write_run_report
    from trase_ns.evaluation.scoring import score, select_objects
    from trase_ns.plugin.run import load_run

    run = load_run(load_config)
    if wanted is None:
        wanted = load_mask_benchmark(benchmark, [frame.name for frame in run.frames if frame.split != "train"])
    output = output or run.directory / "evaluation"
    selections = select_objects(run, wanted, similarity)
    results = score(run, wanted, selections, output, {"similarity": similarity})
    title = f"Evaluation of {run.config.experiment_name or run.directory.name}"
    write_run_report(run, results, selections, output, output / "report.html", title)
    print_scores(results)
    console.print(f"wrote {output / 'results.json'} and {output / 'report.html'}", highlight=False, soft_wrap=True)
