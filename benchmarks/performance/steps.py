"""Measures the parts of training steps: losses, deformation fields and the feature stage."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.performance.scenes import camera, fast_field, grid_masks, moving, paper_field
from benchmarks.performance.timing import Call
from trase_ns.learning.contrastive import trase_loss
from trase_ns.learning.features import FeatureStage, FeatureStageConfig
from trase_ns.learning.pixels import sample_pixels
from trase_ns.learning.smoothing import Neighbours
from trase_ns.learning.ssim import ssim
from trase_ns.render import render_view
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians

TIME = 0.5


def parts(quick: bool, device: str) -> Iterator[tuple[str, Call]]:
    """Yield what is measured, by name."""
    count, width, height = (5_000, 128, 96) if quick else (20_000, 384, 288)
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(height, width, 3, generator=generator).to(device)
    picture = torch.rand(height, width, 3, generator=generator).to(device).requires_grad_()
    yield (
        f"SSIM, forward and backward ({width} x {height})",
        lambda: torch.autograd.grad(ssim(picture, target), picture),
    )
    for name, scene in fields(count, device).items():
        yield f"{name}, evaluated ({count:,} Gaussians)", torch.no_grad()(lambda scene=scene: scene.at(TIME))
        yield f"{name}, forward and backward ({count:,} Gaussians)", lambda scene=scene: _train_field(scene)


def fields(count: int, device: str) -> dict[str, DynamicGaussians]:
    """Return a scene for each kind of deformation field."""
    kinds = {
        "the paper's MLP, 8 x 256": paper_field(),
        "MLP, 4 x 128": DeformationField(depth=4, width=128, skip_at=2),
        "shared motions": fast_field(),
    }
    return {name: moving(count, field, device) for name, field in kinds.items()}


def _train_field(scene: DynamicGaussians) -> object:
    moved = scene.at(TIME)
    total = moved.means.sum() + moved.quats.sum() + moved.scales.sum()
    return torch.autograd.grad(total, learned(scene), allow_unused=True)


def learned(scene: DynamicGaussians) -> list[Tensor]:
    """Return what a geometry step has gradients for."""
    assert scene.field is not None
    geometry = [scene.means, scene.quats, scene.log_scales, scene.logit_opacities]
    if scene.motion is not None:
        geometry.append(scene.motion)
    return [tensor.requires_grad_() for tensor in geometry] + list(scene.field.parameters())


def feature_steps(quick: bool, device: str) -> dict[str, Call]:
    """Return a step of the feature stage in several ways.

    As it is by default, with what a view needs kept; with nothing kept; and without the idea of it: all 32 channels of
    the frame rendered, with gradients through rasterizer and deformation, for each kind of field.
    """
    count, width, height, pixels = (5_000, 128, 96, 1000) if quick else (20_000, 384, 288, 5000)
    view, masks = camera(width, height, TIME).to(device), grid_masks(width, height, 4, 6)

    def step(stage: FeatureStage) -> object:
        features = stage.scene.features.requires_grad_()
        return torch.autograd.grad(_total(stage.loss(features, view, masks, "view")), features)

    def rendered(scene: DynamicGaussians, neighbours: Neighbours) -> object:
        features = scene.features.requires_grad_()
        sample = sample_pixels(masks, width, height, pixels, device=device)
        smooth = neighbours.mean(features, FeatureStageConfig().neighbours)
        picture = render_view(scene.at(TIME), view, colors=smooth).color
        x, y = sample.pixels.unbind(1)
        terms = trase_loss(picture[y, x], sample.mask_vectors, sample.mask_sizes, paired=sample.paired)
        return torch.autograd.grad(_total(terms), [features, *learned(scene)], allow_unused=True)

    calls: dict[str, Call] = {}
    for name, field in (("the paper's MLP", paper_field()), ("shared motions", fast_field())):
        scene = moving(count, field, device)
        neighbours = Neighbours(scene.means)
        for how, gigabytes in (("views kept", None), ("nothing kept", 0.0)):
            stage = FeatureStage(scene, neighbours, FeatureStageConfig(pixels=pixels, cache_gb=gigabytes))
            calls[f"{name}, {how}"] = lambda stage=stage: step(stage)
        calls[f"{name}, frame rendered"] = lambda scene=scene, around=neighbours: rendered(scene, around)
    return calls


def _total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack([*terms.values()]).sum()
