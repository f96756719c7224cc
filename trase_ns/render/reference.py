"""The literal meaning of a picture of Gaussians, in plain torch: slow, of any dtype, differentiable by autograd.

The rules are those of gsplat 1.4.0. Tests compare the other backends with it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trase_ns.scene.quaternions import to_matrix

TILE_SIZE = 16
MAX_ALPHA = 0.999
MIN_ALPHA = 1 / 255
MIN_TRANSMITTANCE = 1e-4


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
    """Project Gaussians to the image planes of C cameras.

    Arguments and results are those of the CPU backend's `project`, all of the dtype of `means`.
    """
    axes = to_matrix(quats) * scales[:, None, :]
    rotations, translations = viewmats[:, None, :3, :3], viewmats[:, None, :3, 3]
    x, y, z = ((rotations @ means[:, :, None])[..., 0] + translations).unbind(-1)
    near_enough = (z >= near_plane) & (z <= far_plane)
    z_safe = torch.where(near_enough, z, 1)
    fx, fy, cx, cy = (Ks[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    # the Jacobian is taken at a point not far outside the image
    slope_x = (x / z_safe).clamp(-cx / fx - margin_x, (width - cx) / fx + margin_x)
    slope_y = (y / z_safe).clamp(-cy / fy - margin_y, (height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack(
        [fx / z_safe, zero, -fx / z_safe * slope_x, zero, fy / z_safe, -fy / z_safe * slope_y], dim=-1
    ).unflatten(-1, (2, 3))
    spread = jacobian @ rotations @ axes
    cov = spread @ spread.transpose(-1, -2) + eps2d * torch.eye(2, dtype=means.dtype, device=means.device)
    xx, xy, yy = cov[..., 0, 0], cov[..., 0, 1], cov[..., 1, 1]
    det = xx * yy - xy * xy
    means2d = torch.stack([fx * x / z_safe + cx, fy * y / z_safe + cy], dim=-1)

    with torch.no_grad():
        middle = (xx + yy) / 2
        radii = torch.ceil(3 * torch.sqrt(middle + torch.sqrt((middle * middle - det).clamp(min=0.01))))
        u, v = means2d.unbind(-1)
        touches = (u + radii > 0) & (u - radii < width) & (v + radii > 0) & (v - radii < height)
        visible = near_enough & (det > 0) & touches
        radii = torch.where(visible, radii.clamp(max=1e9), 0).int()
    means2d = torch.where(visible[..., None], means2d, 0)
    cov2d = torch.where(visible[..., None], torch.stack([xx, xy, yy], dim=-1), 0)
    return means2d, cov2d, torch.where(visible, z, 0), radii


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
    """Blend projected Gaussians into pictures; arguments and results are those of the CPU backend's `blend`."""
    if absgrad:
        means2d.absgrad = torch.zeros_like(means2d)  # type: ignore[attr-defined]
    pictures, alphas = [], []
    for camera in range(len(means2d)):
        picture = means2d.new_zeros(height, width, colors.shape[-1])
        alpha = means2d.new_zeros(height, width, 1)
        for rows, columns, members, weights in tile_weights(
            means2d, cov2d, depths, radii, opacities, width, height, camera, absgrad
        ):
            coverage = weights.sum(dim=0)[:, None]
            seen = weights.T @ colors[camera, members] + (1 - coverage) * backgrounds[camera]
            shape = (rows.stop - rows.start, columns.stop - columns.start, -1)
            picture[rows, columns] = seen.reshape(shape)
            alpha[rows, columns] = coverage.reshape(shape)
        pictures.append(picture)
        alphas.append(alpha)
    return torch.stack(pictures), torch.stack(alphas)


def tile_weights(
    means2d: Tensor,
    cov2d: Tensor,
    depths: Tensor,
    radii: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
    camera: int = 0,
    absgrad: bool = False,
):
    """Yield for each tile its rows and columns of pixels (slices), its members [M] and their weights [M, pixels].

    The members are the Gaussians whose box of the radius overlaps the tile, near to far.
    """
    mean, cov, radius = means2d[camera], cov2d[camera], radii[camera]
    order = torch.argsort(depths[camera], stable=True)
    order = order[radius[order] > 0]
    centre, reach = mean.detach()[order] / TILE_SIZE, radius[order, None] / TILE_SIZE
    first, last = torch.floor(centre - reach), torch.ceil(centre + reach)
    for top in range(0, height, TILE_SIZE):
        for left in range(0, width, TILE_SIZE):
            tile = torch.tensor([left, top], device=mean.device) // TILE_SIZE
            members = order[((first <= tile) & (tile < last)).all(dim=1)]
            rows, columns = slice(top, min(top + TILE_SIZE, height)), slice(left, min(left + TILE_SIZE, width))
            y, x = torch.meshgrid(
                torch.arange(rows.start, rows.stop, dtype=mean.dtype, device=mean.device) + 0.5,
                torch.arange(columns.start, columns.stop, dtype=mean.dtype, device=mean.device) + 0.5,
                indexing="ij",
            )
            pixels = torch.stack([x, y], dim=-1).reshape(-1, 2)
            offset = mean[members, None] - pixels
            if absgrad and offset.requires_grad:
                offset.register_hook(lambda grad, members=members: _add_absolute(means2d, camera, members, grad))
            weights = _weights(offset, cov[members, None], opacities[camera, members, None])
            yield rows, columns, members, weights


def _weights(offset: Tensor, cov: Tensor, opacity: Tensor) -> Tensor:
    """Blending weights [M, pixels], near to far, of offsets [M, pixels, 2], cov [M, 1, 3] and opacity [M, 1]."""
    xx, xy, yy = cov.unbind(-1)
    dx, dy = offset.unbind(-1)
    sigma = (0.5 * (yy * dx * dx + xx * dy * dy) - xy * dx * dy) / (xx * yy - xy * xy)
    alpha = (opacity * torch.exp(-sigma)).clamp(max=MAX_ALPHA)
    alpha = torch.where((sigma >= 0) & (alpha >= MIN_ALPHA), alpha, 0)
    after = torch.cumprod(1 - alpha, dim=0)
    # the pixel is done before the Gaussian that would make it opaque; the product only falls, so it stays done
    alpha = torch.where(after > MIN_TRANSMITTANCE, alpha, 0)
    before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
    return alpha * before


def _add_absolute(means2d: Tensor, camera: int, members: Tensor, grad: Tensor) -> None:
    means2d.absgrad[camera].index_add_(0, members, grad.abs().sum(dim=1))  # type: ignore[attr-defined]


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
    """Blending weights of the first camera in CSR form: indptr, indices, weights and shape; see `contributions`."""
    projected = project(means, quats, scales, viewmats, Ks, width, height, near_plane, far_plane, eps2d)
    pixel_lists, member_lists, weight_lists = [], [], []
    numbers = torch.arange(width * height, device=means.device).reshape(height, width)
    for rows, columns, members, weights in tile_weights(*projected, opacities[None], width, height):
        pixel, member = torch.nonzero(weights.T, as_tuple=True)
        pixel_lists.append(numbers[rows, columns].reshape(-1)[pixel])
        member_lists.append(members[member])
        weight_lists.append(weights[member, pixel])
    pixels, order = torch.sort(torch.cat(pixel_lists), stable=True)
    counts = torch.bincount(pixels, minlength=width * height)
    indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return indptr, torch.cat(member_lists)[order], torch.cat(weight_lists)[order], (width * height, len(means))
