"""Pixels from the Gaussians of each tile, front to back, and the gradients: the kernels."""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

import numpy as np
from numba import njit, prange

from trase_ns.render.cpu.tiles import (
    AHEAD,
    BLOCK,
    COLUMNS,
    MEAN_X,
    MEAN_Y,
    MIN_ALPHA,
    OPACITY,
    RECORD,
    ROOT_XX,
    ROOT_XY,
    ROOT_YY,
    ROWS,
    TILE,
    blocks_reached,
    pixels_inside,
)
from trase_ns.render.cpu.vectors import (
    LANES,
    absolute,
    add_sums,
    bits_of,
    broadcast,
    exp_minus_half,
    load,
    load_where,
    lowest_bit,
    mask_of,
    minimum,
    prefetch,
    select,
    splat,
    store,
    store_where,
    transpose,
)

MAX_ALPHA = 0.999
MIN_TRANSMITTANCE = 1e-4
GEOMETRY = 8  # sums for the mean, the root, the opacity and the absolute gradient
CHANNELS = 4  # colours are padded to a multiple of this


@njit(inline="always")
def _first_lanes(count):
    """The mask of the first lanes; none for a negative count, all for a large one."""
    return mask_of(np.int64((1 << min(max(count, 0), LANES)) - 1))


@njit(inline="always")
def _tile_at(i, columns, rows):
    """A permutation of the tiles: neighbours in a row of tiles, which share Gaussians, stay together.

    The rows, of which neighbours are often equally full, are dealt out, so that each thread gets some of all kinds.
    """
    row, column = i // columns, i % columns
    first = (rows + 1) // 2  # the even ones
    row = 2 * row if row < first else 2 * (row - first) + 1
    return row * columns + column


@njit(cache=True, nogil=True)
def _lists_of_blocks(records, members, start, end, x, y, wanted):
    """For each of a tile's 16 blocks the members (counted from `start`) that show in it, and how many they are.

    `wanted` has the bits of the blocks that matter.
    """
    lists = np.empty((LANES, end - start), np.int32)
    counts = np.zeros(LANES, np.int64)
    for i in range(start, end):
        if i + AHEAD < end:
            prefetch(records, np.int64(members[i + AHEAD]) * RECORD)
        bits = blocks_reached(records, np.int64(members[i]) * RECORD, x, y) & wanted
        while bits:
            block = lowest_bit(bits)
            bits &= bits - 1
            lists[block, counts[block]] = i - start
            counts[block] += 1
    return lists, counts


@njit(cache=True, nogil=True)
def _fetch_colors(colors, channels, members, start, end):
    """Ask for the colours of a tile's Gaussians, which are all over memory, before they are needed."""
    for i in range(start, end):
        for c in range(0, channels, LANES):
            prefetch(colors, np.int64(members[i]) * channels + c)


@njit(cache=True, nogil=True)
def _weigh(records, members, start, listed, count, x, y, inside, kept, alphas, transmittances, last):
    """Walk through a block's Gaussians front to back.

    Writes, for each Gaussian that shows in a pixel of the block, its place in the tile into `kept`, its alpha (0
    where it does not show) and the transmittance before it, [count, 16] each; and the final transmittance into
    `last`. Returns how many were kept.
    """
    columns = load(COLUMNS, 0) + splat(np.float32(x))
    rows = load(ROWS, 0) + splat(np.float32(y))
    one, zero = splat(np.float32(1.0)), splat(np.float32(0.0))
    alive = mask_of(np.int64(inside))
    transmittance = one
    n = 0
    for i in range(count):
        member = np.int64(listed[i])
        at = np.int64(members[start + member]) * RECORD
        dx = columns - broadcast(records, at + MEAN_X)
        dy = rows - broadcast(records, at + MEAN_Y)
        u = broadcast(records, at + ROOT_XX) * dx + broadcast(records, at + ROOT_XY) * dy
        v = broadcast(records, at + ROOT_YY) * dy
        alpha = broadcast(records, at + OPACITY) * exp_minus_half(u * u + v * v)
        shows = alive & (splat(np.float32(MIN_ALPHA)) <= alpha)
        if bits_of(shows) == 0:
            continue
        alpha = minimum(alpha, splat(np.float32(MAX_ALPHA)))
        after = transmittance * (one - alpha)
        ends = shows & (after <= splat(np.float32(MIN_TRANSMITTANCE)))
        alive = alive ^ ends
        shows = shows ^ ends
        kept[n] = member
        store(alphas, n * LANES, select(shows, alpha, zero))
        store(transmittances, n * LANES, transmittance)
        n += 1
        transmittance = select(shows, after, transmittance)
        if bits_of(alive) == 0:
            break
    store(last, 0, transmittance)
    return n


