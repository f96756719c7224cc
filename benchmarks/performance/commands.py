"""Measures what people wait for: clicks, clusters, files, help, and the objects of a video."""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import normalize

from benchmarks.performance.scenes import camera, fast_field, gaussians, grid_masks, moving, paper_field
from benchmarks.performance.timing import Call
from trase_ns.learning.uplift import uplift_masks
from trase_ns.scene.ply import read_ply, write_ply
from trase_ns.segmentation.clicks import Prompt, select
from trase_ns.segmentation.clustering import cluster_gaussians
from trase_ns.segmentation.find import find_objects
from trase_ns.segmentation.objects import Segmentation


def clicks(quick: bool, device: str) -> Iterator[tuple[str, Call]]:
    """Yield a click on a large scene, at a time whose Gaussians are kept and at a new one."""
    count, width, height = (20_000, 128, 96) if quick else (200_000, 512, 384)
    scene, slow = moving(count, fast_field(), device), moving(count, paper_field(), device)
    prompt = Prompt(camera(width, height), width / 2, height / 2)
    labels = (scene.means * 3).floor().long() @ torch.tensor([1, 7, 49], device=device)
    segmentation = Segmentation.from_members([labels == i for i in labels.unique()], count).to(device)
    kept = scene.at(prompt.camera.time)
    size = f"{count:,} Gaussians, {width} x {height}"
    yield f"click, the time unchanged ({size})", lambda: select(scene, segmentation, [prompt], at=lambda _: kept)
    yield f"click, at a new time, shared motions ({size})", lambda: select(scene, segmentation, [prompt])
    yield f"click, at a new time, the paper's MLP ({size})", lambda: select(slow, segmentation, [prompt])


def files(quick: bool, folder: Path) -> Iterator[tuple[str, Call]]:
    """Yield writing and reading of a PLY file."""
    count = 50_000 if quick else 1_000_000
    scene, path = gaussians(count), folder / "scene.ply"
    yield f"PLY of {count:,} Gaussians, written", lambda: write_ply(path, scene)
    yield f"PLY of {count:,} Gaussians, read", lambda: read_ply(path)


def programs() -> Iterator[tuple[str, Call]]:
    """Yield the start of the program."""
    trase = Path(sys.executable).parent / "trase"
    yield "trase --help", lambda: subprocess.run([trase, "--help"], check=True, capture_output=True)


def clusters(quick: bool, device: str) -> dict[str, float]:
    """Cluster well separated groups of features once: seconds, and the adjusted Rand index of the result."""
    from sklearn.metrics import adjusted_rand_score

    count, groups = (50_000, 20) if quick else (1_000_000, 50)
    generator = torch.Generator().manual_seed(4)
    truth = torch.randint(groups, (count,), generator=generator)
    centres = normalize(torch.randn(groups, 32, generator=generator), dim=1)
    features = normalize(centres[truth] + 0.05 * torch.randn(count, 32, generator=generator), dim=1).to(device)
    cluster_gaussians(features[:2000])  # loads scikit-learn
    start = time.perf_counter()
    labels = cluster_gaussians(features).labels
    seconds = time.perf_counter() - start
    return {
        "features": count,
        "groups": groups,
        "seconds": round(seconds, 2),
        "adjusted_rand_index": round(float(adjusted_rand_score(truth.numpy(), labels.cpu().numpy())), 4),
    }


def frames(quick: bool) -> list[int]:
    """Return the lengths of videos for which `objects` is measured."""
    return [4, 8] if quick else [10, 20, 40, 80, 160]


def objects(count: int, device: str) -> dict[str, float]:
    """Lift 28 masks of each of `count` frames and group them, once, in seconds."""
    scene = moving(5_000, None, device)
    angles = np.linspace(-math.pi / 4, math.pi / 4, count)
    views = [(camera(160, 120, i / count, float(angles[i])), grid_masks(160, 120, 4, 6, i)) for i in range(count)]
    start = time.perf_counter()
    weights = uplift_masks(scene, views)
    lifted = time.perf_counter()
    find_objects(scene, weights)
    return {
        "frames": count,
        "lifting": round(lifted - start, 2),
        "grouping": round(time.perf_counter() - lifted, 2),
    }


def temporary_folder() -> tempfile.TemporaryDirectory:
    """Return a folder that is deleted at the end."""
    return tempfile.TemporaryDirectory(prefix="trase-performance-")
