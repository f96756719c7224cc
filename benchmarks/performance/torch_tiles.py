"""What the kernels are measured against: a renderer in plain torch, tile by tile, made as fast as that goes.

Like `trase_ns.render.reference` it treats all pixels and Gaussians of a tile at once. That one is written to be read:
here the Gaussians are sorted into the tiles once, and what all tiles need is gathered in one go, so that autograd does
not fill a gradient of all Gaussians for every tile.
"""

from __future__ import annotations

import torch
from torch import Tensor

from trase_ns.render.reference import TILE_SIZE, _weights, project


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor]:
    """Render a picture [H, W, D] and its alpha [H, W, 1]; differentiable.

    Args:
        means, quats, scales, opacities, colors: as in `trase_ns.render.rasterize`.
        viewmat, K: [4, 4] and [3, 3] of one camera.
        width, height: image size in pixels.
    """
    projected = project(means, quats, scales, viewmat[None], K[None], width, height, 0.01, 1e10, 0.3)
    means2d, cov2d, depths, radii = (tensor[0] for tensor in projected)
    members, counts = _tile_lists(means2d, depths, radii, width, height)
    records = torch.cat([means2d, cov2d, opacities[:, None], colors], dim=1)[members]
    columns, rows = -(-width // TILE_SIZE), -(-height // TILE_SIZE)
    y, x = torch.meshgrid(torch.arange(TILE_SIZE) + 0.5, torch.arange(TILE_SIZE) + 0.5, indexing="ij")
    centres = torch.stack([x, y], dim=-1).reshape(-1, 2)
    tiles = []
    for tile, record in enumerate(records.split(counts.tolist())):
        pixels = centres + torch.tensor([tile % columns, tile // columns]) * TILE_SIZE
        weights = _weights(record[:, None, :2] - pixels, record[:, None, 2:5], record[:, None, 5])
        tiles.append(torch.cat([weights.T @ record[:, 6:], weights.sum(dim=0)[:, None]], dim=1))
    seen = torch.stack(tiles).reshape(rows, columns, TILE_SIZE, TILE_SIZE, -1).transpose(1, 2)
    seen = seen.reshape(rows * TILE_SIZE, columns * TILE_SIZE, -1)[:height, :width]
    return seen[..., :-1], seen[..., -1:]


@torch.no_grad()
def _tile_lists(means2d: Tensor, depths: Tensor, radii: Tensor, width: int, height: int) -> tuple[Tensor, Tensor]:
    """Return the Gaussians of all tiles, end to end and near to far within each, and how many each tile has."""
    columns, rows = -(-width // TILE_SIZE), -(-height // TILE_SIZE)
    order = torch.argsort(depths, stable=True)
    order = order[radii[order] > 0]
    centre, reach = means2d[order] / TILE_SIZE, radii[order, None] / TILE_SIZE
    first = torch.floor(centre - reach).long().clamp(min=0)
    last = torch.minimum(torch.ceil(centre + reach).long(), torch.tensor([columns, rows]))
    size = (last - first).clamp(min=0)
    counts = size.prod(dim=1)
    member = torch.repeat_interleave(counts)
    place = torch.arange(len(member)) - (counts.cumsum(0) - counts)[member]
    x, y = first[member, 0] + place % size[member, 0], first[member, 1] + place // size[member, 0]
    tile, by_tile = torch.sort(y * columns + x, stable=True)
    return order[member[by_tile]], torch.bincount(tile, minlength=columns * rows)
