"""Where a thing is over time: centre, extent and speed of a set of Gaussians."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.scene.similarity import Similarity

# Share of the opacity that may lie beyond each face of the box: strays must not stretch it.
_OUTSIDE = 0.01


@dataclass(frozen=True)
class Trajectory:
    """Where a set of Gaussians is at T times, float64.

    Attributes:
        times: [T] moments in [0, 1].
        duration: seconds from time 0 to time 1, or None.
        centres: [T, 3] mean of the positions, weighted by opacity.
        low, high: [T, 3] corners of the axis-aligned box that holds the centres of the Gaussians, but for the outermost
            hundredth of their opacity at each face.
        speeds: [T] of the centre, in units of length per second; per whole duration where that is not known.
    """

    times: np.ndarray
    duration: float | None
    centres: np.ndarray
    low: np.ndarray
    high: np.ndarray
    speeds: np.ndarray


@torch.no_grad()
def follow(
    scene: DynamicGaussians,
    times: list[float],
    duration: float | None = None,
    similarity: Similarity | None = None,
) -> Trajectory:
    """Measure where the Gaussians of `scene` are at each of `times`.

    Args:
        scene: the thing; `scene.subset(mask)` of a larger scene.
        times: ascending moments in [0, 1], at least two.
        duration: seconds from time 0 to time 1.
        similarity: map to the coordinates that are wanted, as those of the data set; those of the scene by default.

    Raises:
        UserError: there are no visible Gaussians, or no two times.
    """
    moments = np.asarray(times, np.float64)
    if moments.ndim != 1 or len(moments) < 2 or not (np.diff(moments) > 0).all():
        raise UserError("a trajectory needs at least two times in ascending order.")
    if duration is not None and not 0 < duration < float("inf"):
        raise UserError(f"a trajectory cannot last {duration:g} seconds: give a positive number.")
    places = [_place(scene.at(float(time)), similarity) for time in track(list(times), "following")]
    centres, low, high = (np.stack(column) for column in zip(*places))
    velocity = np.gradient(centres, moments * (duration or 1.0), axis=0)
    return Trajectory(moments, duration, centres, low, high, np.linalg.norm(velocity, axis=1))


def write_trajectory(path: Path, trajectory: Trajectory) -> None:
    """Write a trajectory as CSV, a row for each time; atomically.

    Columns: time, seconds (where the duration is known), centre_x ... z, min_x ... z, max_x ... z, speed.

    Raises:
        UserError: the file cannot be written.
    """
    seconds = [] if trajectory.duration is None else ["seconds"]
    axes = [f"{name}_{axis}" for name in ("centre", "min", "max") for axis in "xyz"]
    columns = [
        trajectory.times[:, None],
        trajectory.centres,
        trajectory.low,
        trajectory.high,
        trajectory.speeds[:, None],
    ]
    if trajectory.duration is not None:
        columns.insert(1, trajectory.times[:, None] * trajectory.duration)
    with atomic_write(Path(path)) as temporary, open(temporary, "w", newline="", encoding="utf8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", *seconds, *axes, "speed"])
        writer.writerows([f"{value:.7g}" for value in row] for row in np.concatenate(columns, axis=1))


def _place(gaussians: Gaussians, similarity: Similarity | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre [3] and two corners [3] of the box, float64."""
    means, weights = gaussians.means.double(), gaussians.opacities.double()
    seen = means.isfinite().all(dim=1) & (weights > 0)
    means, weights = means[seen], weights[seen]
    if not len(means):
        raise UserError("there is nothing to follow: no Gaussian is visible. Select some first.")
    if similarity is not None:
        means = similarity.points(means)
    centre = (weights[:, None] * means).sum(dim=0) / weights.sum()
    ordered, order = means.sort(dim=0)
    share = (weights[order].cumsum(dim=0) / weights.sum()).T.contiguous()  # [3, N]
    corners = []
    for limit in (_OUTSIDE, 1 - _OUTSIDE):
        place = torch.searchsorted(share, share.new_full((3, 1), limit)).clamp(max=len(means) - 1)
        corners.append(_numpy(ordered.gather(0, place.T)[0]))
    return _numpy(centre), corners[0], corners[1]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()
