"""Structural similarity and its gradient on the CPU, in one pass over the rows of a picture."""

from __future__ import annotations

import numba
import numpy as np

_FLAGS = {"contract", "nnan", "ninf", "nsz", "arcp"}


@numba.njit(parallel=True, fastmath=_FLAGS, cache=True)
def blur(source, window, channels, result):  # pragma: no cover - compiled
    """Convolve pictures with a separable window; zero outside.

    Args:
        source: [M, H, W * C] float32, C channels of a pixel beside each other.
        window: [T] float32, T odd.
        channels: C.
        result: [M, H, W * C] float32, written.
    """
    count, height, width = source.shape
    half = len(window) // 2
    for row in numba.prange(count * height):
        m, y = row // height, row % height
        # One-dimensional views and a padded row let the compiler use vectors.
        vertical = np.zeros(width + 2 * half * channels, np.float32)
        inner = vertical[half * channels : half * channels + width]
        for t in range(max(0, half - y), min(len(window), height - y + half)):
            line, weight = source[m, y + t - half], window[t]
            for x in range(width):
                inner[x] += weight * line[x]
        out = result[m, y]
        out[:] = 0
        for t in range(len(window)):
            line, weight = vertical[t * channels : t * channels + width], window[t]
            for x in range(width):
                out[x] += weight * line[x]


@numba.njit(parallel=True, fastmath=_FLAGS, cache=True)
def moments(x, y, result):  # pragma: no cover - compiled
    """Write x, y, x^2, y^2, x y ([H, S] each) into `result` [5, H, S]."""
    for row in numba.prange(x.shape[0]):
        for i in range(x.shape[1]):
            a, b = x[row, i], y[row, i]
            result[0, row, i] = a
            result[1, row, i] = b
            result[2, row, i] = a * a
            result[3, row, i] = b * b
            result[4, row, i] = a * b


@numba.njit(parallel=True, fastmath=_FLAGS, cache=True)
def similarity(means, c1, c2, gradient, rows):  # pragma: no cover - compiled
    """Turn blurred moments into the similarity and its gradient to the first picture's blurred moments.

    Args:
        means: [5, H, S] float32, blurred x, y, x^2, y^2, x y.
        c1, c2: stabilisers.
        gradient: [3, H, S] float32, written: to blurred x, x^2 and x y.
        rows: [H] float64, written: sum of the similarity over each row.
    """
    one, two, c1, c2 = np.float32(1), np.float32(2), np.float32(c1), np.float32(c2)
    for row in numba.prange(means.shape[1]):
        total = 0.0
        for i in range(means.shape[2]):
            x, y = means[0, row, i], means[1, row, i]
            xy = means[4, row, i] - x * y
            both = means[2, row, i] - x * x + means[3, row, i] - y * y
            a1, a2 = two * x * y + c1, two * xy + c2
            b1, b2 = one / (x * x + y * y + c1), one / (both + c2)
            value = a1 * a2 * b1 * b2
            to_square = -value * b2
            to_product = two * a1 * b1 * b2
            total += value
            gradient[0, row, i] = two * (y * a2 * b1 * b2 - x * value * b1) - two * x * to_square - y * to_product
            gradient[1, row, i] = to_square
            gradient[2, row, i] = to_product
        rows[row] = total
