"""The report of a trained run: what `trase evaluate` and `trase demo` write for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trase_ns.console import console, track

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from trase_ns.evaluation.report import Command, Fact, Moment
    from trase_ns.evaluation.scoring import ObjectSelection
    from trase_ns.plugin.run import Run, RunFrame

MOMENTS = 4


def write_run_report(
    run: Run,
    results: dict[str, Any],
    selections: Sequence[ObjectSelection],
    results_dir: Path,
    path: Path,
    title: str,
    facts: Sequence[Fact] = (),
    commands: Sequence[Command] = (),
) -> dict[str, Any]:
    """Write the report of `run` as one HTML file at `path`.

    Args:
        run: the trained run.
        results: what `evaluate` returned.
        selections: the selections that were scored.
        results_dir: the folder that `evaluate` wrote to.
        path: the HTML file.
        title: heading of the page.
        facts: figures beside the usual ones.
        commands: what a reader may do next.

    Returns:
        "psnr" (dB, mean over the held-out frames, None without any), "gaussians" and "objects_found".
    """
    from trase_ns.evaluation.report import Fact, read_history, write_report

    psnr = held_out_psnr(run)
    found = len(run.segmentation) if run.segmentation is not None else 0
    scored = f"{sum(len(o['frames']) for o in results['objects'])} masks of {len(results['objects'])} objects"
    head = [
        Fact("mIoU", f"{results['miou']:.3f}", scored),
        Fact("mAcc", f"{results['macc']:.3f}", "share of pixels that are right"),
        Fact("PSNR", "none" if psnr is None else f"{psnr:.1f} dB", "views that were not trained on"),
        Fact("Gaussians", f"{len(run.scene):,}"),
        Fact("Objects found", f"{found:,}", "parts counted apart"),
        *facts,
    ]
    write_report(
        path,
        title,
        results,
        results_dir,
        subtitle=f"Run {run.directory}",
        facts=head,
        moments=run_moments(run, selections),
        history=read_history(run.directory / "history.jsonl"),
        commands=commands,
    )
    return {"psnr": psnr, "gaussians": len(run.scene), "objects_found": found}


def held_out_psnr(run: Run) -> float | None:
    """Return the mean PSNR in dB over the frames that were not trained on; None where there are none."""
    import torch

    from trase_ns.plugin.metrics import ImageMetrics

    metrics = ImageMetrics(lpips="off")
    frames = [frame for frame in run.frames if frame.split != "train"]
    values = []
    for frame in track(frames, "measuring PSNR"):
        rgb = _render(run, frame)
        values.append(metrics(rgb, torch.as_tensor(frame.image()).to(rgb))["psnr"])
    return sum(values) / len(values) if values else None


def run_moments(run: Run, selections: Sequence[ObjectSelection], count: int = MOMENTS) -> list[Moment]:
    """Render the scene, its segments and each selection at `count` times, in held-out frames where there are any."""
    import torch

    from trase_ns.evaluation.report import Moment, Panel
    from trase_ns.segmentation.pictures import segment_colours, selection_overlay

    names = [selection.object.name for selection in selections]
    masks = torch.stack([selection.mask for selection in selections], dim=1)
    colours = segment_colours(run.segmentation, len(run.scene)) if run.segmentation is not None else None
    moments = []
    for frame in track(_spread(run.frames, count), "drawing the report"):
        rgb = _render(run, frame)
        panels = [Panel("picture", _uint8(frame.image())), Panel("rendering", _uint8(rgb))]
        if colours is not None:
            panels.append(Panel("segments", _uint8(_render(run, frame, colours))))
        shares = _render(run, frame, masks.to(rgb))
        for i, name in enumerate(names):
            panels.append(Panel(name, _uint8(selection_overlay(rgb, shares[..., i, None]))))
        held_out = "" if frame.split == "train" else ", held out"
        moments.append(Moment(f"Time {frame.time:.2f}: {frame.name}{held_out}", tuple(panels)))
    return moments


def print_scores(results: dict[str, Any]) -> None:
    """Print the scores as a table."""
    from rich.table import Table

    table = Table()
    table.add_column("object")
    for name in ("IoU", "boundary IoU", "accuracy", "Gaussians", "frames"):
        table.add_column(name, justify="right")
    for entry in results["objects"]:
        scores = (f"{entry[key]:.3f}" for key in ("iou", "boundary_iou", "accuracy"))
        table.add_row(entry["name"], *scores, f"{entry['gaussians']:,}", str(len(entry["frames"])))
    table.add_section()
    means = (f"{results[key]:.3f}" for key in ("miou", "mbiou", "macc"))
    table.add_row("mean", *means, "", "", style="bold")
    console.print(table)


def _spread(frames: list[RunFrame], count: int) -> list[RunFrame]:
    """Return up to `count` frames spread over time, held-out ones where there are any."""
    frames = [frame for frame in frames if frame.split != "train"] or frames
    if len(frames) <= count:
        return frames
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]


def _render(run: Run, frame: RunFrame, colors: Tensor | None = None) -> Tensor:
    """Render a frame's view, [H, W, 3] in [0, 1], or channels [N, C] instead of the colours, on black."""
    import torch

    from trase_ns.render import render_view

    with torch.no_grad():
        gaussians, mode = run.scene.at(frame.time), run.model.config.rasterize_mode
        background = run.background if colors is None else None
        return render_view(gaussians, frame.camera, colors, background, rasterize_mode=mode).color.clamp(0, 1)


def _uint8(picture: Tensor) -> np.ndarray:
    return (picture.clamp(0, 1) * 255).round().byte().cpu().numpy()
