"""Draws cost against size."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw what a picture costs against Gaussians, pixels and channels, and objects against frames."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "trase"
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    figure, axes = pyplot.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
    for axis, (name, points) in zip(axes, found["curves"].items()):
        sizes = {"gaussians": [p[0] for p, _ in points], "channels": [p[3] for p, _ in points]}
        sizes["pixels"] = [p[1] * p[2] for p, _ in points]
        axis.loglog(sizes[name], [value for _, value in points], marker="o")
        count, width, height, channels = points[0][0]
        fixed = {
            "gaussians": f"{count:,} Gaussians",
            "pixels": f"{width} x {height}",
            "channels": f"{channels} channels",
        }
        axis.set_title(", ".join(text for other, text in fixed.items() if other != name), fontsize=9)
        axis.set_xlabel(name)
        axis.set_ylabel("forward and backward, ms")
    lengths = [entry["frames"] for entry in found["objects"]]
    for part in ("lifting", "grouping"):
        axes[3].loglog(lengths, [max(entry[part], 0.01) for entry in found["objects"]], marker="o", label=part)
    axes[3].set_title("objects, 28 masks a frame", fontsize=9)
    axes[3].set_xlabel("frames")
    axes[3].set_ylabel("seconds")
    axes[3].legend()
    for axis in axes:
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(subs=(1, 2, 5)))
            side.set_major_formatter(FuncFormatter(short))
            side.set_minor_locator(NullLocator())
        axis.tick_params(axis="x", labelrotation=45)
        axis.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def short(value: float, _: int) -> str:
    """Return a number in few characters: 50k for 50,000."""
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"
