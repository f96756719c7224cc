"""Which Gaussians each tile of 16 x 16 pixels sees, front to back: the kernels.

A visible Gaussian becomes a record of `RECORD` floats, in the order of depth. With L the upper triangular root of
the inverse covariance, the exponent at a pixel is -|L (pixel - mean)|^2 / 2: unlike the quadratic form itself it does
not cancel in float32, however thin the Gaussian is.
"""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trase_ns.render.cpu.vectors import (
    bits_of,
    broadcast,
    load,
    maximum,
    minimum,
    prefetch,
    splat,
)

TILE = 16
BLOCK = 4  # a tile is 4 x 4 blocks of 4 x 4 pixels; a block is one vector
MIN_ALPHA = 1 / 255
PARTS = 8  # of the ranks, that are sorted into tiles at once
AHEAD = 12  # Gaussians that memory is asked for ahead of their use
# Places in a record: the mean, the root L, the opacity, the largest |L d|^2 that still shows, and the slopes of the
# lines on which |L d|^2 is least for a given dy, or a given dx.
RECORD = 16
MEAN_X, MEAN_Y, ROOT_XX, ROOT_XY, ROOT_YY, OPACITY, REACH, SLOPE_X, SLOPE_Y = range(9)
# Lane i is column i % 4 and row i // 4: of the pixels in a block (centres), or of the blocks in a tile (first centres).
COLUMNS = (np.arange(16) % 4 + 0.5).astype(np.float32)
ROWS = (np.arange(16) // 4 + 0.5).astype(np.float32)
BLOCK_COLUMNS = (np.arange(16) % 4 * 4 + 0.5).astype(np.float32)
BLOCK_ROWS = (np.arange(16) // 4 * 4 + 0.5).astype(np.float32)


@njit(cache=True, nogil=True)
def depth_order(depths, radii):
    """Indices of the visible Gaussians, near to far, ties by index: a radix sort of the floats' bits."""
    count = 0
    for i in range(radii.shape[0]):
        count += radii[i] > 0
    order = np.empty(count, np.int32)
    spare = np.empty(count, np.int32)
    k = 0
    for i in range(radii.shape[0]):
        if radii[i] > 0:
            order[k] = i
            k += 1
    bits = depths.view(np.uint32)
    for shift in (0, 11, 22):
        starts = np.zeros(2049, np.int64)
        for i in range(count):
            starts[((bits[order[i]] >> np.uint32(shift)) & np.uint32(2047)) + 1] += 1
        starts = np.cumsum(starts)
        for i in range(count):
            digit = (bits[order[i]] >> np.uint32(shift)) & np.uint32(2047)
            spare[starts[digit]] = order[i]
            starts[digit] += 1
        order, spare = spare, order
    return order


@njit(inline="always")
def _tile_range(mean, extent, radius, size, tiles):
    """First and last + 1 tile along an axis: those that gsplat's radius reaches, less those where nothing shows."""
    first = max(np.floor((mean - radius) / TILE), np.floor((mean - extent) / TILE), 0.0)
    last = min(np.ceil((mean + radius) / TILE), np.floor((mean + extent) / TILE) + 1, float(tiles))
    return int(first), max(int(first), int(last))


@njit(parallel=True, cache=True, nogil=True)
def _describe(order, means2d, cov2d, radii, opacities, width, height, records, boxes):
    """Fill the records [M * RECORD] and the boxes of tiles [M, 4] (first and last + 1 column, then row)."""
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for k in prange(order.shape[0]):
        if k + AHEAD < order.shape[0]:
            prefetch(means2d, 2 * np.int64(order[k + AHEAD]))
            prefetch(cov2d, 3 * np.int64(order[k + AHEAD]))
        i = order[k]
        opacity = opacities[i]
        record = records[k * RECORD : (k + 1) * RECORD]
        if not opacity >= MIN_ALPHA * (1 - 1e-6):
            record[:] = 0
            boxes[k, :] = 0
            continue
        xx, xy, yy = cov2d[i, 0], cov2d[i, 1], cov2d[i, 2]
        det = xx * yy - xy * xy
        # a little too far rather than too near: alpha itself decides at each pixel
        reach = 2 * np.log(opacity / MIN_ALPHA) * (1 + 1e-5) + 1e-4
        record[MEAN_X], record[MEAN_Y] = means2d[i, 0], means2d[i, 1]
        record[ROOT_XX], record[ROOT_XY], record[ROOT_YY] = np.sqrt(yy / det), -xy / np.sqrt(yy * det), 1 / np.sqrt(yy)
        record[OPACITY], record[REACH] = opacity, reach
        record[SLOPE_X], record[SLOPE_Y] = xy / yy, xy / xx
        x0, x1 = _tile_range(means2d[i, 0], np.sqrt(reach * xx) + 1e-3, radii[i], width, columns)
        y0, y1 = _tile_range(means2d[i, 1], np.sqrt(reach * yy) + 1e-3, radii[i], height, rows)
        boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = x0, x1, y0, y1


@njit(parallel=True, cache=True, nogil=True)
def bin_gaussians(order, means2d, cov2d, radii, opacities, width, height):
    """Sort the Gaussians into tiles.

    Args:
        order: [M] visible Gaussians, near to far.
        means2d, cov2d, radii, opacities: of all Gaussians, for one camera.
        width, height: image size in pixels.

    Returns:
        records [M * RECORD] float32; starts [tiles + 1], where each tile begins in `members`; members [pairs], the
        rank in `order` of each Gaussian of a tile, near to far; firsts [M + 1] and places [pairs], where to find the
        pairs of each rank in `members`.
    """
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    count = order.shape[0]
    records = np.empty(count * RECORD, np.float32)
    boxes = np.empty((count, 4), np.int32)
    _describe(order, means2d, cov2d, radii, opacities, width, height, records, boxes)

    # A counting sort, by parts of the ranks: each part has its own place in each tile, behind those of nearer parts.
    ends = np.zeros((PARTS, columns * rows), np.int64)
    pairs = np.zeros(PARTS + 1, np.int64)
    for part in prange(PARTS):
        total = 0
        for k in range(part * count // PARTS, (part + 1) * count // PARTS):
            total += (boxes[k, 1] - boxes[k, 0]) * (boxes[k, 3] - boxes[k, 2])
            for row in range(boxes[k, 2], boxes[k, 3]):
                for column in range(boxes[k, 0], boxes[k, 1]):
                    ends[part, row * columns + column] += 1
        pairs[part + 1] = total
    pairs = np.cumsum(pairs)
    starts = np.empty(columns * rows + 1, np.int64)
    place = 0
    for tile in range(columns * rows):
        starts[tile] = place
        for part in range(PARTS):
            here = ends[part, tile]
            ends[part, tile] = place
            place += here
    starts[columns * rows] = place

    firsts = np.empty(count + 1, np.int64)
    firsts[count] = pairs[PARTS]
    members = np.empty(pairs[PARTS], np.int32)
    places = np.empty(pairs[PARTS], np.int64)
    for part in prange(PARTS):
        pair = pairs[part]
        for k in range(part * count // PARTS, (part + 1) * count // PARTS):
            firsts[k] = pair
            for row in range(boxes[k, 2], boxes[k, 3]):
                for column in range(boxes[k, 0], boxes[k, 1]):
                    tile = row * columns + column
                    members[ends[part, tile]] = k
                    places[pair] = ends[part, tile]
                    ends[part, tile] += 1
                    pair += 1
    return records, starts, members, firsts, places


@njit(parallel=True, cache=True, nogil=True)
def sorted_rows(order, values, rows):
    """Fill rows [M, E] with values[order] [M, D] and zeros behind."""
    depth = values.shape[1]
    for k in prange(order.shape[0]):
        i = order[k]
        for c in range(depth):
            rows[k, c] = values[i, c]
        rows[k, depth:] = 0


@njit(inline="always")
def blocks_reached(records, at, x, y):
    """Bits of the blocks of the tile with its corner at pixel (x, y) where the Gaussian at records[at:] shows.

    A convex function on a rectangle is least on one of the two sides that face its minimum, or at the minimum.
    """
    zero, last = splat(np.float32(0.0)), splat(np.float32(BLOCK - 1))
    left = load(BLOCK_COLUMNS, 0) + (splat(np.float32(x)) - broadcast(records, at + MEAN_X))
    top = load(BLOCK_ROWS, 0) + (splat(np.float32(y)) - broadcast(records, at + MEAN_Y))
    right, bottom = left + last, top + last
    xx, xy, yy = broadcast(records, at + ROOT_XX), broadcast(records, at + ROOT_XY), broadcast(records, at + ROOT_YY)
    reach = broadcast(records, at + REACH)
    dy = minimum(maximum(zero, top), bottom)
    dx = minimum(maximum(broadcast(records, at + SLOPE_X) * dy, left), right)
    u, v = xx * dx + xy * dy, yy * dy
    side = u * u + v * v
    dx = minimum(maximum(zero, left), right)
    dy = minimum(maximum(broadcast(records, at + SLOPE_Y) * dx, top), bottom)
    u, v = xx * dx + xy * dy, yy * dy
    return bits_of(minimum(side, u * u + v * v) <= reach)


@njit(inline="always")
def pixels_inside(x, y, width, height):
    """Bits of the pixels of the block with its corner at (x, y) that are inside the image."""
    if x + BLOCK <= width and y + BLOCK <= height:
        return 0xFFFF
    bits = 0
    for row in range(min(BLOCK, height - y)):
        for column in range(min(BLOCK, width - x)):
            bits |= 1 << (row * BLOCK + column)
    return bits
