"""The CUDA backend: gsplat 1.4.0's kernels."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

TILE_SIZE = 16
CHANNELS_AT_ONCE = 32  # the most that gsplat's kernels blend in one pass without running short of registers
EVERYTHING = (1 << 31) - 1


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    **options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render with gsplat; arguments, options and results are those of `trase_ns.render.rasterize`."""
    from gsplat import rasterization

    return rasterization(
        means,
        quats,
        scales,
        opacities,
        colors,
        viewmats,
        Ks,
        width,
        height,
        packed=False,
        tile_size=TILE_SIZE,
        channel_chunk=CHANNELS_AT_ONCE,
        **options,
    )


def view_weights(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float,
    far_plane: float,
    eps2d: float,
) -> tuple[Tensor, Tensor, Tensor, tuple[int, int]]:
    """Blending weights of the first camera in CSR form: indptr, indices, weights and shape; see `contributions`.

    gsplat says which Gaussians each pixel blends, front to back; their weights are computed here.
    """
    from gsplat.cuda._wrapper import (
        fully_fused_projection,
        isect_offset_encode,
        isect_tiles,
        rasterize_to_indices_in_range,
    )

    radii, means2d, depths, conics, _ = fully_fused_projection(
        means, None, quats, scales, viewmats, Ks, width, height,
        eps2d=eps2d, packed=False, near_plane=near_plane, far_plane=far_plane,
    )  # fmt: skip
    columns, rows = math.ceil(width / TILE_SIZE), math.ceil(height / TILE_SIZE)
    _, isect_ids, flatten_ids = isect_tiles(means2d, radii, depths, TILE_SIZE, columns, rows)
    offsets = isect_offset_encode(isect_ids, 1, columns, rows)
    clear = torch.ones(1, height, width, device=means.device)
    indices, pixels, _ = rasterize_to_indices_in_range(
        0, EVERYTHING, clear, means2d, conics, opacities[None], width, height, TILE_SIZE, offsets, flatten_ids
    )
    counts = torch.bincount(pixels, minlength=width * height)
    indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])

    centres = torch.stack([pixels % width, pixels // width], dim=1) + 0.5
    dx, dy = (means2d[0, indices] - centres).unbind(1)
    a, b, c = conics[0, indices].unbind(1)
    alpha = (opacities[indices] * torch.exp(-(0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy))).clamp(max=0.999)
    # transmittance before each Gaussian: products along each row, as sums of logarithms
    logs = torch.log1p(-alpha.double())
    before = logs.cumsum(0) - logs
    start = before[indptr[:-1].clamp(max=max(len(before) - 1, 0))] if len(before) else before.new_zeros(len(counts))
    weights = alpha * torch.exp(before - torch.repeat_interleave(start, counts)).float()
    return indptr, indices.long(), weights, (width * height, len(means))