@njit(cache=True, nogil=True)
def _accumulate(colors, channels, members, start, kept, n, alphas, transmittances, out):
    """Write the sum over the kept Gaussians of weight times colour, for each channel and lane, into `out`."""
    for i in range(n):
        store(alphas, i * LANES, load(alphas, i * LANES) * load(transmittances, i * LANES))
    zero = splat(np.float32(0.0))
    c = 0
    while c + 2 * CHANNELS <= channels:
        s0, s1, s2, s3, s4, s5, s6, s7 = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(n):
            weight = load(alphas, i * LANES)
            at = np.int64(members[start + kept[i]]) * channels + c
            s0 = s0 + weight * broadcast(colors, at)
            s1 = s1 + weight * broadcast(colors, at + 1)
            s2 = s2 + weight * broadcast(colors, at + 2)
            s3 = s3 + weight * broadcast(colors, at + 3)
            s4 = s4 + weight * broadcast(colors, at + 4)
            s5 = s5 + weight * broadcast(colors, at + 5)
            s6 = s6 + weight * broadcast(colors, at + 6)
            s7 = s7 + weight * broadcast(colors, at + 7)
        store(out, c * LANES, s0)
        store(out, (c + 1) * LANES, s1)
        store(out, (c + 2) * LANES, s2)
        store(out, (c + 3) * LANES, s3)
        store(out, (c + 4) * LANES, s4)
        store(out, (c + 5) * LANES, s5)
        store(out, (c + 6) * LANES, s6)
        store(out, (c + 7) * LANES, s7)
        c += 2 * CHANNELS
    if c < channels:
        s0, s1, s2, s3 = zero, zero, zero, zero
        for i in range(n):
            weight = load(alphas, i * LANES)
            at = np.int64(members[start + kept[i]]) * channels + c
            s0 = s0 + weight * broadcast(colors, at)
            s1 = s1 + weight * broadcast(colors, at + 1)
            s2 = s2 + weight * broadcast(colors, at + 2)
            s3 = s3 + weight * broadcast(colors, at + 3)
        store(out, c * LANES, s0)
        store(out, (c + 1) * LANES, s1)
        store(out, (c + 2) * LANES, s2)
        store(out, (c + 3) * LANES, s3)


