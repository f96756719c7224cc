"""Colour as real spherical harmonics, with 3D Gaussian Splatting's order, signs and offset of 0.5."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_DEGREE = 3
C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396)
C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    -0.4570457994644658,
    1.445305721320277,
    -0.5900435899266435,
)


def rgb_to_sh0(rgb: Tensor) -> Tensor:
    """Return the coefficients of degree 0 [..., 3] that show `rgb` [..., 3], in [0, 1], from every side."""
    return (rgb - 0.5) / C0


def sh0_to_rgb(sh0: Tensor) -> Tensor:
    """Return the colour [..., 3] that coefficients of degree 0 [..., 3] show; not clamped."""
    return sh0 * C0 + 0.5


def basis(directions: Tensor, degree: int) -> Tensor:
    """Return the basis functions [..., (degree + 1)^2] at `directions` [..., 3] of length one.

    Raises:
        ValueError: `degree` is not in 0 ... 3.
    """
    if not 0 <= degree <= MAX_DEGREE:
        raise ValueError(f"spherical harmonics of degree {degree}: only 0 to {MAX_DEGREE} are supported")
    x, y, z = directions.unbind(-1)
    xx, yy, zz = x * x, y * y, z * z
    functions = [torch.full_like(x, C0)]
    if degree >= 1:
        functions += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        functions += [C2[0] * x * y, C2[1] * y * z, C2[2] * (2 * zz - xx - yy), C2[3] * x * z, C2[4] * (xx - yy)]
    if degree >= 3:
        functions += [
            C3[0] * y * (3 * xx - yy),
            C3[1] * x * y * z,
            C3[2] * y * (4 * zz - xx - yy),
            C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            C3[4] * x * (4 * zz - xx - yy),
            C3[5] * z * (xx - yy),
            C3[6] * x * (xx - 3 * yy),
        ]
    return torch.stack(functions, dim=-1)


def evaluate(sh: Tensor, directions: Tensor, degree: int | None = None) -> Tensor:
    """Return the colours [N, 3] of coefficients `sh` [N, K, 3] seen along `directions`, at least 0.

    Args:
        sh: [N, K, 3] coefficients, K = (degree + 1)^2 or more.
        directions: [N, 3] from the camera to the Gaussian, in the world, of any length.
        degree: highest degree to use; all by default.
    """
    highest = round(sh.shape[1] ** 0.5) - 1 if degree is None else degree
    functions = basis(torch.nn.functional.normalize(directions, dim=-1), highest)
    return ((functions[:, :, None] * sh[:, : functions.shape[1]]).sum(dim=1) + 0.5).clamp_min(0)
