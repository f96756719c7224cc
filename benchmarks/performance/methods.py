"""Measures the methods beside TRASE: uplifting against rendering, steps, clicks and diffusion."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn.functional import normalize

from benchmarks.performance.scenes import camera, gaussians, moving
from benchmarks.performance.timing import Call, Effort, side_by_side
from trase_ns.learning.diffusion import Graph, anchor_similarity
from trase_ns.learning.distillation import distillation_loss
from trase_ns.learning.granularity import (
    LEVELS,
    Level,
    click_gaussian_loss,
    clicked_candidate,
    level_features,
    nearest_candidates,
)
from trase_ns.learning.smoothing import Neighbours
from trase_ns.learning.uplift import uplift_features
from trase_ns.render import contributions, render_view

VIEWS = 4


def uplifting(quick: bool, device: str, effort: Effort) -> list[dict[str, float]]:
    """Measure uplifting of feature maps against rendering features of as many channels into the same views."""
    sizes = [(5_000, 128, 96)] if quick else [(20_000, 384, 288), (100_000, 480, 270)]
    return [_uplifting(*size, channels, device, effort) for size in sizes for channels in (3, 40)]


def _uplifting(count: int, width: int, height: int, channels: int, device: str, effort: Effort) -> dict[str, float]:
    scene = moving(count, None, device)
    views = [camera(width, height, angle=0.2 * i) for i in range(VIEWS)]
    features = torch.rand(count, channels, device=device)
    maps = [(view, torch.rand(height, width, channels, device=device)) for view in views]

    @torch.no_grad()
    def render() -> None:
        for view in views:
            render_view(scene.at(view.time), view, colors=features)

    times = side_by_side({"render": render, "uplift": lambda: uplift_features(scene, maps)}, effort)
    each = {name: value / VIEWS for name, value in times.items()}
    return {"gaussians": count, "width": width, "height": height, "channels": channels, **each}


def parts(quick: bool, device: str) -> Iterator[tuple[str, Call]]:
    """Yield what is measured of the methods, by name."""
    count, pixels = (5_000, 1_000) if quick else (100_000, 10_000)
    scene = gaussians(count, device)
    generator = torch.Generator().manual_seed(5)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    candidates: dict[Level, torch.Tensor] = {
        level: normalize(level_features(normal(100, 24), level), dim=1) for level in LEVELS
    }
    fine = torch.randint(60, (pixels,), generator=generator).to(device)
    segments: dict[Level, torch.Tensor] = {"coarse": fine // 3, "fine": fine}
    rows = torch.arange(count, device=device)
    neighbours = Neighbours(scene.means, 6).indices[:, 1:]
    features, rendered = normal(count, 24).requires_grad_(), normal(pixels, 24).requires_grad_()

    def step() -> object:
        terms = click_gaussian_loss(features, rendered, segments, rows, neighbours, candidates)
        return torch.autograd.grad(torch.stack([*terms.values()]).sum(), [features, rendered])

    yield f"objective of Click-Gaussian, with gradients ({count:,} Gaussians, {pixels:,} pixels)", step

    view = camera(128, 96) if quick else camera(480, 270)
    place = torch.randperm(view.width * view.height, generator=generator)[: min(pixels, 5_000)]
    weights = contributions(scene, view, torch.stack([place % view.width, place // view.width], dim=1))
    wide, target = normal(count, 384).requires_grad_(), normal(len(place), 384)
    yield (
        f"objective of DGD, 384 numbers, with gradients ({count:,} Gaussians, {len(place):,} pixels)",
        lambda: torch.autograd.grad(distillation_loss(wide, weights, target), wide),
    )

    large = gaussians(20_000 if quick else 200_000, device)
    known = normal(len(large), 24)
    nearest = nearest_candidates(known, candidates)
    middle = torch.tensor([[view.width // 2, view.height // 2]])

    def click() -> object:
        return nearest["fine"] == clicked_candidate(contributions(large, view, middle), known, candidates, "fine")[0]

    yield f"click of Click-Gaussian ({len(large):,} Gaussians, {view.width} x {view.height})", click

    start = (torch.arange(count, device=device) < 500).float()
    reduced = normal(count, 40)

    def diffuse() -> object:
        return Graph(scene.means).diffuse(start, reduced, anchor_similarity(reduced, start > 0))

    yield f"graph diffusion, 200 neighbours, 100 steps ({count:,} Gaussians)", diffuse
