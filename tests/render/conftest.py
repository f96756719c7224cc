"""Scenes to render."""

from dataclasses import dataclass, replace

import pytest
import torch


@dataclass(frozen=True)
class Scene:
    """float32 arguments of `rasterize`."""

    means: torch.Tensor
    quats: torch.Tensor
    scales: torch.Tensor
    opacities: torch.Tensor
    colors: torch.Tensor
    viewmats: torch.Tensor
    Ks: torch.Tensor
    width: int
    height: int
    backgrounds: torch.Tensor

    @property
    def inputs(self):
        """The tensors that get gradients."""
        return {
            name: getattr(self, name) for name in ("means", "quats", "scales", "opacities", "colors", "backgrounds")
        }

    def but(self, **changes):
        return replace(self, **changes)


def make_scene(count=120, width=70, height=45, channels=3, cameras=1, seed=0, size=0.08):
    """`count` random Gaussians in front of `cameras` cameras."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    viewmats = torch.eye(4).repeat(cameras, 1, 1)
    viewmats[:, 2, 3] = 3.0
    for camera in range(1, cameras):
        turn = torch.tensor(0.3 * camera)
        viewmats[camera, 0, 0] = viewmats[camera, 2, 2] = turn.cos()
        viewmats[camera, 0, 2], viewmats[camera, 2, 0] = turn.sin(), -turn.sin()
    K = torch.tensor([[1.1 * width, 0.0, 0.52 * width], [0.0, 1.05 * width, 0.47 * height], [0.0, 0.0, 1.0]])
    return Scene(
        means=(uniform(count, 3) - 0.5) * torch.tensor([3.0, 2.0, 2.0]),
        quats=normal(count, 4),
        scales=torch.exp(0.5 * normal(count, 3)) * size,
        opacities=uniform(count),
        colors=uniform(count, channels),
        viewmats=viewmats,
        Ks=K.repeat(cameras, 1, 1),
        width=width,
        height=height,
        backgrounds=uniform(cameras, channels),
    )


@pytest.fixture(scope="session", name="make_scene")
def _make_scene():
    return make_scene
