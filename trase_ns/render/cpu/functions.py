"""The CPU kernels as differentiable torch functions."""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trase_ns.render.cpu.blending import CHANNELS, GEOMETRY, blend_backward, gather_gradients
from trase_ns.render.cpu.blending import blend as blend_forward
from trase_ns.render.cpu.lifting import gather as gather_lifted
from trase_ns.render.cpu.lifting import lift as lift_pixels
from trase_ns.render.cpu.projection import find_near, project_backward
from trase_ns.render.cpu.projection import project as project_forward
from trase_ns.render.cpu.runtime import kernels
from trase_ns.render.cpu.sparse import fill_weights, multiply, transpose
from trase_ns.render.cpu.tiles import TILE, bin_gaussians, depth_order, sorted_rows


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as a C-contiguous array."""
    return tensor.detach().contiguous().numpy()


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means, quats, scales, viewmats, Ks, width, height, near, far, eps2d):
        cameras, count = len(viewmats), len(means)
        means2d = means.new_zeros(cameras, count, 2)
        cov2d = torch.zeros(cameras, count, 3, dtype=torch.float64)
        depths = means.new_zeros(cameras, count)
        radii = torch.zeros(cameras, count, dtype=torch.int32)
        gaussians = [_array(t) for t in (means, quats, scales)]
        views, intrinsics = _array(viewmats.double()), _array(Ks.double())
        with kernels():
            for c in range(cameras):
                outputs = [t[c].numpy() for t in (means2d, cov2d, depths, radii)]
                project_forward(*gaussians, views[c], intrinsics[c], width, height, near, far, eps2d, *outputs)
        ctx.save_for_backward(means, quats, scales, viewmats, Ks, radii)
        ctx.size = width, height
        ctx.mark_non_differentiable(radii)
        return means2d, cov2d, depths, radii

    @staticmethod
    def backward(ctx: Any, v_means2d, v_cov2d, v_depths, _):
        means, quats, scales, viewmats, Ks, radii = ctx.saved_tensors
        grads = [torch.zeros(t.shape, dtype=torch.float64) for t in (means, quats, scales)]
        gaussians = [_array(t) for t in (means, quats, scales)]
        views, intrinsics = _array(viewmats.double()), _array(Ks.double())
        with kernels():
            for c in range(len(viewmats)):
                given = [_array(t[c]) for t in (radii, v_means2d, v_cov2d, v_depths)]
                project_backward(
                    *gaussians, views[c], intrinsics[c], *map(float, ctx.size), *given, *(g.numpy() for g in grads)
                )
        return *(g.to(means.dtype) for g in grads), *(None,) * 7


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float,
    far_plane: float,
    eps2d: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Project Gaussians to the image planes of C cameras; differentiable in means, quats and scales.

    Args:
        means, quats, scales: [N, 3], [N, 4] wxyz, [N, 3], float32, in the world.
        viewmats, Ks: [C, 4, 4] world to camera (OpenCV axes) and [C, 3, 3] in pixels.
        width, height: image size in pixels.
        near_plane, far_plane: depths outside are not visible.
        eps2d: what is added to the diagonal of the covariance, in square pixels.

    Returns:
        means2d [C, N, 2] in pixels, cov2d [C, N, 3] float64 (xx, xy, yy, with eps2d), depths [C, N] and radii [C, N]
        int32, 0 for a Gaussian that is not visible (the rest is 0 there, too).
    """
    return _Project.apply(  # type: ignore[return-value]
        means, quats, scales, viewmats, Ks, float(width), float(height), float(near_plane), float(far_plane),
        float(eps2d),
    )  # fmt: skip


