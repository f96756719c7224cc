"""Score a run on a benchmark: clicks select once, in 4D, and the selection is rendered into every scored frame."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track, warn
from trase_ns.errors import UserError
from trase_ns.evaluation import pictures
from trase_ns.evaluation.benchmark import FILE_NAME, Benchmark, BenchmarkObject, Click, read_mask
from trase_ns.evaluation.metrics import iou, mean_score, pixel_accuracy
from trase_ns.evaluation.run import ScoredFrame, ScoredRun
from trase_ns.files import atomic_write
from trase_ns.scene.camera import Camera

# A pixel belongs to a selection if the selected Gaussians make up at least this share of it.
THRESHOLD = 0.5
# Frames of an object in the contact sheet at most, spread evenly over its time.
SHEET_COLUMNS = 8


@dataclass(frozen=True)
class ObjectSelection:
    """What the clicks of one benchmark object selected: bool [N], object ids, and why it is empty where it is."""

    object: BenchmarkObject
    mask: Tensor
    objects: tuple[int, ...]
    problem: str | None = None


def evaluate(run: ScoredRun, benchmark: Benchmark, output_dir: Path, similarity: float | None = None) -> dict[str, Any]:
    """Score `run` on `benchmark` and write what was found.

    The selection is rendered white on black together with all other Gaussians black, so that what hides it counts,
    and compared at the resolution of the ground truth: a pixel is predicted where the selection makes up half of it
    or more.

    Args:
        run: the trained run.
        benchmark: see `load_benchmark`.
        output_dir: receives results.json, contact_sheet.jpg and pictures/<object>/<frame>.png (image, prediction,
            ground truth, errors).
        similarity: least cosine of a Gaussian's feature to its object's mean; the default of `select` if None.

    Returns:
        What results.json holds: "miou" and "macc" (mean over objects of the mean over frames), and for each object and
        each of its frames the same.

    Raises:
        UserError: the run has no objects, or a frame or mask of the benchmark is missing, unreadable or of a wrong
            size. A click that selects nothing is no error: it scores as an empty mask, with a warning.
    """
    frames = _resolve(run, benchmark)
    selections = [
        select_object(run, entry, similarity) for entry in track(benchmark.objects, "selecting", len(benchmark.objects))
    ]
    rows: dict[str, list[dict]] = {entry.name: [] for entry in benchmark.objects}
    tiles: dict[str, list[tuple[str, np.ndarray]]] = {entry.name: [] for entry in benchmark.objects}
    shown = {entry.name: _spread([n for n in frames if n in entry.masks], SHEET_COLUMNS) for entry in benchmark.objects}
    for name, frame in track(frames.items(), "scoring frames", len(frames)):
        scored = [(s, s.object.masks[name]) for s in selections if name in s.object.masks]
        for selection, file, truth, prediction in _predictions(run, frame, scored):
            entry = selection.object
            image = pictures.read_image(frame.image_path, truth.shape[1], truth.shape[0])
            clicks = [click for click in entry.clicks if run.frame(click.frame).name == frame.name]
            marks = [pictures.Mark(c.x * truth.shape[1], c.y * truth.shape[0], c.positive) for c in clicks]
            picture = Path("pictures", entry.name, f"{name}.png")
            pictures.save(pictures.comparison(image, prediction, truth, marks), output_dir / picture)
            score = iou(prediction, truth)
            rows[entry.name].append(
                {
                    "frame": frame.name,
                    "split": frame.split,
                    "time": frame.camera.time,
                    "iou": score,
                    "accuracy": pixel_accuracy(prediction, truth),
                    "mask": file.relative_to(benchmark.directory).as_posix(),
                    "picture": picture.as_posix(),
                }
            )
            if name in shown[entry.name]:
                tiles[entry.name].append((f"{name}  {score:.3f}", pictures.errors(image, prediction, truth)))
    results = _results(run, benchmark, selections, rows, similarity)
    sheet = [
        (f"{o['name']}   IoU {o['iou']:.3f}", [*_prompt_tiles(run, s.object), *tiles[s.object.name]])
        for o, s in zip(results["objects"], selections)
    ]
    pictures.save(pictures.contact_sheet(sheet), output_dir / "contact_sheet.jpg")
    with atomic_write(output_dir / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


def select_object(run: ScoredRun, entry: BenchmarkObject, similarity: float | None = None) -> ObjectSelection:
    """Select in `run` what the clicks of a benchmark object ask for.

    Raises:
        UserError: the run has no objects, or a click names an unknown frame.
    """
    from trase_ns.segmentation.clicks import select

    if run.segmentation is None:
        raise UserError(f"{run.config_path}: this run has no objects yet. Find them with `trase cluster`.")
    prompts = [_prompt(run, click) for click in entry.clicks]
    options = {} if similarity is None else {"similarity": similarity}
    try:
        selection = select(run.scene, run.segmentation, prompts, **options)
    except UserError as error:
        warn(f"object {entry.name!r} selects nothing: {error}")
        nothing = torch.zeros(len(run.scene), dtype=torch.bool, device=run.scene.device)
        return ObjectSelection(entry, nothing, (), str(error))
    return ObjectSelection(entry, selection.mask, tuple(int(i) for i in selection.objects))


def shares(run: ScoredRun, camera: Camera, masks: Tensor) -> Tensor:
    """Return what share of each pixel each selection makes up, in front of and behind all other Gaussians.

    Args:
        run: the trained run.
        camera: the view, its time and the resolution.
        masks: bool [N, O].

    Returns:
        [H, W, O] float32 in [0, 1].
    """
    from trase_ns.render import render_view

    with torch.no_grad():
        gaussians = run.scene.at(camera.time)
        return render_view(gaussians, camera.to(run.scene.device), colors=masks.to(gaussians.means)).color


def _resolve(run: ScoredRun, benchmark: Benchmark) -> dict[str, ScoredFrame]:
    """Find all frames and read all masks once: what is wrong shows before the work, not in its middle."""
    file = benchmark.directory / FILE_NAME
    frames: dict[str, ScoredFrame] = {}
    for entry in benchmark.objects:
        names = [(click.frame, "prompt") for click in entry.clicks] + [(name, "mask") for name in entry.masks]
        for name, role in names:
            try:
                frame = run.frame(name)
            except UserError as error:
                raise UserError(f"{file}: object {entry.name!r}, {role}: {error}") from error
            if role == "mask":
                frames[name] = frame
                _check_size(entry.masks[name], read_mask(entry.masks[name]).shape, frame)
    return dict(sorted(frames.items(), key=lambda item: (item[1].camera.time, item[0])))


def _check_size(path: Path, shape: tuple[int, ...], frame: ScoredFrame) -> None:
    """Allow the size of the picture, and any other of the same proportions."""
    width, height = frame.source_size
    if abs(shape[1] * height / width - shape[0]) > 1:
        raise UserError(
            f"mask {path} has {shape[1]} x {shape[0]} pixels, which is not the shape of frame {frame.name!r} "
            f"({width} x {height}). Draw it on that picture."
        )


def _predictions(
    run: ScoredRun, frame: ScoredFrame, scored: list[tuple[ObjectSelection, Path]]
) -> Iterable[tuple[ObjectSelection, Path, np.ndarray, np.ndarray]]:
    """Yield selection, mask file, ground truth and prediction; masks of one size share one rendering."""
    truths = [(selection, file, read_mask(file)) for selection, file in scored]
    for shape in dict.fromkeys(truth.shape for _, _, truth in truths):
        group = [item for item in truths if item[2].shape == shape]
        camera = frame.camera.resized(width=shape[1], height=shape[0])
        inside = shares(run, camera, torch.stack([selection.mask for selection, _, _ in group], dim=1)) >= THRESHOLD
        for channel, (selection, file, truth) in enumerate(group):
            yield selection, file, truth, inside[..., channel].cpu().numpy()


def _prompt(run: ScoredRun, click: Click):
    from trase_ns.segmentation.clicks import Prompt

    camera = run.frame(click.frame).camera
    # The far border of the picture belongs to its last pixel.
    x = min(click.x * camera.width, camera.width - 0.5)
    y = min(click.y * camera.height, camera.height - 0.5)
    return Prompt(camera.to(run.scene.device), x, y, click.positive, click.granularity)


def _prompt_tiles(run: ScoredRun, entry: BenchmarkObject) -> list[tuple[str, np.ndarray]]:
    tiles = []
    for name in dict.fromkeys(click.frame for click in entry.clicks):
        frame = run.frame(name)
        image = pictures.read_image(frame.image_path, *frame.source_size)
        height, width = image.shape[:2]
        marks = [pictures.Mark(c.x * width, c.y * height, c.positive) for c in entry.clicks if c.frame == name]
        tiles.append((f"clicks in {frame.name}", pictures.draw_marks(image, marks)))
    return tiles


def _spread(names: list[str], count: int) -> list[str]:
    if len(names) <= count:
        return names
    return [names[round(i * (len(names) - 1) / (count - 1))] for i in range(count)]


def _results(
    run: ScoredRun,
    benchmark: Benchmark,
    selections: list[ObjectSelection],
    rows: dict[str, list[dict]],
    similarity: float | None,
) -> dict[str, Any]:
    objects = []
    for selection in selections:
        frames = rows[selection.object.name]
        objects.append(
            {
                "name": selection.object.name,
                "iou": float(np.mean([row["iou"] for row in frames])),
                "accuracy": float(np.mean([row["accuracy"] for row in frames])),
                "gaussians": int(selection.mask.sum()),
                "selected_objects": list(selection.objects),
                "problem": selection.problem,
                "prompts": [asdict(click) for click in selection.object.clicks],
                "frames": frames,
            }
        )
    assert run.segmentation is not None
    return {
        "version": 1,
        "run": str(run.config_path),
        "benchmark": str(benchmark.directory),
        "miou": mean_score([[row["iou"] for row in o["frames"]] for o in objects]),
        "macc": mean_score([[row["accuracy"] for row in o["frames"]] for o in objects]),
        "gaussians": len(run.scene),
        "segmentation": run.segmentation.summary,
        "settings": {"similarity": similarity, "threshold": THRESHOLD, "empty_union": 1.0},
        "objects": objects,
    }
