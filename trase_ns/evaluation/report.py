"""A report that a person can read and pass on: one HTML file with all its pictures inside."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trase_ns import __version__
from trase_ns.evaluation import pictures
from trase_ns.files import atomic_write


@dataclass(frozen=True)
class Fact:
    """One figure at the head of the report."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Panel:
    """A captioned picture, uint8 [H, W, 3]."""

    caption: str
    image: np.ndarray


@dataclass(frozen=True)
class Moment:
    """Pictures of one view at one time."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Command:
    """What a reader may type next, and what for."""

    purpose: str
    line: str


def write_report(
    path: Path,
    title: str,
    results: dict[str, Any],
    results_dir: Path,
    subtitle: str = "",
    facts: Sequence[Fact] = (),
    moments: Sequence[Moment] = (),
    history: Sequence[dict[str, Any]] = (),
    commands: Sequence[Command] = (),
) -> None:
    """Write the report as one HTML file that needs nothing beside it.

    Args:
        path: the HTML file.
        title: heading of the page.
        results: what `evaluate` returned.
        results_dir: the folder that `evaluate` wrote to, where its pictures are.
        subtitle: a sentence below the heading.
        facts: figures at the head of the page.
        moments: pictures at several times.
        history: of the training, see `read_history`; without it there are no curves.
        commands: what a reader may do next.

    Raises:
        UserError: the file cannot be written.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("trase_ns.evaluation", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("report.html").render(
        title=title,
        subtitle=subtitle,
        version=__version__,
        facts=facts,
        moments=[
            {"title": m.title, "panels": [{"caption": p.caption, "source": inline(p.image)} for p in m.panels]}
            for m in moments
        ],
        objects=[_object(entry, results_dir) for entry in results["objects"]],
        miou=results["miou"],
        macc=results["macc"],
        mbiou=results["mbiou"],
        flicker=results["flicker"],
        floaters=results["floaters"],
        colors={"agreed": pictures.AGREED, "extra": pictures.EXTRA, "missed": pictures.MISSED},
        curves=_data_url("image/svg+xml", loss_curves(history)) if history else None,
        commands=commands,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def inline(image: np.ndarray) -> str:
    """Return a data URL that holds a uint8 [H, W, 3] image as a JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=88)
    return _data_url("image/jpeg", buffer.getvalue())


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read a training history: one JSON object a line with step, stage, loss, psnr, gaussians and seconds.

    A missing file is an empty history, and a line that a kill cut short is left out. Where a resumed run wrote a step
    again, the later line counts.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    by_step: dict[int, dict[str, Any]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
            by_step[int(entry["step"])] = entry
        except (ValueError, KeyError, TypeError):
            continue
    return [by_step[step] for step in sorted(by_step)]


def loss_curves(history: Sequence[dict[str, Any]]) -> bytes:
    """Return an SVG of loss (logarithmic away from 0), PSNR and number of Gaussians by step, with stages shaded."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    rows = (("loss", "loss", "#c2410c"), ("psnr", "PSNR of the training view [dB]", "#0b8a8a"))
    rows += (("gaussians", "Gaussians", "#4f46e5"),)
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots(len(rows), 1, sharex=True)
    for axis, (key, label, color) in zip(axes, rows):
        points = [(entry["step"], entry[key]) for entry in history if _is_number(entry.get(key))]
        if key == "loss":
            # That of the colours falls by orders of magnitude; that of the features goes below zero.
            axis.set_yscale("symlog", linthresh=0.01)
        if points:
            axis.plot(*zip(*points), color=color, linewidth=1.4)
        axis.set_ylabel(label, fontsize=9)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        for index, (_, start, end) in enumerate(_stages(history)):
            axis.axvspan(start, end, color="#64748b", alpha=0.10 if index % 2 else 0.03, linewidth=0)
    for name, start, end in _stages(history):
        axes[0].text((start + end) / 2, 1.04, name, transform=axes[0].get_xaxis_transform(), ha="center", fontsize=8)
    axes[-1].set_xlabel("step")
    buffer = io.BytesIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return buffer.getvalue()


def _stages(history: Sequence[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """Return name, first and last step of each run of entries with the same stage."""
    spans: list[tuple[str, int, int]] = []
    for entry in history:
        name, step = str(entry.get("stage", "")), entry["step"]
        if spans and spans[-1][0] == name:
            spans[-1] = (name, spans[-1][1], step)
        else:
            spans.append((name, spans[-1][2] if spans else step, step))
    return spans


def _object(entry: dict[str, Any], results_dir: Path) -> dict[str, Any]:
    worst = min(entry["frames"], key=lambda frame: frame["iou"])
    picture = np.asarray(_open(results_dir / worst["picture"]))
    return {**entry, "worst": {**worst, "source": inline(picture)}}


def _open(path: Path):
    from PIL import Image

    with Image.open(path) as picture:
        return picture.convert("RGB")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