class Tiles:
    """The Gaussians that one camera sees, sorted by depth and into tiles."""

    def __init__(self, means2d, cov2d, depths, radii, opacities, width: int, height: int):
        radii = _array(radii)
        self.order = depth_order(_array(depths), radii)
        self.records, self.starts, self.members, self.firsts, self.places = bin_gaussians(
            self.order, _array(means2d), _array(cov2d), radii, _array(opacities), width, height
        )

    def sorted_colors(self, colors: np.ndarray) -> np.ndarray:
        """The visible Gaussians' rows of `colors` [N, D] by depth, with zeros to a multiple of CHANNELS; flat."""
        width = -(-colors.shape[1] // CHANNELS) * CHANNELS
        result = np.empty((len(self.order), width), np.float32)
        sorted_rows(self.order, colors, result)
        return result


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, means2d, cov2d, depths, radii, opacities, colors, backgrounds, width, height, absgrad):
        cameras, channels = len(means2d), colors.shape[-1]
        images = torch.empty(cameras, height, width, channels)
        clear = torch.empty(cameras, height, width, 1)
        ctx.tiles = []
        with kernels():
            for c in range(cameras):
                tiles = Tiles(means2d[c], cov2d[c], depths[c], radii[c], opacities[c], width, height)
                colours = tiles.sorted_colors(_array(colors[c]))
                blend_forward(
                    tiles.records, tiles.starts, tiles.members, colours.reshape(-1), colours.shape[1],
                    _array(backgrounds[c]), images[c].numpy(), clear[c, ..., 0].numpy(),
                )  # fmt: skip
                ctx.tiles.append((tiles, colours))
        ctx.save_for_backward(means2d, cov2d, opacities, colors, backgrounds, clear)
        ctx.absgrad = absgrad
        return images, 1 - clear

    @staticmethod
    def backward(ctx: Any, v_images, v_alphas):
        means2d, cov2d, opacities, colors, backgrounds, clear = ctx.saved_tensors
        v_means2d, v_cov2d, v_opacities, v_colors = (
            torch.zeros_like(t, memory_format=torch.contiguous_format) for t in (means2d, cov2d, opacities, colors)
        )
        v_absolute = torch.zeros_like(v_means2d)
        with kernels():
            for c, (tiles, colours) in enumerate(ctx.tiles):
                pair_sums = np.empty((len(tiles.members), GEOMETRY + colors.shape[-1]), np.float32)
                blend_backward(
                    tiles.records, tiles.starts, tiles.members, colours.reshape(-1), colours.shape[1],
                    _array(backgrounds[c]), _array(v_images[c]), _array(v_alphas[c, ..., 0]), pair_sums,
                )  # fmt: skip
                outputs = (v_means2d, v_cov2d, v_opacities, v_colors, v_absolute)
                gather_gradients(
                    tiles.order, tiles.records, tiles.firsts, tiles.places, pair_sums, *(t[c].numpy() for t in outputs)
                )
        if ctx.absgrad:
            means2d.absgrad = v_absolute
        v_backgrounds = (v_images * clear).sum(dim=(1, 2)) if ctx.needs_input_grad[6] else None
        return v_means2d, v_cov2d, None, None, v_opacities, v_colors, v_backgrounds, None, None, None


def blend(
    means2d: Tensor,
    cov2d: Tensor,
    depths: Tensor,
    radii: Tensor,
    opacities: Tensor,
    colors: Tensor,
    backgrounds: Tensor,
    width: int,
    height: int,
    absgrad: bool,
) -> tuple[Tensor, Tensor]:
    """Blend projected Gaussians into pictures; differentiable in means2d, cov2d, opacities, colors, backgrounds.

    Args:
        means2d, cov2d, depths, radii: from `project`; depths give the order alone.
        opacities: [C, N].
        colors: [C, N, D].
        backgrounds: [C, D].
        width, height: image size in pixels.
        absgrad: in the backward pass set `means2d.absgrad` [C, N, 2], the sum over the pixels of the absolute
            gradient.

    Returns:
        Pictures [C, H, W, D] and alphas [C, H, W, 1].
    """
    return _Blend.apply(  # type: ignore[return-value]
        means2d, cov2d, depths, radii, opacities, colors, backgrounds, width, height, absgrad
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
    pixels: Tensor | None,
    near_plane: float,
    far_plane: float,
    eps2d: float,
) -> tuple[Tensor, Tensor, Tensor, tuple[int, int]]:
    """Blending weights of the first camera in CSR form: indptr, indices, weights and shape.

    Args:
        means, quats, scales, opacities, viewmats, Ks, width, height, near_plane, far_plane, eps2d: as in `project`.
        pixels: [P] sorted flat indices (y * width + x) of the pixels to look at, each once; all by default.
    """
    gaussians, near = (means, quats, scales, opacities), None
    if pixels is not None:
        window = _tiles_around(pixels.numpy(), width, height)
        if window != (0, 0, width, height):
            near = _near(means, scales, viewmats[0], Ks[0], width, height, window, near_plane, far_plane, eps2d)
            gaussians = tuple(values[near] for values in gaussians)
    projected = project(*gaussians[:3], viewmats[:1], Ks[:1], width, height, near_plane, far_plane, eps2d)
    count = width * height if pixels is None else len(pixels)
    rows = np.arange(count) if pixels is None else np.full(width * height, -1)
    if pixels is not None:
        rows[pixels.numpy()] = np.arange(count)
    indptr = np.zeros(count + 1, np.int64)
    indices, weights = np.empty(0, np.int64), np.empty(0, np.float32)
    with kernels():
        tiles = Tiles(*(values[0] for values in projected), gaussians[3], width, height)
        given = tiles.records, tiles.starts, tiles.members, tiles.order, rows, width, height
        fill_weights(*given, indptr, indices, weights, True)
        indptr = np.cumsum(indptr)
        indices, weights = np.empty(indptr[-1], np.int64), np.empty(indptr[-1], np.float32)
        fill_weights(*given, indptr, indices, weights, False)
    parts = [torch.from_numpy(part) for part in (indptr, indices, weights)]
    return parts[0], parts[1] if near is None else near[parts[1]], parts[2], (count, len(means))


