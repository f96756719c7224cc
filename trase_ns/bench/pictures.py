"""Pictures of a benchmark: for each object all methods beside each other, and a chart of their scores."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.evaluation import pictures
from trase_ns.files import atomic_write


def write_sheets(results: Mapping[str, Any], folder: Path, output: Path) -> list[Path]:
    """Draw for each object of each scene a sheet: rows are methods, columns are frames, the errors in colours.

    Args:
        results: see `results_of`.
        folder: holds for each scene a folder with a folder for each method, as `evaluate_method` writes them.
        output: receives SCENE/OBJECT.jpg.

    Returns:
        The files. Pictures that are gone are left out.
    """
    files = []
    for scene in results["scenes"]:
        scored = {name: entry for name, entry in scene["methods"].items() if not entry["error"]}
        names = [o["name"] for entry in list(scored.values())[:1] for o in entry["objects"]]
        for index, name in enumerate(names):
            rows, inputs = [], {}
            for method, entry in scored.items():
                tiles = []
                for frame in entry["objects"][index]["frames"]:
                    panels = _panels(folder / scene["name"] / method / frame["picture"]) if frame["picture"] else None
                    if panels is not None:
                        inputs.setdefault(frame["frame"], panels[0])
                        tiles.append((f"{frame['frame']}  {frame['iou']:.3f}", panels[-1]))
                rows.append((f"{method}   IoU {entry['objects'][index]['iou']:.3f}", tiles))
            rows.insert(0, (f"{scene['name']}: {name}", list(inputs.items())))
            files.append(output / scene["name"] / f"{name}.jpg")
            pictures.save(pictures.contact_sheet(rows), files[-1])
    return files


def write_chart(results: Mapping[str, Any], path: Path) -> None:
    """Draw the IoU of all objects of all scenes by method: a box of the quartiles, a dot for each object, the mIoU.

    Args:
        results: see `results_of`.
        path: a PNG or SVG file. Nothing is written where no method has a score.
    """
    scores = {
        name: [o["iou"] for s in results["scenes"] for o in s["methods"][name].get("objects", ())]
        for name in results["methods"]
    }
    scores = {name: values for name, values in scores.items() if values}
    if not scores:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.1 + 0.5 * len(scores)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    places = list(range(len(scores), 0, -1))
    axis.boxplot(
        list(scores.values()),
        positions=places,
        orientation="horizontal",
        widths=0.6,
        showfliers=False,
        medianprops={"color": "#334155"},
    )
    for place, values in zip(places, scores.values()):
        offsets = place + 0.22 * (((np.arange(len(values)) * 0.618034) % 1) * 2 - 1)  # dots apart, always alike
        axis.plot(values, offsets, ".", color="#0b8a8a", alpha=0.5, markersize=5)
    means = [results["means"][name]["miou"] for name in scores]
    axis.plot(means, places, "D", color="#c2410c", markersize=7, label="mIoU (mean of the scenes)")
    axis.set_yticks(places, list(scores))
    axis.set_xlim(-0.02, 1.02)
    axis.set_xlabel("IoU of an object")
    axis.grid(axis="x", alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="lower left", fontsize=8)
    buffer = io.BytesIO()
    kind = path.suffix.lstrip(".")
    figure.savefig(buffer, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else None)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _panels(path: Path) -> list[np.ndarray] | None:
    """Return the panels of a picture that `comparison` made; None where it is gone."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return pictures.panels_of(np.asarray(picture.convert("RGB")))
    except OSError:
        return None
