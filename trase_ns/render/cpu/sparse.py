"""Blending weights as a sparse matrix of pixels by Gaussians, and products with it: the kernels."""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trase_ns.render.cpu.blending import _lists_of_blocks, _tile_at, _weigh
from trase_ns.render.cpu.tiles import BLOCK, TILE, pixels_inside
from trase_ns.render.cpu.vectors import LANES


@njit(cache=True, nogil=True)
def _pixels_wanted(rows, x, y, width, height):
    """Bits of the pixels of the block with its corner at (x, y) that have a row."""
    inside = pixels_inside(x, y, width, height)
    wanted = 0
    for lane in range(LANES):
        if (inside >> lane) & 1 and rows[(y + lane // BLOCK) * width + x + lane % BLOCK] >= 0:
            wanted |= 1 << lane
    return wanted


@njit(parallel=True, cache=True, nogil=True)
def fill_weights(records, starts, members, order, rows, width, height, indptr, indices, weights, count_only):
    """Count the weights of each row into indptr[row + 1], or fill indices and weights where indptr says.

    Args:
        records, starts, members: from `bin_gaussians`.
        order: [M] the Gaussians by depth.
        rows: [H * W] the row of each pixel, or -1 for a pixel that is not wanted.
        width, height: image size in pixels.
        indptr, indices, weights: the matrix; the last two are left alone when counting.
        count_only: whether to count.
    """
    columns, rows_of_tiles = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for i in prange(columns * rows_of_tiles):
        tile = _tile_at(np.int64(i), columns, rows_of_tiles)
        x, y = tile % columns * TILE, tile // columns * TILE
        start, end = starts[tile], starts[tile + 1]
        if start == end:
            continue
        pixels = np.zeros(LANES, np.int64)
        wanted = 0
        for block in range(LANES):
            left, top = x + block % 4 * BLOCK, y + block // 4 * BLOCK
            if left < width and top < height:
                pixels[block] = _pixels_wanted(rows, left, top, width, height)
                if pixels[block]:
                    wanted |= 1 << block
        if wanted == 0:
            continue
        lists, counts = _lists_of_blocks(records, members, start, end, x, y, wanted)
        longest = counts.max()
        kept = np.empty(longest, np.int32)
        alphas = np.empty(longest * LANES, np.float32)
        transmittances = np.empty(longest * LANES, np.float32)
        last = np.empty(LANES, np.float32)
        for block in range(LANES):
            if counts[block] == 0:
                continue
            left, top = x + block % 4 * BLOCK, y + block // 4 * BLOCK
            n = _weigh(
                records, members, start, lists[block], counts[block], left, top, pixels[block],
                kept, alphas, transmittances, last,
            )  # fmt: skip
            for lane in range(LANES):
                if (pixels[block] >> lane) & 1 == 0:
                    continue
                row = rows[(top + lane // BLOCK) * width + left + lane % BLOCK]
                k = 0 if count_only else indptr[row]
                for j in range(n):
                    alpha = alphas[j * LANES + lane]
                    if alpha > 0:
                        if not count_only:
                            indices[k] = order[members[start + kept[j]]]
                            weights[k] = alpha * transmittances[j * LANES + lane]
                        k += 1
                if count_only:
                    indptr[row + 1] = k


@njit(parallel=True, cache=True, nogil=True, fastmath={"contract", "nsz"})
def multiply(indptr, indices, weights, values, result):
    """Fill result [rows, C] = W values, with W in CSR form and values [columns, C]."""
    channels = values.shape[1]
    for row in prange(indptr.shape[0] - 1):
        for c in range(channels):
            result[row, c] = 0
        for k in range(indptr[row], indptr[row + 1]):
            weight, column = weights[k], indices[k]
            for c in range(channels):
                result[row, c] += weight * values[column, c]


@njit(cache=True, nogil=True)
def transpose(indptr, indices, weights, columns):
    """Return indptr, indices and weights of the transposed matrix, which has `columns` rows; by counting sort."""
    new_indptr = np.zeros(columns + 1, np.int64)
    for k in range(indices.shape[0]):
        new_indptr[indices[k] + 1] += 1
    new_indptr = np.cumsum(new_indptr)
    ends = new_indptr.copy()
    new_indices = np.empty_like(indices)
    new_weights = np.empty_like(weights)
    for row in range(indptr.shape[0] - 1):
        for k in range(indptr[row], indptr[row + 1]):
            place = ends[indices[k]]
            ends[indices[k]] += 1
            new_indices[place] = row
            new_weights[place] = weights[k]
    return new_indptr, new_indices, new_weights
