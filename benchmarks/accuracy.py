"""Train on the real and on the built-in scenes, score all, and rewrite docs/accuracy.md and its pictures.

    python benchmarks/accuracy.py --assets DIR [--output docs/accuracy.md] [--output-dir outputs/accuracy]

DIR holds the data set `hand_books`. What is finished in the output folder is used again, so that the command can be
stopped and started. Runs that exist already are taken with --run, --static-run, --mlp-run, --thrown-run and --demo.
The table of methods is that of a folder of `trase bench`: --bench DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from trase_ns.bench.plan import machine
from trase_ns.bench.training import Training, step_seconds
from trase_ns.plugin.run import load_run
from trase_ns.synthetic import make_scene

ROOT = Path(__file__).resolve().parent.parent
BENCHMARK = Path("benchmarks/hand_books")
STILL = ("--pipeline.model.deformation", "False", "--pipeline.model.feature-steps", "0")

MLP = ("--pipeline.model.field-type", "mlp", "--pipeline.model.geometry-steps", "8500")  # it needs more steps
THROWN = {"scene": "thrown", "cameras": "relay", "rig": 16, "frames": 30, "held_out": 30, "points": 6000}


@dataclass(frozen=True)
class Scored:
    """A trained run, what `ns-eval` says of it, and the minutes that its steps took."""

    config: Path
    results: dict[str, float]
    minutes: float


def main() -> None:
    """Read the command line and do all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, help="folder that holds hand_books; not needed if its runs are given")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/accuracy.md", help="the page")
    parser.add_argument("--output-dir", type=Path, default=ROOT / "outputs/accuracy", help="folder for the runs")
    parser.add_argument("--run", type=Path, help="config.yml of a run on hand_books with the defaults")
    parser.add_argument("--static-run", type=Path, help="the same, trained without deformation")
    parser.add_argument("--mlp-run", type=Path, help="the same, trained with the paper's MLP as its field")
    parser.add_argument("--thrown-run", type=Path, help="config.yml of a run on the built-in scene of thrown things")
    parser.add_argument("--demo", type=Path, help="output folder of `trase demo`")
    parser.add_argument("--bench", type=Path, help="output folder of `trase bench` on the synthetic suite")
    parser.add_argument("--remark", default="", help="what readers should know of runs that exist already")
    options = parser.parse_args()
    if not (options.run and options.static_run and options.mlp_run) and not (
        options.assets and (options.assets / "hand_books").is_dir()
    ):
        parser.error("name the folder that holds hand_books with --assets")

    folder = options.output_dir.resolve()
    hand_books = options.assets / "hand_books" if options.assets else None
    moving = scored(options.run or trained(hand_books, folder, "default"), folder / "eval.json")
    still = scored(options.static_run or trained(hand_books, folder, "static", *STILL), folder / "eval-static.json")
    mlp = scored(options.mlp_run or trained(hand_books, folder, "mlp", *MLP), folder / "eval-mlp.json")
    thrown, fast = follow_thrown(options.thrown_run, folder)
    evaluation = folder / "evaluation"
    run_tool("trase", "evaluate", "--load-config", moving.config, "--benchmark", BENCHMARK, "--output", evaluation)
    selection = json.loads((evaluation / "results.json").read_text())
    demo = (options.demo or folder / "demo").resolve()
    if not (demo / "report.json").exists():
        run_tool("trase", "demo", "--output-dir", demo)
    report = json.loads((demo / "report.json").read_text())

    pictures = options.output.resolve().parent / "pictures"
    draw_strip(moving.config, ROOT / BENCHMARK, "arm", pictures / "hand_books.jpg")
    shrink(evaluation / "contact_sheet.jpg", pictures / "hand_books_scores.jpg")
    draw_strip(Path(report["config"]), Path(report["data"]) / "benchmark", "robot", pictures / "demo.jpg")
    shrink(demo / "evaluation" / "contact_sheet.jpg", pictures / "demo_scores.jpg")
    bench = options.bench or folder / "bench"
    if not (bench / "results.json").exists():
        run_tool("trase", "bench", bench)
    shrink(bench / "pictures" / "miou.png", pictures / "bench_miou.jpg")
    compared = methods(json.loads((bench / "results.json").read_text()))
    text = page(moving, still, mlp, selection, report, thrown, fast, options.remark)
    options.output.write_text(f"{text}\n{compared}", encoding="utf-8")
    print(f"wrote {options.output} and {pictures}")


