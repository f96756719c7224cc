"""Measure how long the parts of the program take, and rewrite docs/performance.md and docs/performance.json.

    python benchmarks/performance.py --load-config CONFIG
    python benchmarks/performance.py [--gaussians 15000] [--width 256] [--height 192]

On the scene and the masks of a trained run, or else on random Gaussians: the fastest of several calls for each part,
and the reference renderer (plain torch) in the same run. The ratios say more than the times, which depend on what else
the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accuracy import ROOT, machine

from trase_ns.learning.features import FeatureStage, FeatureStageConfig
from trase_ns.learning.smoothing import Neighbours
from trase_ns.learning.ssim import ssim
from trase_ns.masks import MaskSet
from trase_ns.plugin.run import Run, load_run
from trase_ns.render import contributions, render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.find import find_objects

SECONDS = 3.0  # for each part


def main() -> None:
    """Read the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load-config", type=Path, help="config.yml of a trained run")
    parser.add_argument("--gaussians", type=int, default=15_000, help="number of random ones, without a run")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--output", type=Path, default=ROOT / "docs/performance.md")
    options = parser.parse_args()

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    run = load_run(options.load_config) if options.load_config else None
    if run is not None:
        scene, camera = run.scene, run.frames[len(run.frames) // 2].camera
    else:
        scene, camera = random_scene(options.gaussians, device), front_camera(options.width, options.height, device)
    milliseconds = {name: measured(call, device) for name, call in parts(scene, camera).items()}
    found = {
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "scene": "random" if run is None else "trained",
        "gaussians": len(scene),
        "picture": [camera.width, camera.height],
        "gaussians_in_a_pixel": round(
            len(contributions(scene.at(0.5), camera).indices) / camera.width / camera.height, 1
        ),
        "milliseconds": {name: round(value, 2) for name, value in milliseconds.items()},
        "objects": None if run is None else objects(run),
    }
    options.output.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    options.output.write_text(page(found), encoding="utf-8")
    print(page(found))


def random_scene(count: int, device: str) -> DynamicGaussians:
    """Return Gaussians before the camera, as many and about as large as those of a trained scene."""
    field = DeformationField(depth=4, width=128, position_bands=6, time_bands=4).to(device)
    return DynamicGaussians(
        means=torch.randn(count, 3, device=device) * 0.5,
        quats=torch.randn(count, 4, device=device),
        log_scales=torch.randn(count, 3, device=device) * 0.4 - 4.2,
        logit_opacities=torch.randn(count, device=device),
        sh0=torch.randn(count, 3, device=device),
        sh_rest=torch.zeros(count, 0, 3, device=device),
        features=torch.randn(count, 32, device=device),
        field=field,
    )


def front_camera(width: int, height: int, device: str) -> Camera:
    """Return a camera two units before the scene's middle."""
    c2w = torch.eye(4)
    c2w[2, 3] = 2.0
    return Camera.from_opengl(c2w, width, width, width / 2, height / 2, width, height, 0.5).to(device)


def parts(scene: DynamicGaussians, camera: Camera) -> dict[str, Callable[[], object]]:
    """Return what is measured, by name."""
    gaussians = scene.detach().at(0.5)
    leaves = [gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh]
    for leaf in leaves:
        leaf.requires_grad_(True)
    assert scene.field is not None, "the run was trained without deformation"
    field, weights = scene.field, list(scene.field.parameters())
    for weight in weights:
        weight.requires_grad_(True)
    target = torch.rand(camera.height, camera.width, 3, device=scene.device)
    picture = torch.rand_like(target).requires_grad_(True)
    stage = FeatureStage(scene, Neighbours(scene.means), FeatureStageConfig(pixels=1500))
    features = scene.features.clone().requires_grad_(True)
    masks = grid_masks(camera)

    def forward(backend: str) -> Callable[[], object]:
        return torch.no_grad()(lambda: render_view(gaussians, camera, backend=backend))

    def both(backend: str) -> Callable[[], object]:
        return lambda: torch.autograd.grad(render_view(gaussians, camera, backend=backend).color.sum(), leaves)

    return {
        "rasterize, forward": forward("auto"),
        "rasterize, forward and backward": both("auto"),
        "rasterize, forward (reference)": forward("reference"),
        "rasterize, forward and backward (reference)": both("reference"),
        "blending weights of a view": torch.no_grad()(lambda: contributions(gaussians, camera)),
        "blending weights of one pixel": torch.no_grad()(
            lambda: contributions(gaussians, camera, torch.tensor([[9, 9]], device=scene.device))
        ),
        "deformation field, forward and backward": lambda: torch.autograd.grad(
            torch.cat(field(scene.means, 0.5), dim=1).sum(), weights
        ),
        "SSIM, forward and backward": lambda: torch.autograd.grad(ssim(picture, target), picture),
        "feature step, 1500 pixels": lambda: torch.autograd.grad(
            torch.stack([*stage.loss(features, camera, masks, "view").values()]).sum(), features
        ),
    }


def grid_masks(camera: Camera, rows: int = 4, columns: int = 6) -> MaskSet:
    """Return masks in a grid, and some that hold several of them."""
    y, x = np.mgrid[: camera.height, : camera.width]
    tiles = y * rows // camera.height * columns + x * columns // camera.width
    small = [tiles == i for i in range(rows * columns)]
    return MaskSet.from_dense("view", small + [tiles // columns == i for i in range(rows)])


def measured(call: Callable[[], object], device: str) -> float:
    """Return the milliseconds of the fastest of several calls, after one to warm up."""
    times = []
    call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return min(times) * 1000


def objects(run: Run) -> dict[str, float]:
    """Return the seconds that lifting all masks of a run and grouping them takes, and how many there are."""
    started = time.perf_counter()
    weights = run.lifted_masks()
    lifted = time.perf_counter()
    segmentation = find_objects(run.scene, weights)
    return {
        "masks": 0 if weights is None else len(weights.frame_of_mask),
        "objects": len(segmentation),
        "lifting_seconds": round(lifted - started, 2),
        "grouping_seconds": round(time.perf_counter() - lifted, 2),
    }


def page(found: dict) -> str:
    """Return the text of docs/performance.md."""
    times = found["milliseconds"]
    rows = ["| part | ms | reference renderer |", "|---|---:|---:|"]
    for name, value in times.items():
        if not name.endswith("(reference)"):
            slow = times.get(f"{name} (reference)")
            rows.append(f"| {name} | {value:.1f} | {f'{slow:.0f} ms, {slow / value:.0f} times' if slow else ''} |")
    width, height = found["picture"]
    text = f"""# Performance

This page is written by `python benchmarks/performance.py --load-config CONFIG`; do not edit it by hand.

Machine: {found["machine"]}; load {found["load"]:.1f}.

A {found["scene"]} scene of {found["gaussians"]:,} Gaussians at {width} x {height} pixels, with
{found["gaussians_in_a_pixel"]:.0f} Gaussians blended in a pixel on average. The fastest of several calls; the reference
renderer (plain torch) was measured in the same run.

{chr(10).join(rows)}
"""
    run = found["objects"]
    if run is not None:
        text += f"""
Finding its objects, once, with {run["masks"]:,} masks: lifting them {run["lifting_seconds"]:.1f} s, grouping them to
{run["objects"]} objects {run["grouping_seconds"]:.1f} s.
"""
    return text


if __name__ == "__main__":
    main()
