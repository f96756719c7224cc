"""Random scenes of any size, that cover the picture about as real ones do."""

from __future__ import annotations

import numpy as np
import torch

from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.scene.motion_basis import MotionBasis

SEED = 0
# Median scale of N Gaussians in a box of 3 x 2 x 2: SCALE times the edge of the cube that each has for itself.
SCALE = 0.13


def gaussians(count: int, device: str = "cpu", sh_degree: int = 0) -> Gaussians:
    """Return Gaussians in a box of 3 x 2 x 2 around the origin; the more there are, the smaller they are."""
    generator = torch.Generator().manual_seed(SEED)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    edge = (12 / count) ** (1 / 3)
    return Gaussians(
        means=(uniform(count, 3) - 0.5) * torch.tensor([3.0, 2.0, 2.0]),
        quats=normal(count, 4),
        scales=torch.exp(0.4 * normal(count, 3)) * SCALE * edge,
        opacities=uniform(count),
        sh=normal(count, (sh_degree + 1) ** 2, 3) * 0.3,
    ).to(device)


def moving(count: int, field: Field | None, device: str = "cpu") -> DynamicGaussians:
    """Return the same Gaussians with a deformation field and 32 features."""
    still = gaussians(count, device)
    generator = torch.Generator().manual_seed(SEED)
    motion = torch.randn(count, field.motions, generator=generator) if isinstance(field, MotionBasis) else None
    return DynamicGaussians(
        means=still.means,
        quats=still.quats,
        log_scales=still.scales.log(),
        logit_opacities=still.opacities.logit(),
        sh0=still.sh[:, 0],
        sh_rest=still.sh[:, 1:],
        features=torch.randn(count, 32, generator=generator).to(device),
        field=None if field is None else field.to(device),
        motion=None if motion is None else motion.to(device),
    )


def paper_field() -> Field:
    """Return a deformation field of the paper's size."""
    return DeformationField(depth=8, width=256)


def fast_field() -> Field:
    """Return the deformation field that is the default on a CPU."""
    return MotionBasis(motions=64, keys=32)


def camera(width: int, height: int, time: float = 0.5, angle: float = 0.0) -> Camera:
    """Return a camera three units before the middle of the box, turned around it by `angle` in radians."""
    viewmat = torch.eye(4)
    turn = torch.tensor(angle)
    viewmat[0, 0] = viewmat[2, 2] = turn.cos()
    viewmat[0, 2], viewmat[2, 0] = turn.sin(), -turn.sin()
    viewmat[2, 3] = 3.0
    K = torch.tensor([[0.9 * width, 0.0, width / 2], [0.0, 0.9 * width, height / 2], [0.0, 0.0, 1.0]])
    return Camera(viewmat, K, width, height, time)


def grid_masks(width: int, height: int, rows: int, columns: int, shift: int = 0) -> MaskSet:
    """Return masks in a grid, and one of each of its rows; `shift` moves them to the right."""
    y, x = np.mgrid[:height, :width]
    cells = y * rows // height * columns + (x + shift) % width * columns // width
    masks = [cells == i for i in range(rows * columns)] + [cells // columns == i for i in range(rows)]
    return MaskSet.from_dense("view", masks)
