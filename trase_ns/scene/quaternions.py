"""Unit quaternions wxyz as rotations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def normalise(quats: Tensor) -> Tensor:
    """Return `quats` [..., 4] with length one."""
    return functional.normalize(quats, dim=-1)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Return the product a b of quaternions [..., 4] wxyz: the rotation by `b`, then by `a`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def to_matrix(quats: Tensor) -> Tensor:
    """Return the rotation matrices [..., 3, 3] of `quats` [..., 4] wxyz of any length but zero."""
    w, x, y, z = normalise(quats).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], dim=-1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], dim=-1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


def from_matrix(rotations: Tensor) -> Tensor:
    """Return the unit quaternions [..., 4] wxyz, float64 on the same device, of rotation matrices [..., 3, 3]."""
    from scipy.spatial.transform import Rotation

    flat = rotations.detach().cpu().double().reshape(-1, 3, 3).numpy()
    xyzw = torch.from_numpy(Rotation.from_matrix(flat).as_quat()).to(rotations.device)
    return xyzw[:, [3, 0, 1, 2]].reshape(*rotations.shape[:-2], 4)


def random(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Return `count` uniformly random rotations as unit quaternions [count, 4] wxyz, float32."""
    return normalise(torch.randn(count, 4, generator=generator))