@njit(parallel=True, cache=True, nogil=True)
def blend(records, starts, members, colors, channels, background, image, clear):
    """Fill image [H, W, D] and clear [H, W], the final transmittance.

    Args:
        records, starts, members: from `bin_gaussians`.
        colors: [M * channels] of the visible Gaussians in the order of depth, padded with zeros.
        channels: a multiple of CHANNELS, D or a little more.
        background: [D].
        image, clear: filled.
    """
    height, width, depth = image.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    wide = (depth + LANES - 1) // LANES * LANES
    flat, seen = image.reshape(-1), clear.reshape(-1)
    for i in prange(columns * rows):
        tile = _tile_at(np.int64(i), columns, rows)
        x, y = tile % columns * TILE, tile // columns * TILE
        start, end = starts[tile], starts[tile + 1]
        _fetch_colors(colors, channels, members, start, end)
        lists, counts = _lists_of_blocks(records, members, start, end, x, y, 0xFFFF)
        longest = counts.max()
        kept = np.empty(longest, np.int32)
        alphas = np.empty(longest * LANES, np.float32)
        transmittances = np.empty(longest * LANES, np.float32)
        last = np.empty(LANES, np.float32)
        lanes = np.empty(wide * LANES, np.float32)
        pixels = np.empty(LANES * wide, np.float32)
        for block in range(LANES):
            left, top = x + block % 4 * BLOCK, y + block // 4 * BLOCK
            if left >= width or top >= height:
                continue
            inside = pixels_inside(left, top, width, height)
            n = _weigh(
                records, members, start, lists[block], counts[block], left, top, inside,
                kept, alphas, transmittances, last,
            )  # fmt: skip
            _accumulate(colors, channels, members, start, kept, n, alphas, transmittances, lanes)
            for c in range(0, wide, LANES):
                transpose(lanes, c * LANES, LANES, pixels, c, wide)
            for lane in range(LANES):
                if (inside >> lane) & 1:
                    pixel = np.int64((top + lane // BLOCK) * width + left + lane % BLOCK)
                    seen[pixel] = last[lane]
                    through = splat(last[lane])
                    for c in range(0, wide, LANES):
                        some = _first_lanes(depth - c)
                        color = load(pixels, lane * wide + c) + through * load_where(background, c, some)
                        store_where(flat, pixel * depth + c, color, some)


@njit(cache=True, nogil=True)
def _load_gradients(v_image, v_alpha, width, depth, background, wide, x, y, inside, v_lanes, v_pixels, behind):
    """Copy the gradients of a block's pixels: v_pixels [16, wide] and v_lanes [wide, 16], zero outside the image.

    `behind` [16] becomes the gradient with respect to the final transmittance.
    """
    for lane in range(LANES):
        is_inside = (inside >> lane) & 1
        pixel = np.int64((y + lane // BLOCK) * width + x + lane % BLOCK) if is_inside else 0
        behind[lane] = -v_alpha[pixel] if is_inside else 0
        for c in range(0, wide, LANES):
            some = _first_lanes(depth - c if is_inside else 0)
            store(v_pixels, lane * wide + c, load_where(v_image, pixel * depth + c, some))
    for c in range(0, wide, LANES):
        transpose(v_pixels, c, wide, v_lanes, c * LANES, LANES)
    total = load(behind, 0)
    for c in range(depth):
        total = total + load(v_lanes, c * LANES) * broadcast(background, c)
    store(behind, 0, total)


@njit(cache=True, nogil=True)
def _sweep_back(
    records,
    colors,
    channels,
    members,
    start,
    kept,
    n,
    x,
    y,
    alphas,
    transmittances,
    last,
    v_lanes,
    behind,
    sums,
    stride,
):
    """Walk through a block's Gaussians back to front and add the sums for their geometry to `sums`.

    With w = L (pixel - mean) and s = alpha dLoss/dalpha the sums are of s wx^2, s wx wy, s wy^2, s wx, s wy, s, and
    of the absolute values of s L^T w. Leaves the weights in `alphas`.
    """
    columns = load(COLUMNS, 0) + splat(np.float32(x))
    rows = load(ROWS, 0) + splat(np.float32(y))
    one, zero = splat(np.float32(1.0)), splat(np.float32(0.0))
    after = load(last, 0) * load(behind, 0)
    for k in range(n):
        i = n - 1 - k
        member = np.int64(kept[i])
        rank = np.int64(members[start + member])
        q0, q1, q2, q3 = zero, zero, zero, zero
        at = rank * channels
        for c in range(0, channels, CHANNELS):
            q0 = q0 + broadcast(colors, at + c) * load(v_lanes, c * LANES)
            q1 = q1 + broadcast(colors, at + c + 1) * load(v_lanes, (c + 1) * LANES)
            q2 = q2 + broadcast(colors, at + c + 2) * load(v_lanes, (c + 2) * LANES)
            q3 = q3 + broadcast(colors, at + c + 3) * load(v_lanes, (c + 3) * LANES)
        q = (q0 + q1) + (q2 + q3)
        alpha, transmittance = load(alphas, i * LANES), load(transmittances, i * LANES)
        weight = alpha * transmittance
        store(alphas, i * LANES, weight)
        v_alpha = transmittance * q - after / (one - alpha)
        after = after + weight * q
        s = select(alpha < splat(np.float32(MAX_ALPHA)), alpha * v_alpha, zero)
        at = rank * RECORD
        xx, xy, yy = (
            broadcast(records, at + ROOT_XX),
            broadcast(records, at + ROOT_XY),
            broadcast(records, at + ROOT_YY),
        )
        dx = columns - broadcast(records, at + MEAN_X)
        dy = rows - broadcast(records, at + MEAN_Y)
        u = xx * dx + xy * dy
        v = yy * dy
        su, sv = s * u, s * v
        add_sums(
            sums, member * stride, su * u, su * v, sv * v, su, sv, s, absolute(xx * su), absolute(xy * su + yy * sv)
        )


@njit(cache=True, nogil=True)
def _add_color_gradients(kept, n, weights, v_pixels, wide, sums, stride, offset):
    """Add the sum over the lanes of weight times gradient, for each channel, to the Gaussians' rows of `sums`.

    A row has `stride` numbers; its channels begin at `offset`.
    """
    for c in range(0, wide, LANES):
        # the gradients of all sixteen pixels stay in registers
        v0, v1 = load(v_pixels, c), load(v_pixels, wide + c)
        v2, v3 = load(v_pixels, 2 * wide + c), load(v_pixels, 3 * wide + c)
        v4, v5 = load(v_pixels, 4 * wide + c), load(v_pixels, 5 * wide + c)
        v6, v7 = load(v_pixels, 6 * wide + c), load(v_pixels, 7 * wide + c)
        v8, v9 = load(v_pixels, 8 * wide + c), load(v_pixels, 9 * wide + c)
        v10, v11 = load(v_pixels, 10 * wide + c), load(v_pixels, 11 * wide + c)
        v12, v13 = load(v_pixels, 12 * wide + c), load(v_pixels, 13 * wide + c)
        v14, v15 = load(v_pixels, 14 * wide + c), load(v_pixels, 15 * wide + c)
        for i in range(n):
            at = np.int64(kept[i]) * stride + offset + c
            w = i * LANES
            s0 = broadcast(weights, w) * v0 + broadcast(weights, w + 1) * v1
            s1 = broadcast(weights, w + 2) * v2 + broadcast(weights, w + 3) * v3
            s2 = broadcast(weights, w + 4) * v4 + broadcast(weights, w + 5) * v5
            s3 = broadcast(weights, w + 6) * v6 + broadcast(weights, w + 7) * v7
            s0 = s0 + broadcast(weights, w + 8) * v8 + broadcast(weights, w + 9) * v9
            s1 = s1 + broadcast(weights, w + 10) * v10 + broadcast(weights, w + 11) * v11
            s2 = s2 + broadcast(weights, w + 12) * v12 + broadcast(weights, w + 13) * v13
            s3 = s3 + broadcast(weights, w + 14) * v14 + broadcast(weights, w + 15) * v15
            store(sums, at, load(sums, at) + ((s0 + s1) + (s2 + s3)))


@njit(parallel=True, cache=True, nogil=True)
def blend_backward(records, starts, members, colors, channels, background, v_image, v_alpha, pair_sums):
    """Fill pair_sums [pairs, GEOMETRY + D]: the sums of each (tile, Gaussian), see `_sweep_back`.

    One row is written by one thread alone, so the result does not depend on the number of threads.
    """
    height, width, depth = v_image.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    wide = (depth + LANES - 1) // LANES * LANES
    stride, length = GEOMETRY + wide, GEOMETRY + depth
    v_flat, v_seen, rows_of_pairs = v_image.reshape(-1), v_alpha.reshape(-1), pair_sums.reshape(-1)
    for i in prange(columns * rows):
        tile = _tile_at(np.int64(i), columns, rows)
        x, y = tile % columns * TILE, tile // columns * TILE
        start, end = starts[tile], starts[tile + 1]
        if start == end:
            continue
        _fetch_colors(colors, channels, members, start, end)
        lists, counts = _lists_of_blocks(records, members, start, end, x, y, 0xFFFF)
        longest = counts.max()
        kept = np.empty(longest, np.int32)
        alphas = np.empty(longest * LANES, np.float32)
        transmittances = np.empty(longest * LANES, np.float32)
        last = np.empty(LANES, np.float32)
        v_lanes = np.empty(wide * LANES, np.float32)
        v_pixels = np.empty(LANES * wide, np.float32)
        behind = np.empty(LANES, np.float32)
        sums = np.zeros((end - start) * stride, np.float32)
        for block in range(LANES):
            left, top = x + block % 4 * BLOCK, y + block // 4 * BLOCK
            if left >= width or top >= height or counts[block] == 0:
                continue
            inside = pixels_inside(left, top, width, height)
            n = _weigh(
                records, members, start, lists[block], counts[block], left, top, inside,
                kept, alphas, transmittances, last,
            )  # fmt: skip
            _load_gradients(
                v_flat, v_seen, width, depth, background, wide, left, top, inside, v_lanes, v_pixels, behind
            )
            _sweep_back(
                records, colors, channels, members, start, kept, n, left, top,
                alphas, transmittances, last, v_lanes, behind, sums, stride,
            )  # fmt: skip
            _add_color_gradients(kept, n, alphas, v_pixels, wide, sums, stride, GEOMETRY)
        for j in range(end - start):
            for c in range(0, length, LANES):
                some = _first_lanes(length - c)
                store_where(rows_of_pairs, (start + j) * length + c, load_where(sums, j * stride + c, some), some)


@njit(parallel=True, cache=True, nogil=True)
def gather_gradients(order, records, firsts, places, pair_sums, v_means2d, v_cov2d, v_opacities, v_colors, v_absolute):
    """Sum the rows of each Gaussian's pairs and fill the gradients, for one camera.

    With G the sum of s w w^T and g that of s w: the mean gets L^T g, and the covariance L^T G L / 2.
    """
    depth = v_colors.shape[1]
    for k in prange(order.shape[0]):
        if firsts[k] == firsts[k + 1]:
            continue
        i = order[k]
        uu, uv, vv, u, v, s, ax, ay = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for pair in range(firsts[k], firsts[k + 1]):
            row = pair_sums[places[pair]]
            uu += row[0]
            uv += row[1]
            vv += row[2]
            u += row[3]
            v += row[4]
            s += row[5]
            ax += row[6]
            ay += row[7]
            for c in range(depth):
                v_colors[i, c] += row[GEOMETRY + c]
        at = np.int64(k) * RECORD
        xx = np.float64(records[at + ROOT_XX])
        xy = np.float64(records[at + ROOT_XY])
        yy = np.float64(records[at + ROOT_YY])
        v_means2d[i, 0] = xx * u
        v_means2d[i, 1] = xy * u + yy * v
        v_absolute[i, 0] = ax
        v_absolute[i, 1] = ay
        v_opacities[i] = s / records[at + OPACITY]
        v_cov2d[i, 0] = 0.5 * xx * xx * uu
        v_cov2d[i, 1] = xx * (xy * uu + yy * uv)
        v_cov2d[i, 2] = 0.5 * (xy * xy * uu + 2 * xy * yy * uv + yy * yy * vv)
