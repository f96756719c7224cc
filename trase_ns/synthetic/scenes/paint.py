"""Colours of the suite's things: hues far apart from each other, drawn by the seed."""

from __future__ import annotations

import colorsys

import numpy as np

from trase_ns.synthetic.textures import Color, Texture, checks, marble, stripes

PATTERNS = (marble, stripes, checks)


def hues(rng: np.random.Generator, count: int) -> list[float]:
    """Return `count` hues in [0, 1), evenly spread around the colour circle from a random start, in random order."""
    return ((rng.random() + rng.permutation(count) / count) % 1.0).tolist()


def paint(rng: np.random.Generator, hue: float, size: float = 0.15, pattern: int | None = None) -> Texture:
    """Return a texture of strong colours around a hue.

    Args:
        rng: draws the pattern where none is given, and its noise.
        hue: in [0, 1).
        size: of stripes, cells and veins, in world units.
        pattern: index into `PATTERNS`.
    """
    kind = PATTERNS[int(rng.integers(len(PATTERNS))) if pattern is None else pattern]
    return kind(rng, (_color(hue, 0.85, 0.85), _color(hue + 0.04, 0.45, 0.95), _color(hue - 0.04, 0.9, 0.4)), size)


def _color(hue: float, saturation: float, value: float) -> Color:
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
