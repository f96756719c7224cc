"""Put an object of one scene into another, export both as one moving file, open that again, and compare the pictures.

    python -m benchmarks.composition --run CONFIG --benchmark DIR --object robot --into CONFIG [--output FILE.json]

The object is selected by the clicks of its benchmark, brought to the middle of what the first camera of the other scene
sees, at `--size`, and plays backwards there. Writes JSON, and a picture beside it in pictures/.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.accuracy import ROOT, machine, save
from trase_ns.console import track
from trase_ns.editing import exporting, operations
from trase_ns.evaluation.benchmark import load_benchmark
from trase_ns.evaluation.scoring import select_objects
from trase_ns.plugin.opened import open_scene
from trase_ns.plugin.run import load_run
from trase_ns.render import render_view
from trase_ns.scene import clock
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity

MOMENTS = 9
SHOWN = 4


@torch.no_grad()
def main() -> None:
    """Read the command line, compose, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="config.yml of the run that has the object")
    parser.add_argument("--benchmark", type=Path, required=True, help="folder of the benchmark that names it")
    parser.add_argument("--object", required=True)
    parser.add_argument("--into", type=Path, required=True, help="config.yml of the other run")
    parser.add_argument("--size", type=float, default=1.0, help="its extent as a share of the other scene's")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/composition.json")
    options = parser.parse_args()

    run = load_run(options.run)
    benchmark = load_benchmark(options.benchmark)
    wanted = replace(benchmark, objects=tuple(o for o in benchmark.objects if o.name == options.object))
    thing = run.scene.subset(select_objects(run, wanted)[0].mask)
    opened = open_scene(options.into)
    studio = opened.studio(restore=False)
    camera = opened.cameras[0]
    scale = options.size * extent(opened.scene) / extent(thing)
    depth = float((camera.viewmat[:3, :3] @ opened.scene.means.median(0).values + camera.viewmat[:3, 3])[2])
    place = camera.position + depth * camera.viewmat[2, :3]
    shift = place - thing.at(0.5).means.median(0).values
    similarity = Similarity.about(thing.at(0.5).means.median(0).values, torch.eye(3), shift, scale)
    studio.change("bring in", lambda e: operations.bring_in(e, thing, options.object, similarity, clock.backwards()))

    before = studio.scene()
    with tempfile.TemporaryDirectory() as folder:
        item = exporting.items(studio, "scene")[0]
        (path,) = exporting.export(studio, item, Path(folder), exporting.Options(form="moving"))
        size, after = path.stat().st_size, open_scene(path).scene
    rows, columns = [], []
    for number in track(range(MOMENTS), "moments", MOMENTS):
        time = number / (MOMENTS - 1)
        view = replace(opened.cameras[number * (len(opened.cameras) - 1) // (MOMENTS - 1)], time=time)
        panels = [render_view(scene.at(time), view).color.clamp(0, 1) for scene in (opened.scene, before, after)]
        rows.append({"time": time, "psnr": psnr(panels[1], panels[2]), "changed by the object": psnr(*panels[:2])})
        columns.append(torch.cat(panels))
    chosen = [columns[round(i * (MOMENTS - 1) / (SHOWN - 1))] for i in range(SHOWN)]
    picture = (torch.cat(chosen, dim=1) * 255).round().byte().cpu().numpy()
    found = {
        "machine": machine(),
        "gaussians": [len(opened.scene), len(thing)],
        "bytes": size,
        "least psnr": min(row["psnr"] for row in rows),
        "moments": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    save(Image.fromarray(np.ascontiguousarray(picture)), options.output.parent / "pictures/composition.jpg")
    print(json.dumps(found, indent=2))


def extent(scene: DynamicGaussians) -> float:
    """Return how far half of the Gaussians lie from the middle."""
    means = scene.at(0.5).means
    return float((means - means.median(0).values).norm(dim=1).median())


def psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of pictures in [0, 1], at most 120."""
    return round(-10 * math.log10(max(float((first - second).square().mean()), 1e-12)), 1)


if __name__ == "__main__":
    main()
