"""The contrastive objective between all pairs of pixels on the CPU: cosines, weights and gradients in registers.

Sixteen pixels j are a vector; four pixels i share its loads. Nothing of the size of all pairs is ever in memory.
"""

# numba gives kernels and intrinsics other signatures than the functions they are made from:
# pyright: reportCallIssue=false, reportOptionalCall=false

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import njit, prange

from trase_ns.render.cpu import vectors
from trase_ns.render.cpu.runtime import forget_stale_kernels
from trase_ns.render.cpu.vectors import LANES, bits_of, broadcast, load, mask_of, select, splat, store

forget_stale_kernels(Path(__file__).parent, Path(vectors.__file__))

ROWS = 4  # pixels i that are worked on at once
MINING = ("soft", "hard", "none")
_ALL = (1 << LANES) - 1


@njit(inline="always")
def _fill_cosines(features, columns, depth, padded, i, j, cosines):
    """Write the cosines of pixels i ... i + 3 and j ... j + 15 into `cosines` [4, 16]."""
    zero = splat(np.float32(0.0))
    s0, s1, s2, s3 = zero, zero, zero, zero
    at = i * depth
    for c in range(depth):
        column = load(columns, c * padded + j)
        s0 = s0 + broadcast(features, at + c) * column
        s1 = s1 + broadcast(features, at + depth + c) * column
        s2 = s2 + broadcast(features, at + 2 * depth + c) * column
        s3 = s3 + broadcast(features, at + 3 * depth + c) * column
    store(cosines, 0, s0)
    store(cosines, LANES, s1)
    store(cosines, 2 * LANES, s2)
    store(cosines, 3 * LANES, s3)


@njit(inline="always")
def _later(i, j):
    """Bits of the pixels j ... j + 15 that come after i."""
    return (_ALL << min(max(i - j + 1, 0), LANES)) & _ALL


@njit(parallel=True, cache=True, nogil=True)
def survey(
    features, columns, patterns, near, far, smallness, offset, slope, tau_p, tau_n, mining, astray, sums, mined
):  # pragma: no cover - compiled
    """Look at all pairs once.

    Args:
        features, columns: [P, F] and [F, P] float32, directions of the pixels; P is a multiple of 16, and what it is
            padded with are zeros, as everywhere here.
        patterns: [P] the row of `near` and `far` that belongs to each pixel.
        near, far: [K, P / 16] int64, 16 bits each: with which pixels a pixel forms positive, and negative pairs.
        smallness: [P] float32; W_ij = offset + slope a_i a_j.
        offset, slope, tau_p, tau_n: float32.
        mining: place in MINING.
        astray: [2, P] bool, filled: whether any positive pair is below tau_p, any negative one above tau_n.
        sums: [2, P] float64, filled: for each i the sum over j > i of W_ij times cosine, of positive pairs and of
            negative ones with a cosine above 0; if mining is hard, of mined pairs.
        mined: [2, P] int64, filled if mining is hard: the number of mined pairs j > i.
    """
    padded, depth = features.shape
    zero = splat(np.float32(0.0))
    for block in prange(padded // ROWS):
        i = np.int64(block * ROWS)
        cosines = np.empty(ROWS * LANES, np.float32)
        totals = np.zeros(2 * ROWS * LANES, np.float32)
        for j in range(0, padded, LANES):
            _fill_cosines(features, columns, depth, padded, i, j, cosines)
            small = load(smallness, j)
            for r in range(ROWS):
                cosine = load(cosines, r * LANES)
                positive, negative = near[patterns[i + r], j // LANES], far[patterns[i + r], j // LANES]
                low = bits_of(mask_of(positive) & (cosine < splat(tau_p)))
                high = bits_of(mask_of(negative) & (splat(tau_n) < cosine))
                if low:
                    astray[0, i + r] = True
                if high:
                    astray[1, i + r] = True
                later = _later(i + r, j)
                if later == 0:
                    continue
                if mining == 1:
                    positive, negative = low, high
                    for lane in range(LANES):
                        mined[0, i + r] += (positive & later) >> lane & 1
                        mined[1, i + r] += (negative & later) >> lane & 1
                weighted = (splat(offset) + splat(slope * smallness[i + r]) * small) * cosine
                above = mask_of(negative & later) & (zero < cosine)
                at = 2 * r * LANES
                store(totals, at, load(totals, at) + select(mask_of(positive & later), weighted, zero))
                store(totals, at + LANES, load(totals, at + LANES) + select(above, weighted, zero))
        for r in range(ROWS):
            for side in range(2):
                at = (2 * r + side) * LANES
                for lane in range(LANES):
                    sums[side, i + r] += np.float64(totals[at + lane])


@njit(parallel=True, cache=True, nogil=True)
def gather(
    features, columns, patterns, near, far, smallness, offset, slope, tau_p, tau_n, mining, rows, scales, gradient
):  # pragma: no cover - compiled
    """Fill gradient [P, F] of scales[0] times the positive sum plus scales[1] times the negative one.

    Args:
        features ... mining: as in `survey`.
        rows: [2, P / 16] int64, 16 bits each: the pixels whose pairs with later ones count, if mining is soft.
        scales: [2] float32.
        gradient: [P, F] float32.
    """
    padded, depth = features.shape
    zero = splat(np.float32(0.0))
    for block in prange(padded // ROWS):
        i = np.int64(block * ROWS)
        gradient[i : i + ROWS] = 0
        cosines = np.empty(ROWS * LANES, np.float32)
        for j in range(0, padded, LANES):
            _fill_cosines(features, columns, depth, padded, i, j, cosines)
            small = load(smallness, j)
            counted = 0
            for r in range(ROWS):
                cosine = load(cosines, r * LANES)
                positive, negative = near[patterns[i + r], j // LANES], far[patterns[i + r], j // LANES]
                later, earlier = _later(i + r, j), _ALL ^ _later(i + r - 1, j)
                if mining == 0:  # a pair is mined by the first of its pixels
                    own, lane = (i + r) // LANES, (i + r) % LANES
                    positive &= (later * (rows[0, own] >> lane & 1)) | (earlier & rows[0, j // LANES])
                    negative &= (later * (rows[1, own] >> lane & 1)) | (earlier & rows[1, j // LANES])
                else:
                    positive, negative = positive & (later | earlier), negative & (later | earlier)
                if mining == 1:
                    positive = bits_of(mask_of(positive) & (cosine < splat(tau_p)))
                    negative = bits_of(mask_of(negative) & (splat(tau_n) < cosine))
                counted |= positive | negative
                weight = splat(offset) + splat(slope * smallness[i + r]) * small
                above = mask_of(negative) & (zero < cosine)
                from_positive = select(mask_of(positive), splat(scales[0]) * weight, zero)
                store(cosines, r * LANES, from_positive + select(above, splat(scales[1]) * weight, zero))
            if counted == 0:
                continue
            for c in range(0, depth, LANES):
                at = i * depth + c
                g0, g1 = load(gradient, at), load(gradient, at + depth)
                g2, g3 = load(gradient, at + 2 * depth), load(gradient, at + 3 * depth)
                for lane in range(LANES):
                    other = load(features, (j + lane) * depth + c)
                    g0 = g0 + broadcast(cosines, lane) * other
                    g1 = g1 + broadcast(cosines, LANES + lane) * other
                    g2 = g2 + broadcast(cosines, 2 * LANES + lane) * other
                    g3 = g3 + broadcast(cosines, 3 * LANES + lane) * other
                store(gradient, at, g0)
                store(gradient, at + depth, g1)
                store(gradient, at + 2 * depth, g2)
                store(gradient, at + 3 * depth, g3)