def lift(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    picture: Tensor,
    near_plane: float,
    far_plane: float,
    eps2d: float,
    lifted: Tensor,
    total: Tensor,
) -> None:
    """Add sums of the first camera's weights to `lifted` [N, D], times the values, and to `total` [N], alone.

    `picture` is [H, W, D], `lifted` and `total` are contiguous; the other arguments are as in `project`.
    """
    projected = project(means, quats, scales, viewmats[:1], Ks[:1], width, height, near_plane, far_plane, eps2d)
    with kernels():
        tiles = Tiles(*(values[0] for values in projected), opacities, width, height)
        pair_sums = np.empty((len(tiles.members), picture.shape[2] + 1), np.float32)
        lift_pixels(tiles.records, tiles.starts, tiles.members, _array(picture), pair_sums)
        gather_lifted(tiles.order, tiles.firsts, tiles.places, pair_sums, lifted.numpy(), total.numpy())


def _tiles_around(pixels: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the tiles that hold `pixels` (flat indices); with a margin for rounding."""
    if not len(pixels):
        return 0, 0, 0, 0
    x, y = pixels % width, pixels // width
    left, top = x.min() // TILE * TILE - 1, y.min() // TILE * TILE - 1
    right, bottom = (x.max() // TILE + 1) * TILE + 1, (y.max() // TILE + 1) * TILE + 1
    return int(max(left, 0)), int(max(top, 0)), int(min(right, width)), int(min(bottom, height))


def _near(means, scales, viewmat, K, width, height, window, near_plane, far_plane, eps2d) -> Tensor:
    """Indices, ascending, of all Gaussians that one camera sees in the window, and of a few more."""
    found = np.empty(len(means), np.bool_)
    with kernels():
        find_near(
            _array(means), _array(scales), _array(viewmat.double()), _array(K.double()), float(width), float(height),
            tuple(map(float, window)), float(near_plane), float(far_plane), float(eps2d), found,
        )  # fmt: skip
    return torch.from_numpy(np.flatnonzero(found))


def multiply_csr(indptr: Tensor, indices: Tensor, weights: Tensor, values: Tensor) -> Tensor:
    """Return the product [rows, C] of a matrix in CSR form and `values` [columns, C]."""
    result = torch.empty(len(indptr) - 1, values.shape[1], dtype=values.dtype)
    with kernels():
        multiply(_array(indptr), _array(indices), _array(weights), _array(values), result.numpy())
    return result


def transpose_csr(indptr: Tensor, indices: Tensor, weights: Tensor, columns: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return indptr, indices and weights of the transposed of a matrix with `columns` columns."""
    with kernels():
        parts = transpose(_array(indptr), _array(indices), _array(weights), columns)
    new_indptr, new_indices, new_weights = map(torch.from_numpy, parts)
    return new_indptr, new_indices, new_weights
