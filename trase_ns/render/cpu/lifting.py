"""Pictures lifted onto the Gaussians, W transposed times the picture, without W in memory: the kernels."""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trase_ns.render.cpu.blending import _add_color_gradients, _first_lanes, _lists_of_blocks, _tile_at, _weigh
from trase_ns.render.cpu.tiles import BLOCK, TILE, pixels_inside
from trase_ns.render.cpu.vectors import LANES, load, load_where, store, store_where


@njit(cache=True, nogil=True)
def _load_pixels(flat, width, depth, wide, x, y, inside, pixels):
    """Copy the values of a block's pixels and a one after them, pixels [16, wide]; zero outside the picture."""
    for lane in range(LANES):
        at = np.int64((y + lane // BLOCK) * width + x + lane % BLOCK) * depth
        within = (inside >> lane) & 1
        for c in range(0, wide, LANES):
            some = _first_lanes((depth - c) * within)
            store(pixels, lane * wide + c, load_where(flat, at + c, some))
        pixels[lane * wide + depth] = within


@njit(parallel=True, cache=True, nogil=True)
def lift(records, starts, members, picture, pair_sums):
    """Fill pair_sums [pairs, D + 1]: the sums of weight times value, and of weight, over a (tile, Gaussian)'s pixels.

    Args:
        records, starts, members: from `bin_gaussians`.
        picture: [H, W, D].
        pair_sums: filled; a row is written by one thread alone.
    """
    height, width, depth = picture.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    length = depth + 1
    wide = (length + LANES - 1) // LANES * LANES
    flat, rows_of_pairs = picture.reshape(-1), pair_sums.reshape(-1)
    for i in prange(columns * rows):
        tile = _tile_at(np.int64(i), columns, rows)
        x, y = tile % columns * TILE, tile // columns * TILE
        start, end = starts[tile], starts[tile + 1]
        if start == end:
            continue
        lists, counts = _lists_of_blocks(records, members, start, end, x, y, 0xFFFF)
        longest = counts.max()
        kept = np.empty(longest, np.int32)
        weights = np.empty(longest * LANES, np.float32)
        transmittances = np.empty(longest * LANES, np.float32)
        last = np.empty(LANES, np.float32)
        pixels = np.empty(LANES * wide, np.float32)
        sums = np.zeros((end - start) * wide, np.float32)
        for block in range(LANES):
            left, top = x + block % 4 * BLOCK, y + block // 4 * BLOCK
            if left >= width or top >= height or counts[block] == 0:
                continue
            inside = pixels_inside(left, top, width, height)
            n = _weigh(
                records, members, start, lists[block], counts[block], left, top, inside,
                kept, weights, transmittances, last,
            )  # fmt: skip
            for j in range(n):
                store(weights, j * LANES, load(weights, j * LANES) * load(transmittances, j * LANES))
            _load_pixels(flat, width, depth, wide, left, top, inside, pixels)
            _add_color_gradients(kept, n, weights, pixels, wide, sums, wide, 0)
        for j in range(end - start):
            for c in range(0, length, LANES):
                some = _first_lanes(length - c)
                store_where(rows_of_pairs, (start + j) * length + c, load(sums, j * wide + c), some)


@njit(parallel=True, cache=True, nogil=True)
def gather(order, firsts, places, pair_sums, lifted, total):
    """Add the rows of each Gaussian's pairs to its row of `lifted` [N, D] and to its `total` [N] weight."""
    depth = lifted.shape[1]
    for k in prange(order.shape[0]):
        for pair in range(firsts[k], firsts[k + 1]):
            row = pair_sums[places[pair]]
            for c in range(depth):
                lifted[order[k], c] += row[c]
            total[order[k]] += row[depth]
