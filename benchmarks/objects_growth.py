"""Measure how the cost of finding objects without training grows with the video, and rewrite docs/objects_growth.json.

    python -m benchmarks.objects_growth [--frames 62 125 250 500 1000] [--output docs/objects_growth.json]

A scene of 20,000 Gaussians: 80 balls that fly about before a wall of six panels, five of them only at the end of the
video. Some hundred masks a frame of what is seen: balls, the halves of every other ball, panels; some are missing,
some neighbours are merged, all borders are ragged. Videos of different lengths show the same movement. All frames are
lifted, to see the cost of each; of the longest video also those alone that the memory allows, as is the default.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.accuracy import ROOT, machine
from benchmarks.performance.scenes import camera
from trase_ns.console import track
from trase_ns.learning.uplift import BUDGET, uplift_masks
from trase_ns.masks import MaskSet
from trase_ns.render import contributions
from trase_ns.scene.camera import Camera
from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.segmentation.find import find_objects

WIDTH, HEIGHT = 200, 150
BALLS, PER_BALL, RADIUS = 80, 200, 0.11
PANELS, PER_PANEL = 6, 667
LATE, ENTRY = 5, 0.93  # so many balls come in at that time
MISSING, HALF, MERGED, SMALLEST = 0.08, 0.6, 0.04, 12
SEEN = 1.0  # weight, in pixels over the whole video, from which on a Gaussian was seen
EVERYTHING = 2**30  # bytes that the lifted masks of all frames fit in


class Flight(Field):
    """Every Gaussian swings along each axis; `motion` [N, 10] are amplitudes, frequencies, phases, and its entry."""

    kind = "flight"

    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the Gaussians at `time`; those that have not come in yet are far behind the camera."""
        assert motion is not None
        amplitude, frequency, phase, entry = motion.split([3, 3, 3, 1], dim=1)
        away = torch.where(entry > time, -100.0, 0.0)
        return means + amplitude * torch.sin(frequency * time + phase) + away, quats, log_scales


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--frames", type=int, nargs="+", default=[62, 125, 250, 500, 1000], help="lengths of the videos"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "docs/objects_growth.json", help="the results")
    options = parser.parse_args()
    scene, parts = flying_balls()
    found: dict[str, Any] = {"machine": machine(), "threads": torch.get_num_threads(), "gaussians": len(scene)}
    found |= {"load": round(os.getloadavg()[0], 1), "runs": []}
    for length in sorted(options.frames):
        views = filmed(scene, parts, length)
        budgets = [EVERYTHING, BUDGET] if length == max(options.frames) else [EVERYTHING]
        for budget in budgets:
            found["runs"].append(measured(scene, parts, views, budget))
            print(found["runs"][-1], flush=True)
        options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def flying_balls() -> tuple[DynamicGaussians, np.ndarray]:
    """Return the scene, and [N] the part of each Gaussian: two halves for each ball, then the panels."""
    generator = torch.Generator().manual_seed(0)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    normals = torch.nn.functional.normalize(torch.randn(BALLS, PER_BALL, 3, generator=generator), dim=2)
    centres = (uniform(BALLS, 1, 3) - 0.5) * torch.tensor([3.2, 2.2, 1.6])
    swing = torch.cat([0.3 * uniform(BALLS, 3), 9 * uniform(BALLS, 3), 6.3 * uniform(BALLS, 3)], dim=1)
    entry = torch.where(torch.arange(BALLS) < LATE, ENTRY, 0.0)[:, None]
    balls = (centres + RADIUS * normals).reshape(-1, 3)
    halves = 2 * torch.arange(BALLS)[:, None] + (normals[..., 0] > 0)

    panels = torch.arange(PANELS)[:, None].expand(-1, PER_PANEL)
    corner = torch.stack([panels % 3 * 1.6 - 2.4, panels // 3 * 1.7 - 1.7], dim=-1)
    wall = torch.cat([corner + uniform(PANELS, PER_PANEL, 2) * torch.tensor([1.6, 1.7]), 0 * corner[..., :1] + 1.4], 2)

    means = torch.cat([balls, wall.reshape(-1, 3)])
    sizes = torch.cat([torch.full((len(balls),), 0.016), torch.full((PANELS * PER_PANEL,), 0.035)])
    quats = torch.tensor([[1.0, 0, 0, 0]]).expand(len(means), 4)
    still = Gaussians(means, quats, sizes[:, None].expand(-1, 3), torch.full((len(means),), 0.9), means[:, None] * 0)
    motion = torch.cat([swing, entry], dim=1).repeat_interleave(PER_BALL, dim=0)
    motion = torch.cat([motion, motion.new_zeros(PANELS * PER_PANEL, 10)])
    resting = DynamicGaussians.at_rest(still)
    scene = DynamicGaussians(
        resting.means,
        resting.quats,
        resting.log_scales,
        resting.logit_opacities,
        resting.sh0,
        resting.sh_rest,
        resting.features,
        Flight(),
        motion,
    )
    return scene, torch.cat([halves.flatten(), 2 * BALLS + panels.flatten()]).numpy()


def filmed(scene: DynamicGaussians, parts: np.ndarray, count: int) -> list[tuple[Camera, MaskSet]]:
    """Return the cameras, on an arc, and the masks of each frame."""
    views, onehot = [], np.eye(int(parts.max()) + 1, dtype=np.float32)[parts]
    for i in track(range(count), f"video of {count} frames"):
        moment = i / max(count - 1, 1)
        view = camera(WIDTH, HEIGHT, moment, 0.7 * float(np.sin(5 * moment)))
        weights = contributions(scene.at(moment), view).to_scipy()
        shown = weights @ onehot
        labels = np.where(shown.max(axis=1) > 0.3, shown.argmax(axis=1), -1).reshape(HEIGHT, WIDTH)
        views.append((view, masks_of(labels, np.random.default_rng(i))))
    return views


def masks_of(labels: np.ndarray, random: np.random.Generator) -> MaskSet:
    """Return masks as a segmenter might give them of a picture of parts."""
    # Ragged borders: every pixel looks at one beside it.
    rows, columns = np.indices(labels.shape)
    step = np.rint(random.normal(0, 0.6, (2, *labels.shape))).astype(int)
    labels = labels[np.clip(rows + step[0], 0, HEIGHT - 1), np.clip(columns + step[1], 0, WIDTH - 1)]
    owner = np.where(labels < 2 * BALLS, labels // 2, labels - BALLS)
    beside = np.stack([owner[:, :-1].ravel(), owner[:, 1:].ravel()], axis=1)
    touching = {(int(a), int(b)) for a, b in np.unique(np.sort(beside, axis=1), axis=0) if -1 < a < b < BALLS}
    regions = [(owner == a) | (owner == b) for a, b in sorted(touching) if random.random() < MERGED]
    regions += [owner == thing for thing in range(BALLS + PANELS) if random.random() >= MISSING]
    regions += [labels == half for half in range(2 * BALLS) if half // 2 % 2 and random.random() < HALF]
    masks = [region for region in regions if region.sum() >= SMALLEST]
    return MaskSet.from_dense("view", np.array([masks[i] for i in random.permutation(len(masks))]))


def measured(
    scene: DynamicGaussians, parts: np.ndarray, views: list[tuple[Camera, MaskSet]], budget: int
) -> dict[str, Any]:
    """Find the objects of a video; say how long it took and how well they fit."""
    start = time.perf_counter(), time.process_time()
    weights = uplift_masks(scene, views, budget)
    lifted = time.perf_counter(), time.process_time()
    objects = find_objects(scene, weights)
    end = time.perf_counter(), time.process_time()

    seen = np.asarray(weights.visibility.sum(axis=0)).ravel() > SEEN
    members = [objects.members(i).numpy() for i in range(len(objects))]
    visibility: Any = weights.visibility

    def best(wanted: np.ndarray) -> float:
        """Best IoU with what was seen of a thing; NaN where nothing was."""
        wanted = wanted & seen
        ious = [(m & wanted).sum() / (m & seen | wanted).sum() for m in members] if wanted.any() else [np.nan]
        return max(ious, default=0.0)

    balls = [best(parts // 2 == ball) for ball in range(BALLS)]
    return {
        "frames": len(views),
        "masks": sum(len(masks) for _, masks in views),
        "frames_lifted": visibility.shape[0],
        "lifted_mb": round((weights.inside.nnz + visibility.nnz) * 8 / 2**20),
        "lifting_seconds": round(lifted[0] - start[0], 2),
        "grouping_seconds": round(end[0] - lifted[0], 2),
        "lifting_cpu_seconds": round(lifted[1] - start[1], 2),
        "grouping_cpu_seconds": round(end[1] - lifted[1], 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "objects": len(objects),
        "iou_balls": round(float(np.nanmean(balls[LATE:])), 3),
        "iou_late_balls": round(float(np.nanmean(balls[:LATE])), 3),
        "iou_panels": round(float(np.nanmean([best(parts == 2 * BALLS + panel) for panel in range(PANELS)])), 3),
    }


if __name__ == "__main__":
    main()