def follow_thrown(config: Path | None, folder: Path) -> tuple[Scored, dict]:
    """Train on the built-in scene of thrown things, or take a run; return it and its objects' scores."""
    if config is None:
        made = make_scene(folder / "data" / "thrown", **THROWN)
        config = trained(made, folder, "rig", preset="rig")
    evaluation = folder / "evaluation-thrown"
    data = load_run(config).config.pipeline.datamanager.data
    assert data is not None
    benchmark = data / "benchmark"
    run_tool("trase", "evaluate", "--load-config", config, "--benchmark", benchmark, "--output", evaluation)
    return scored(config, folder / "eval-thrown.json"), json.loads((evaluation / "results.json").read_text())


def trained(data: Path | None, folder: Path, name: str, *options: str, preset: str | None = None) -> Path:
    """Train with the defaults, or those of `preset`, and `options`; or take the run of this name if it is finished."""
    assert data is not None  # the command line was checked
    training = Training(data.resolve(), folder, name, options)
    if training.seconds is None:
        started = time.monotonic()
        run_tool("ns-train", *training.words(), preset=preset)
        training.finish(time.monotonic() - started)
    return training.config


def scored(config: Path, output: Path) -> Scored:
    """Measure the held-out frames of a run with ns-eval, anew where the run is another or newer than the result."""
    config = config.resolve()
    newest = max(path.stat().st_mtime for path in (config.parent / "nerfstudio_models").glob("step-*.ckpt"))
    known = json.loads(output.read_text()) if output.exists() and output.stat().st_mtime > newest else {}
    if known.get("run") != str(config):
        run_tool("ns-eval", "--load-config", config, "--output-path", output)
        known = {"run": str(config), "results": json.loads(output.read_text())["results"]}
        output.write_text(json.dumps(known, indent=2) + "\n")
    return Scored(config, known["results"], step_seconds(config.parent / "history.jsonl") / 60)


def run_tool(*words: object, preset: str | None = None) -> None:
    """Run a program of this environment in the repository, and stop if it fails."""
    command = [str(word) for word in words]
    print(f"$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).parent / command[0]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", **({"TRASE_PRESET": preset} if preset else {})}
    subprocess.run([str(program), *command[1:]], check=True, cwd=ROOT, env=environment)


def draw_strip(config: Path, benchmark: Path, name: str, path: Path, columns: int = 4) -> None:
    """Draw held-out frames over time: from top to bottom the input, the rendering, the objects and one selected."""
    import torch

    from trase_ns.evaluation.benchmark import load_benchmark
    from trase_ns.evaluation.scoring import select_objects
    from trase_ns.render import render_view
    from trase_ns.segmentation.pictures import segment_colours, selection_overlay

    run = load_run(config)
    wanted = load_benchmark(benchmark)
    wanted = replace(wanted, objects=tuple(o for o in wanted.objects if o.name == name) or wanted.objects[:1])
    selected = select_objects(run, wanted)[0].mask
    assert run.segmentation is not None
    colours = segment_colours(run.segmentation, len(run.scene))
    assert colours is not None
    frames = [frame for frame in run.frames if frame.split != "train"]
    frames = [frames[round(i * (len(frames) - 1) / (columns - 1))] for i in range(columns)]
    drawn = []
    for frame in frames:
        with torch.no_grad():
            gaussians = run.scene.at(frame.time)
            rgb = render_view(gaussians, frame.camera, background=run.background).color.clamp(0, 1)
            segments = render_view(gaussians, frame.camera, colours).color.clamp(0, 1)
            share = render_view(gaussians, frame.camera, selected[:, None].to(rgb)).color
        panels = [frame.image().to(rgb), rgb, segments, selection_overlay(rgb, share)]
        drawn.append(torch.cat(panels))
    strip = (torch.cat(drawn, dim=1) * 255).round().byte().cpu().numpy()
    save(Image.fromarray(strip), path)


def shrink(source: Path, path: Path, width: int = 1200) -> None:
    """Copy a picture, at most `width` wide."""
    with Image.open(source) as picture:
        picture.thumbnail((width, 10 * width))
        save(picture, path)


def save(picture: Image.Image, path: Path, most: int = 140_000) -> None:
    """Write a JPEG in the best quality that needs no more than `most` bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(90, 20, -5):
        picture.convert("RGB").save(path, "JPEG", quality=quality, optimize=True)
        if path.stat().st_size <= most:
            return


def page(
    moving: Scored,
    still: Scored,
    mlp: Scored,
    selection: dict,
    demo: dict,
    thrown: Scored,
    fast: dict,
    remark: str = "",
) -> str:
    """Return the text of docs/accuracy.md."""
    views = [view["iou"] for scene_object in fast["objects"] for view in scene_object["frames"]]
    gain = moving.results["psnr"] - still.results["psnr"]
    return f"""# Accuracy

