"""Measures the rasterizer and the blending weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.performance import torch_tiles
from benchmarks.performance.scenes import camera, gaussians
from benchmarks.performance.timing import Call, Effort, seconds, side_by_side, threads
from trase_ns.render import contributions, rasterize

Case = tuple[int, int, int, int]  # Gaussians, width, height, channels

CASES = [
    (5_000, 128, 128, 3),
    (20_000, 256, 256, 3),
    (20_000, 256, 256, 32),
    (20_000, 256, 256, 36),
    (20_000, 256, 256, 64),
    (20_000, 256, 256, 384),
    (100_000, 480, 270, 3),
    (100_000, 480, 270, 36),
]
QUICK_CASES = [(5_000, 128, 128, 3), (5_000, 128, 128, 36)]
# Torch takes up to half a minute for a picture, so only some are compared.
COMPARED = [(5_000, 128, 128, 3), (20_000, 256, 256, 3), (20_000, 256, 256, 36), (100_000, 480, 270, 3)]


def cases(quick: bool) -> list[Case]:
    """Return the cases to measure."""
    return QUICK_CASES if quick else CASES


def measure_case(case: Case, effort: Effort, device: str, cores: int) -> dict[str, Any]:
    """Measure forward, and forward and backward, with one thread and with all, against torch or gsplat."""
    count, width, height, channels = case
    forward, both = _calls(case, device, rasterize)
    calls = {"forward": forward, "both": both}
    row: dict[str, Any] = {"gaussians": count, "width": width, "height": height, "channels": channels}
    if device == "cuda":
        from gsplat import rasterization

        _, gsplat_both = _calls(case, device, rasterization)
        return row | side_by_side(calls | {"gsplat_both": gsplat_both}, effort)
    with threads(1):
        row |= {f"{name}_one_thread": value for name, value in side_by_side(calls, effort).items()}
    if case in COMPARED:
        calls["tiles_both"] = _torch_tiles(case)
    with threads(cores):
        row |= side_by_side(calls, effort)
        if case in COMPARED:
            _, plain = _calls(case, device, partial(rasterize, backend="reference"))
            row["reference_both"] = 1000 * seconds(plain)  # once is enough
    return row


def _leaves(count: int, channels: int, device: str) -> list[torch.Tensor]:
    """Return means, quaternions, scales, opacities and colours, with gradients."""
    scene = gaussians(count, device)
    colors = torch.rand(count, channels, generator=torch.Generator().manual_seed(1)).to(device)
    return [t.requires_grad_() for t in (scene.means, scene.quats, scene.scales, scene.opacities, colors)]


def _calls(case: Case, device: str, function: Callable[..., tuple]) -> tuple[Call, Call]:
    """Return forward, and forward and backward, of a function with gsplat's arguments."""
    count, width, height, channels = case
    leaves, view = _leaves(count, channels, device), camera(width, height).to(device)

    def render() -> torch.Tensor:
        return function(*leaves, view.viewmat[None], view.K[None], width, height)[0]

    return torch.no_grad()(render), lambda: torch.autograd.grad(render().sum(), leaves)


def _torch_tiles(case: Case) -> Call:
    """Return forward and backward in torch, as fast as that goes."""
    count, width, height, channels = case
    m, q, s, o, c = leaves = _leaves(count, channels, "cpu")
    view = camera(width, height)

    def both() -> object:
        picture, _ = torch_tiles.rasterize(m, q, s, o, c, view.viewmat, view.K, width, height)
        return torch.autograd.grad(picture.sum(), leaves)

    return both


def weights(quick: bool, device: str) -> Iterator[tuple[str, Call]]:
    """Yield what is measured of the blending weights."""
    count, width, height = (5_000, 128, 96) if quick else (20_000, 384, 288)
    scene, view = gaussians(count, device), camera(width, height)
    generator = torch.Generator().manual_seed(2)
    place = torch.randperm(width * height, generator=generator)[:5000]
    some = torch.stack([place % width, place // width], dim=1)
    size = f"{count:,} Gaussians, {width} x {height}"
    yield f"blending weights of a view ({size})", lambda: contributions(scene, view)
    yield f"blending weights of 5,000 pixels ({size})", lambda: contributions(scene, view, some)
    yield f"blending weights of one pixel ({size})", lambda: contributions(scene, view, some[:1])


def curves(quick: bool) -> dict[str, list[Case]]:
    """Return the sizes along which forward and backward are measured: Gaussians, width, height, channels."""
    counts = [5_000, 20_000] if quick else [5_000, 20_000, 100_000, 300_000, 1_000_000]
    heights = [72, 144] if quick else [72, 144, 270, 540, 1080]
    depths = [3, 32] if quick else [3, 16, 32, 64, 128, 384]
    most = 5_000 if quick else 100_000
    return {
        "gaussians": [(count, 480, 270, 3) for count in counts],
        "pixels": [(most, height * 16 // 9, height, 3) for height in heights],
        "channels": [(5_000 if quick else 20_000, 256, 256, depth) for depth in depths],
    }


def measure_point(point: Case, effort: Effort, device: str) -> float:
    """Return the milliseconds of forward and backward with all threads."""
    return side_by_side({"both": _calls(point, device, rasterize)[1]}, effort)["both"]
