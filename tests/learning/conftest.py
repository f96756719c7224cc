"""A small moving scene, its cameras and masks."""

import numpy as np
import pytest
import torch
from small_vgg import small_vgg  # noqa: F401 - fixture
from tiny_networks import tiny_networks  # noqa: F401 - fixture

from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import rgb_to_sh0

WIDTH, HEIGHT = 32, 24


@pytest.fixture
def scene() -> DynamicGaussians:
    """60 Gaussians in front of the camera that all move with time, and one behind it."""
    generator = torch.Generator().manual_seed(0)
    count = 61
    means = (torch.rand(count, 3, generator=generator) - 0.5) * torch.tensor([2.0, 1.5, 1.0])
    means[-1, 2] = 50.0
    torch.manual_seed(1)
    field = DeformationField(depth=2, width=16, position_bands=2, time_bands=2)
    torch.nn.init.normal_(field.heads.weight, std=0.2)
    return DynamicGaussians(
        means=means,
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.full((count, 3), -2.0),
        logit_opacities=torch.randn(count, generator=generator),
        sh0=rgb_to_sh0(torch.rand(count, 3, generator=generator)),
        sh_rest=torch.zeros(count, 0, 3),
        features=torch.randn(count, 4, generator=generator),
        field=field,
    )


@pytest.fixture
def cameras() -> list[Camera]:
    """Three views from different places and at different times."""
    views = []
    for index, time in enumerate([0.0, 0.4, 1.0]):
        c2w = torch.eye(4)[:3]
        c2w[0, 3], c2w[2, 3] = 0.2 * index, 3.0
        views.append(Camera.from_opengl(c2w, 30.0, 30.0, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT, time))
    return views


@pytest.fixture
def mask_sets() -> list[MaskSet]:
    """Masks of the three views: two halves and two parts of one; the halves at half the size; none at all."""
    dense = np.zeros((4, HEIGHT, WIDTH), dtype=bool)
    dense[0, :, : WIDTH // 2] = dense[1, :, WIDTH // 2 + 2 :] = dense[2, 6:18, 4:12] = dense[3, :6, 2:14] = True
    return [
        MaskSet.from_dense("0", dense),
        MaskSet.from_dense("1", dense[:2, ::2, ::2]),
        MaskSet.from_dense("2", np.zeros((0, HEIGHT, WIDTH), dtype=bool)),
    ]