This page is written by `make accuracy ASSETS=DIR` (`benchmarks/accuracy.py`); do not edit it by hand.
How scores are defined: [evaluation.md](evaluation.md).

Machine: {machine()}.

## A real video

`hand_books`: 86 frames of a hand-held camera, a hand moving over books; every 8th frame is held out, and the masks are
MobileSAM's. Trained with the defaults, no option but the data:

    ns-train trase --data hand_books --vis tensorboard
    ns-train trase --data hand_books --vis tensorboard {" ".join(STILL)}
    ns-train trase --data hand_books --vis tensorboard {" ".join(MLP)}

| held-out frames | PSNR (dB) | SSIM | training (min) |
|---|---:|---:|---:|
{_row("with deformation", moving)}
{_row("without deformation", still)}
{_row("with the paper's MLP", mlp)}

Deformation gains {gain:.1f} dB. Training is the time of the steps, from the run's own history; reading the data and
finding the objects is not in it{_without_features(still)}.{_remark(remark)}

![Held-out frames](pictures/hand_books.jpg)

*Four held-out frames. From top to bottom: the video, the rendering, the objects, and the arm as selected by its two
clicks.*

Objects selected by click, against the ground truth in [benchmarks/hand_books](../benchmarks/hand_books/README.md):

    trase evaluate --load-config CONFIG --benchmark {BENCHMARK}

{_objects(selection)}

![Scores of each object and frame](pictures/hand_books_scores.jpg)

*Green: agreed; red: selected but not in the ground truth; blue: missed. The first picture of a row shows the clicks.*

## The built-in scene

    trase demo

{_objects(demo)}

{demo["gaussians"]:,} Gaussians, {demo["objects_found"]} objects found, held-out PSNR {demo["psnr"]:.1f} dB,
{demo["seconds"] / 60:.1f} minutes for everything.

![The built-in scene](pictures/demo.jpg)

![Scores in the built-in scene](pictures/demo_scores.jpg)

## Thrown things

The scene `thrown`: balls that are thrown and bounce, a tumbling box, a bar that swings by three of its widths between
two of 30 moments. A quarter of 16 cameras takes a picture at each moment; scored in cameras that took none, at every
moment.

    python -c 'from trase_ns.synthetic import make_scene; make_scene("thrown", scene="thrown", cameras="relay",
               rig=16, frames=30, held_out=30, points=6000)'
    TRASE_PRESET=rig ns-train trase --data thrown --vis tensorboard

{_objects(fast)}

PSNR {thrown.results["psnr"]:.1f} dB, SSIM {thrown.results["ssim"]:.4f}, {thrown.minutes:.1f} minutes of training. Of
{len(views)} views of an object {sum(iou < 0.7 for iou in views)} have an IoU below 0.7.
"""


def methods(results: dict) -> str:
    """Return the section that compares the methods, from the results of `trase bench`."""
    from trase_ns.bench.tables import cost_table, markdown, picture_table, scene_table, score_table

    tables = [make(results) for make in (score_table, scene_table, cost_table, picture_table)]
    return f"""## Methods compared

    trase bench DIR --seed {results["seed"]}

On {results["machine"]}. What the methods are and what the numbers mean: [bench.md](bench.md).

![IoU of every object by method](pictures/bench_miou.jpg)

{markdown(tables, level=3)}"""


def _remark(text: str) -> str:
    return "\n" + textwrap.fill(text, 120) if text else ""


def _row(name: str, run: Scored) -> str:
    return f"| {name} | {run.results['psnr']:.2f} | {run.results['ssim']:.4f} | {run.minutes:.1f} |"


def _without_features(still: Scored) -> str:
    stages = {json.loads(line)["stage"] for line in (still.config.parent / "history.jsonl").read_text().splitlines()}
    return "" if "features" in stages else "; the second run has no feature stage"


def _objects(results: dict) -> str:
    rows = ["| object | IoU | accuracy |", "|---|---:|---:|"]
    rows += [f"| {o['name']} | {o['iou']:.3f} | {o['accuracy']:.3f} |" for o in results["objects"]]
    return "\n".join([*rows, f"| **mean** | **{results['miou']:.3f}** | **{results['macc']:.3f}** |"])


if __name__ == "__main__":
    main()
