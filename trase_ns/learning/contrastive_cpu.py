"""The pairs of pixels of the contrastive objective on the CPU: one pass where torch makes twenty."""

from __future__ import annotations

import numba
import numpy as np

_FLAGS = {"contract", "nnan", "ninf", "nsz", "arcp", "reassoc"}
MINING = ("soft", "hard", "none")
SHARED_ONLY_LARGE = ("positive", "ignore", "negative")


def mask_bits(mask_vectors: np.ndarray) -> np.ndarray:
    """Return `mask_vectors` [P, M] bool as bits [W, P] uint64: mask m is bit m % 64 of word m // 64."""
    packed = np.packbits(mask_vectors, axis=1, bitorder="little")
    packed = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))
    return np.ascontiguousarray(packed.view("<u8").astype(np.uint64).T)


@numba.njit(fastmath=_FLAGS, cache=True)
def _relate(i, bits, finest, shared_only_large, near, far):  # pragma: no cover - compiled
    """Fill near [P] and far [P] with 1 where pixel i forms a positive, or a negative pair with the other, else 0."""
    count = bits.shape[1]
    shared = np.zeros(count, np.uint64)
    for word in range(bits.shape[0]):
        line, own = bits[word], bits[word, i]
        for j in range(count):
            shared[j] |= line[j] & own
    for j in range(count):
        near[j] = 1 if shared[j] != 0 else 0
        far[j] = 1 if shared[j] == 0 else 0
    if shared_only_large > 0:
        line, bit = bits[finest[i] >> 6], np.uint64(finest[i] & 63)
        for j in range(count):
            here = (line[j] >> bit) & np.uint64(1)
            there = (bits[finest[j] >> 6, i] >> np.uint64(finest[j] & 63)) & np.uint64(1)
            near[j] = 1 if (here | there) != 0 else 0
        if shared_only_large == 2:
            for j in range(count):
                far[j] = 1 - near[j]


@numba.njit(fastmath=_FLAGS, cache=True)
def _astray(row, near, far, tau_p, tau_n):  # pragma: no cover - compiled
    """Tell whether any positive pair is below tau_p, and any negative one above tau_n."""
    lowest, highest = tau_p, tau_n
    for j in range(row.shape[0]):
        lowest = min(lowest, row[j] if near[j] > 0 else tau_p)
        highest = max(highest, row[j] if far[j] > 0 else tau_n)
    return lowest < tau_p, highest > tau_n


@numba.njit(fastmath=_FLAGS, cache=True)
def _weigh(row, near, far, smallness, offset, steep, positive, negative):  # pragma: no cover - compiled
    """Write the weights of a row's pairs into `positive` and `negative`; return their sums times the cosines."""
    zero = row.dtype.type(0)
    sum_positive, sum_negative = zero, zero
    for j in range(row.shape[0]):
        weight = offset + steep * smallness[j]
        p = weight * near[j]
        n = weight * far[j] if row[j] > zero else zero
        positive[j] = p
        negative[j] = n
        sum_positive += p * row[j]
        sum_negative += n * row[j]
    return sum_positive, sum_negative


@numba.njit(parallel=True, fastmath=_FLAGS, cache=True)
def coefficients(
    similarity,
    start,
    bits,
    finest,
    smallness,
    offset,
    slope,
    tau_p,
    tau_n,
    mining,
    shared_only_large,
    result,
    sums,
    mined,
):  # pragma: no cover - compiled
    """Fill in what each pair i < j of a block of rows weighs in the two losses; see `contrastive.pair_losses`.

    Args:
        similarity: [R, P] cosines of pixels start ... start + R - 1 with all; of any float type, as all floats here.
        start: the first row's pixel.
        bits: [W, P] uint64, from `mask_bits`.
        finest: [P] int64, the smallest mask of each pixel.
        smallness: [P]; W_ij = offset + slope a_i a_j.
        offset, slope, tau_p, tau_n: scalars.
        mining, shared_only_large: places in MINING and SHARED_ONLY_LARGE.
        result: [2, R, P - start], written: W of the pairs that count in the positive and in the negative loss, else 0.
        sums: [2, R] float64, written: of W times cosine over the row.
        mined: [2, R] float64, written: pairs of the row that were mined.
    """
    height, count = similarity.shape
    for r in numba.prange(height):
        i = start + r
        row = similarity[r]
        near, far = np.empty_like(row), np.empty_like(row)
        _relate(i, bits, finest, shared_only_large, near, far)
        mined[0, r] = mined[1, r] = count - 1 - i
        if mining == 0:
            astray = _astray(row, near, far, tau_p, tau_n)
            if not astray[0]:
                near[:] = 0
                mined[0, r] = 0
            if not astray[1]:
                far[:] = 0
                mined[1, r] = 0
        elif mining == 1:
            for j in range(count):
                near[j] = near[j] if row[j] < tau_p else 0
                far[j] = far[j] if row[j] > tau_n else 0
            mined[0, r], mined[1, r] = near[i + 1 :].sum(), far[i + 1 :].sum()
        result[:, r, : r + 1] = 0
        sums[0, r], sums[1, r] = _weigh(
            row[i + 1 :], near[i + 1 :], far[i + 1 :], smallness[i + 1 :],
            offset, slope * smallness[i], result[0, r, r + 1 :], result[1, r, r + 1 :],
        )  # fmt: skip
