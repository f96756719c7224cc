"""Score a run on a benchmark: clicks select once, in 4D, and the selection is rendered into every scored frame."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track, warn
from trase_ns.errors import UserError
from trase_ns.evaluation import pictures
from trase_ns.evaluation.benchmark import FILE_NAME, Benchmark, BenchmarkObject, Click, read_mask
from trase_ns.evaluation.frames import pinhole_mask, pinhole_picture, pinhole_point
from trase_ns.evaluation.metrics import boundary_iou, flicker, floaters, iou, mean_score, pixel_accuracy
from trase_ns.evaluation.run import ScoredFrame, ScoredRun
from trase_ns.files import atomic_write
from trase_ns.segmentation.objects import Segmentation

if TYPE_CHECKING:
    from trase_ns.segmentation.clicks import Prompt

# A pixel belongs to a selection if the selected Gaussians make up at least this share of it.
THRESHOLD = 0.5
# Frames of an object in the contact sheet at most, spread evenly over its time.
SHEET_COLUMNS = 8


@dataclass(frozen=True)
class ObjectSelection:
    """What the clicks of one benchmark object selected.

    Attributes:
        object: the benchmark's entry.
        mask: bool [N], the selected Gaussians; none where the clicks selected nothing.
        objects: the run's objects that were selected.
        notes: what there is to say, as why nothing was selected.
    """

    object: BenchmarkObject
    mask: Tensor
    objects: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def evaluate(run: ScoredRun, benchmark: Benchmark, output_dir: Path, similarity: float | None = None) -> dict[str, Any]:
    """Select every object of `benchmark` by its clicks and score the selections: `select_objects`, then `score`."""
    return score(run, benchmark, select_objects(run, benchmark, similarity), output_dir, {"similarity": similarity})


def select_objects(run: ScoredRun, benchmark: Benchmark, similarity: float | None = None) -> list[ObjectSelection]:
    """Select in `run` what the clicks of each benchmark object ask for.

    A click that selects nothing is no error: it scores as an empty mask, with a warning.

    Args:
        run: the trained run.
        benchmark: see `load_benchmark`.
        similarity: least cosine of a Gaussian's feature to its object's mean; the default of `select` if None.

    Raises:
        UserError: the run has no objects, or a frame or mask of the benchmark is missing, unreadable or of a wrong
            size.
    """
    if run.segmentation is None:
        raise UserError(f"{run.config_path}: this run has no objects yet. Find them with `trase cluster`.")
    if similarity is not None and similarity > 0 and run.segmentation.centres is None:
        raise UserError("--similarity: this run has no trained features to compare. Leave it out.")
    _resolve(run, benchmark)
    entries = track(benchmark.objects, "selecting", len(benchmark.objects))
    return [_select(run, run.segmentation, entry, similarity) for entry in entries]


def score(
    run: ScoredRun,
    benchmark: Benchmark,
    selections: list[ObjectSelection],
    output_dir: Path,
    settings: dict[str, Any] | None = None,
    all_pictures: bool = True,
) -> dict[str, Any]:
    """Render selections into every scored frame, compare them with the ground truth, and write what was found.

    The selection is rendered white and all other Gaussians black, so that what hides it counts; a pixel is predicted
    where the selection makes up half of it or more. It is rendered at the resolution of the ground truth.

    Args:
        run: the trained run.
        benchmark: see `load_benchmark`.
        selections: one for each object of the benchmark, in its order.
        output_dir: receives results.json, contact_sheet.jpg and pictures/<object>/<frame>.png (image, prediction,
            ground truth, errors).
        settings: plain JSON values that say how the selections were made; they go into results.json.
        all_pictures: write a picture of every object in every frame; otherwise only of those on the contact sheet, and
            "picture" is None for the others.

    Returns:
        What results.json holds: "miou", "macc", "mbiou" (boundary IoU), "flicker" and "floaters", each the mean over
        objects; for each object "iou", "accuracy", "boundary_iou" (means over its frames), "flicker" (of its IoU) and
        "floaters" (mean over its frames that were not trained on, None where there are none); and its frames.

    Raises:
        UserError: a frame or mask is missing or unreadable, or the folder cannot be written.
    """
    from trase_ns.segmentation.clicks import render_selection

    frames = _resolve(run, benchmark)
    rows: dict[str, list[dict]] = {entry.name: [] for entry in benchmark.objects}
    tiles: dict[str, list[tuple[str, np.ndarray]]] = {entry.name: [] for entry in benchmark.objects}
    shown = {entry.name: _spread([n for n in frames if n in entry.masks], SHEET_COLUMNS) for entry in benchmark.objects}
    for name, frame in track(frames.items(), "scoring frames", len(frames)):
        for selection in selections:
            entry = selection.object
            if name not in entry.masks:
                continue
            truth = pinhole_mask(read_mask(entry.masks[name]), frame.source)
            camera = frame.camera.resized(width=truth.shape[1], height=truth.shape[0])
            prediction = (render_selection(run.scene, selection.mask, camera) >= THRESHOLD).cpu().numpy()
            image = pinhole_picture(frame.source, truth.shape[1], truth.shape[0])
            picture = None
            if all_pictures or name in shown[entry.name]:
                picture = Path("pictures", entry.name, f"{name}.png")
                marks = _marks(run, entry, frame, truth.shape)
                pictures.save(pictures.comparison(image, prediction, truth, marks), output_dir / picture)
            score = iou(prediction, truth)
            rows[entry.name].append(
                {
                    "frame": frame.name,
                    "split": frame.split,
                    "time": frame.camera.time,
                    "iou": score,
                    "accuracy": pixel_accuracy(prediction, truth),
                    "boundary_iou": boundary_iou(prediction, truth),
                    "floaters": floaters(prediction, truth),
                    "mask": entry.masks[name].relative_to(benchmark.directory).as_posix(),
                    "picture": picture and picture.as_posix(),
                }
            )
            if name in shown[entry.name]:
                tiles[entry.name].append((f"{name}  {score:.3f}", pictures.errors(image, prediction, truth)))
    results = _results(run, benchmark, selections, rows, settings or {})
    sheet = [
        (f"{o['name']}   IoU {o['iou']:.3f}", [*_prompt_tiles(run, s.object), *tiles[s.object.name]])
        for o, s in zip(results["objects"], selections)
    ]
    pictures.save(pictures.contact_sheet(sheet), output_dir / "contact_sheet.jpg")
    with atomic_write(output_dir / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


def _select(
    run: ScoredRun, segmentation: Segmentation, entry: BenchmarkObject, similarity: float | None
) -> ObjectSelection:
    from trase_ns.segmentation.clicks import select

    prompts = [to_prompt(run, click) for click in entry.clicks]
    try:
        selection = select(run.scene, segmentation, prompts, similarity)
    except UserError as error:
        warn(f"object {entry.name!r} selects nothing: {error}")
        nothing = torch.zeros(len(run.scene), dtype=torch.bool, device=run.scene.device)
        return ObjectSelection(entry, nothing, notes=(str(error),))
    return ObjectSelection(entry, selection.mask, tuple(selection.objects), selection.notes)


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
    width, height = frame.source.width, frame.source.height
    if abs(shape[1] * height / width - shape[0]) > 1:
        raise UserError(
            f"mask {path} has {shape[1]} x {shape[0]} pixels, which is not the shape of frame {frame.name!r} "
            f"({width} x {height}). Draw it on that picture."
        )


def to_prompt(run: ScoredRun, click: Click) -> Prompt:
    """Turn a click on a picture into one on what the camera of the scene sees; the far border is the last pixel."""
    from trase_ns.segmentation.clicks import Prompt

    frame = run.frame(click.frame)
    x, y = pinhole_point(click.x, click.y, frame.source)
    camera = frame.camera.to(run.scene.device)
    return Prompt(camera, x * camera.width, y * camera.height, click.positive, click.granularity)


def _marks(run: ScoredRun, entry: BenchmarkObject, frame: ScoredFrame, shape: tuple[int, ...]) -> list[pictures.Mark]:
    """Return the clicks of an object in a frame, in pixels of a picture of `shape`."""
    marks = []
    for click in entry.clicks:
        if run.frame(click.frame).name == frame.name:
            x, y = pinhole_point(click.x, click.y, frame.source)
            marks.append(pictures.Mark(x * shape[1], y * shape[0], click.positive))
    return marks


def _prompt_tiles(run: ScoredRun, entry: BenchmarkObject) -> list[tuple[str, np.ndarray]]:
    """Return a captioned picture with the clicks for each frame that was clicked."""
    tiles = []
    for frame in {run.frame(click.frame).name: run.frame(click.frame) for click in entry.clicks}.values():
        image = pinhole_picture(frame.source, frame.source.width, frame.source.height)
        tiles.append((f"clicks in {frame.name}", pictures.draw_marks(image, _marks(run, entry, frame, image.shape))))
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
    settings: dict[str, Any],
) -> dict[str, Any]:
    objects = []
    for selection in selections:
        frames = rows[selection.object.name]
        objects.append(
            {
                "name": selection.object.name,
                "iou": float(np.mean([row["iou"] for row in frames])),
                "accuracy": float(np.mean([row["accuracy"] for row in frames])),
                "boundary_iou": float(np.mean([row["boundary_iou"] for row in frames])),
                "flicker": flicker([row["time"] for row in frames], [row["iou"] for row in frames]),
                "floaters": _mean([row["floaters"] for row in frames if row["split"] != "train"]),
                "gaussians": int(selection.mask.sum()),
                "selected_objects": list(selection.objects),
                "notes": list(selection.notes),
                "prompts": [asdict(click) for click in selection.object.clicks],
                "frames": frames,
            }
        )
    return {
        "version": 1,
        "run": str(run.config_path),
        "benchmark": str(benchmark.directory),
        "miou": mean_score([[row["iou"] for row in o["frames"]] for o in objects]),
        "macc": mean_score([[row["accuracy"] for row in o["frames"]] for o in objects]),
        "mbiou": mean_score([[row["boundary_iou"] for row in o["frames"]] for o in objects]),
        "flicker": _mean([o["flicker"] for o in objects]),
        "floaters": _mean([o["floaters"] for o in objects if o["floaters"] is not None]),
        "gaussians": len(run.scene),
        "segmentation": run.segmentation.summary if run.segmentation else None,
        "settings": {**settings, "threshold": THRESHOLD, "empty_union": 1.0},
        "objects": objects,
    }


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
