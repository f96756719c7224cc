"""Measure how the memory of a training grows with the number of frames, and rewrite docs/memory.json.

    python -m benchmarks.memory [--frames 1000] [--few 50] [--output docs/memory.json]

Trains twice with the same options and the same steps, on few frames and on many, and compares the most memory that the
two programs ever held (their resident set). The video is a textured plane that a camera flies along, with an exact mask
of each of its cells; the steps suffice to draw every frame in the feature stage, and the objects are found at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.accuracy import ROOT, machine
from trase_ns.console import track
from trase_ns.masks import MaskSet
from trase_ns.masks.coco import write_coco

WIDTH, HEIGHT, FOCAL, DISTANCE = 960, 540, 600.0, 2.0
MASKS = 100
CELL = np.array([0.32, 0.18])  # about a hundred fill the picture
SEEDS = 25_000
GEOMETRY_STEPS = 300
ALLOWED_MB = 500


def main() -> None:
    """Read the command line, train twice and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000, help="frames of the long video")
    parser.add_argument("--few", type=int, default=50, help="frames of the short one")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/memory.json", help="the results")
    options = parser.parse_args()
    found: dict = {"machine": machine(), "load": round(os.getloadavg()[0], 1), "masks": MASKS, "runs": []}
    for count in (options.few, options.frames):
        with tempfile.TemporaryDirectory(prefix="trase-memory-") as folder:
            write_video(Path(folder) / "data", count)
            found["runs"].append(trained(Path(folder), count, steps=options.frames))
            print(found["runs"][-1], flush=True)
    found["difference_mb"] = found["runs"][1]["peak_mb"] - found["runs"][0]["peak_mb"]
    found["allowed_mb"] = ALLOWED_MB
    options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"{found['difference_mb']} MB more for {options.frames} frames than for {options.few}")


def write_video(folder: Path, count: int) -> None:
    """Write a data set of `count` frames: pictures, poses, times, masks as COCO-RLE and seed points."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    frames = []
    for i in track(range(count), f"video of {count} frames"):
        name = f"{i:05d}"
        c2w = pose(i / max(count - 1, 1))
        place = on_plane(c2w)
        Image.fromarray(texture(place)).save(folder / "images" / f"{name}.jpg", quality=90)
        write_coco(cell_masks(f"{name}", place), folder / "masks" / f"{name}.json")
        frames.append(
            {"file_path": f"images/{name}.jpg", "transform_matrix": c2w.tolist(), "time": i / max(count - 1, 1)}
        )
    write_seeds(folder / "seeds.ply")
    meta = {"fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "w": WIDTH, "h": HEIGHT}
    held_out = [frames[0]["file_path"]]
    splits = {"train_filenames": [f["file_path"] for f in frames[1:]], "test_filenames": held_out}
    meta |= {"ply_file_path": "seeds.ply", "frames": frames, **splits}
    (folder / "transforms.json").write_text(json.dumps(meta), encoding="utf-8")


def pose(moment: float) -> np.ndarray:
    """Return the camera to world matrix [4, 4] (OpenGL) at a moment in [0, 1]: an arc before the plane z = 0."""
    angle = 0.5 * (moment - 0.5)
    c2w = np.eye(4)
    c2w[0, 0] = c2w[2, 2] = np.cos(angle)
    c2w[0, 2], c2w[2, 0] = np.sin(angle), -np.sin(angle)
    c2w[:3, 3] = DISTANCE * c2w[:3, 2]
    return c2w


def on_plane(c2w: np.ndarray) -> np.ndarray:
    """Return where the ray of each pixel meets the plane z = 0, [H, W, 2]."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)
    rays = np.stack([x / FOCAL, -y / FOCAL, -np.ones_like(x)], axis=-1) @ c2w[:3, :3].T
    return c2w[:2, 3] - rays[..., :2] * (c2w[2, 3] / rays[..., 2:])


def texture(place: np.ndarray) -> np.ndarray:
    """Return the colours [..., 3] uint8 of places on the plane: one for each cell, with waves."""
    cell = np.floor(place / CELL)
    phase = cell @ np.array([[1.3, 2.1, 3.7], [2.9, 1.7, 0.9]])
    waves = 0.1 * np.sin(40 * place.sum(axis=-1, keepdims=True))
    return (255 * (0.5 + 0.38 * np.sin(phase) + waves)).astype(np.uint8)


def cell_masks(name: str, place: np.ndarray) -> MaskSet:
    """Return the masks of the largest cells in a picture."""
    cell = np.floor(place / CELL).astype(int) + 50
    labels, numbers = np.unique(cell[..., 0] * 100 + cell[..., 1], return_inverse=True)
    numbers = numbers.reshape(HEIGHT, WIDTH)
    sizes = np.bincount(numbers.ravel(), minlength=len(labels))
    return MaskSet.from_dense(name, (numbers == i for i in np.argsort(-sizes)[:MASKS]))


def write_seeds(path: Path) -> None:
    """Write points on the plane with their colours."""
    from plyfile import PlyData, PlyElement

    random = np.random.default_rng(0)
    place = random.uniform(-1, 1, (SEEDS, 2)) * np.array([2.0, 1.1])
    points = np.zeros(SEEDS, [(name, "f4") for name in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")])
    points["x"], points["y"] = place.T
    points["red"], points["green"], points["blue"] = texture(place).T
    PlyData([PlyElement.describe(points, "vertex")]).write(str(path))


def trained(folder: Path, count: int, steps: int) -> dict[str, float]:
    """Train on the video in `folder`, with as many feature steps as `steps`; return the peak memory in MB."""
    options = {
        "--pipeline.model.warmup-steps": GEOMETRY_STEPS // 3,
        "--pipeline.model.geometry-steps": GEOMETRY_STEPS,
        "--pipeline.model.feature-steps": steps,
        "--pipeline.datamanager.dataparser.random-seeds": 0,
        "--steps-per-save": GEOMETRY_STEPS + steps,
    }
    program = [str(Path(sys.executable).parent / "ns-train"), "trase", "--data", str(folder / "data")]
    program += ["--output-dir", str(folder / "runs"), "--vis", "tensorboard"]
    start = time.monotonic()
    process = subprocess.Popen(program + [str(word) for pair in options.items() for word in pair], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"ns-train failed on {count} frames")
    return {
        "frames": count,
        "peak_mb": round(usage.ru_maxrss / 1024),
        "minutes": round((time.monotonic() - start) / 60, 1),
    }


if __name__ == "__main__":
    main()
