"""Measure what is left of a thing that is removed, and what else comes along when it is shown alone.

    python -m benchmarks.removal --run CONFIG [--object arm] [--output docs/removal.json]

The object of benchmarks/hand_books is selected by its clicks. In each held-out frame with a ground-truth mask, at the
mask's resolution, colours compared as CIE76 distances (2 can just be seen, at 5 people speak of two colours):

removed   Of the pixels in the mask, those that still show the object: their colour is within 5 of what it was before,
          and Gaussians that pictures showed clear of the object do not make up half of them. These are background by
          evidence, though it may be as dark as a black sleeve; how many pixels are alike in colour for whatever reason
          is told beside it, and how many show it with a bound of 10.
alone     Of the pixels that the selection makes up by half when rendered alone, those outside the mask and further
          than 2 pixels from it, the precision of the masks; and with no tolerance.

It is all done for the plain removal and for the one with remains. Writes JSON, and a picture beside it in pictures/.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import max_pool2d

from benchmarks.accuracy import ROOT, machine, save
from trase_ns.console import track
from trase_ns.evaluation.benchmark import load_benchmark, read_mask
from trase_ns.evaluation.scoring import select_objects
from trase_ns.plugin.run import Run, load_run
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians
from trase_ns.segmentation.remains import remains

BENCHMARK = ROOT / "benchmarks/hand_books"
ALIKE = 5.0, 10.0  # CIE76: above the first people see two colours
CLEAR = 0.5  # of what is seen of a Gaussian after the removal, the share that pictures showed before; see `remains`
TOLERANCE = 2  # pixels
SHOWN = 3  # frames in the picture


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="config.yml of a run on hand_books")
    parser.add_argument("--object", default="arm", help="object of the benchmark")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/removal.json")
    options = parser.parse_args()
    found, picture = measured(load_run(options.run), options.object)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    save(Image.fromarray(picture), options.output.parent / "pictures/removal.jpg")
    print(json.dumps({name: found[name] for name in ("removed", "alone")}, indent=2))


@torch.no_grad()
def measured(run: Run, name: str) -> tuple[dict[str, Any], np.ndarray]:
    """Measure one object; returns the figures and a picture uint8 [H, W, 3]."""
    benchmark = load_benchmark(BENCHMARK)
    wanted = replace(benchmark, objects=tuple(o for o in benchmark.objects if o.name == name))
    selection = select_objects(run, wanted)[0]
    mask, scene = selection.mask, run.scene
    cameras = [frame.camera for frame in run.frames if frame.split == "train"]
    ways = {"plain": mask, "with remains": mask | remains(scene, mask, cameras)}
    clear = ~mask & ~remains(scene, mask, cameras, CLEAR)
    rows, strips = [], []
    for frame_name, file in track(selection.object.masks.items(), "frames", len(selection.object.masks)):
        frame = run.frame(frame_name)
        truth = torch.from_numpy(read_mask(file))
        camera = frame.camera.resized(width=truth.shape[1], height=truth.shape[0])
        gaussians = scene.at(camera.time)
        before = picture_of(gaussians, camera)[0]
        row: dict[str, Any] = {"frame": frame.name, "pixels": int(truth.sum())}
        strip = [before]
        for way, gone in ways.items():
            after, opacity = picture_of(gaussians.subset(~gone), camera)
            off = distance(after, before)
            evidence = render_view(gaussians.subset(~gone), camera, clear[~gone][:, None].to(after)).color[..., 0]
            doubtful = truth & (opacity >= 0.5) & (evidence < 0.5 * opacity)
            row[way] = {f"shows within {bound:g}": int((doubtful & (off < bound)).sum()) for bound in ALIKE}
            row[way]["alike"] = int((truth & (off < ALIKE[0])).sum())
            strip += [after, marked(after, doubtful & (off < ALIKE[0]), truth)]
        alone, opacity = picture_of(gaussians.subset(mask), camera)
        seen = opacity >= 0.5
        near = max_pool2d(truth.float()[None], 2 * TOLERANCE + 1, 1, TOLERANCE)[0] > 0
        row["alone"] = {
            "seen": int(seen.sum()),
            "else": int((seen & ~near).sum()),
            "strict": int((seen & ~truth).sum()),
        }
        strip.append(marked(alone + (1 - opacity[..., None]), seen & ~near, truth))
        rows.append(row)
        strips.append(torch.cat([brightened(panel) for panel in strip], dim=1))
    chosen = [strips[round(i * (len(strips) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
    picture = (torch.cat(chosen) * 255).round().byte().cpu().numpy()[::2, ::2]
    return summary(run, name, ways, rows), np.ascontiguousarray(picture)


def summary(run: Run, name: str, ways: dict[str, Tensor], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the shares over all frames, and what they are made of."""

    def total(*keys: str) -> int:
        values: Any = rows
        for key in keys:
            values = [value[key] for value in values]
        return sum(values)

    return {
        "machine": machine(),
        "run": run.directory.name,
        "object": name,
        "gaussians": len(run.scene),
        "hidden": {way: int(gone.sum()) for way, gone in ways.items()},
        "removed": {way: {key: round(total(way, key) / total("pixels"), 4) for key in rows[0][way]} for way in ways},
        "alone": {
            "something else": round(total("alone", "else") / total("alone", "seen"), 4),
            "without tolerance": round(total("alone", "strict") / total("alone", "seen"), 4),
        },
        "frames": rows,
    }


def picture_of(gaussians: Gaussians, camera: Camera) -> tuple[Tensor, Tensor]:
    """Return the picture [H, W, 3] before black and its opacity [H, W]."""
    view = render_view(gaussians, camera)
    return view.color.clamp(0, 1), view.alpha[..., 0]


def distance(first: Tensor, second: Tensor) -> Tensor:
    """Return the CIE76 distance [...] of sRGB colours [..., 3] in [0, 1]."""
    return (lab(first) - lab(second)).norm(dim=-1)


def lab(color: Tensor) -> Tensor:
    """Return CIELAB (D65) of sRGB colours [..., 3] in [0, 1]."""
    linear = torch.where(color <= 0.04045, color / 12.92, ((color.clamp(0, 1) + 0.055) / 1.055) ** 2.4)
    matrix = color.new_tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ matrix.T / color.new_tensor([0.9505, 1.0, 1.089])
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def marked(picture: Tensor, wrong: Tensor, truth: Tensor) -> Tensor:
    """Return the picture with `wrong` red and the outline of `truth` white."""
    inner = max_pool2d((~truth).float()[None], 3, 1, 1)[0] > 0
    picture = picture.clone()
    picture[truth & inner] = 1.0
    picture[wrong] = picture.new_tensor([1.0, 0.1, 0.1])
    return picture


def brightened(picture: Tensor) -> Tensor:
    """Return the picture with dark parts lighter, for people."""
    return picture.clamp(0, 1) ** 0.6


if __name__ == "__main__":
    main()
