"""Solid textures: colour as a function of the position on the object at rest, so that it moves with the object."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Texture = Callable[[np.ndarray], np.ndarray]
"""[P, 3] positions at rest to [P, 3] colours in [0, 1]."""

Color = tuple[float, float, float]
_LATTICE = 32  # cells of the periodic noise volume along each axis


class Noise:
    """Smooth periodic noise in space, about uniform in [0, 1].

    Args:
        rng: where the noise comes from.
        size: how far apart, in world units, the noise changes from light to dark.
    """

    def __init__(self, rng: np.random.Generator, size: float):
        from scipy.ndimage import gaussian_filter
        from scipy.special import erf

        volume = gaussian_filter(rng.standard_normal((_LATTICE,) * 3), 1.0, mode="wrap")
        self.volume = 0.5 + 0.5 * erf(volume / (volume.std() * np.sqrt(2)))
        self.frequency = 2.5 / size

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return [P] values at [P, 3] points."""
        from scipy.ndimage import map_coordinates

        return map_coordinates(self.volume, (points * self.frequency).T, order=1, mode="grid-wrap")


def marble(rng: np.random.Generator, colors: tuple[Color, Color, Color], size: float) -> Texture:
    """Return veins: two colours that flow into each other and spots of a third."""
    broad, fine = Noise(rng, size), Noise(rng, size / 2)

    def texture(points: np.ndarray) -> np.ndarray:
        color = _mix(colors[0], colors[1], _step(broad(points), 0.25))
        return _mix(color, colors[2], 0.8 * _step(fine(points) - 0.22, 0.12))

    return texture


def stripes(rng: np.random.Generator, colors: tuple[Color, Color, Color], size: float, axis: int = 2) -> Texture:
    """Return wavy stripes of two colours across an axis, one stripe `size` wide, tinted by a third."""
    waves, tint = Noise(rng, 3 * size), Noise(rng, 2 * size)

    def texture(points: np.ndarray) -> np.ndarray:
        phase = points[:, axis] * (np.pi / size) + 3.0 * waves(points)
        color = _mix(colors[0], colors[1], _step(0.5 + 0.5 * np.sin(phase), 0.3))
        return _mix(color, colors[2], 0.6 * tint(points))

    return texture


def checks(rng: np.random.Generator, colors: tuple[Color, Color, Color], size: float) -> Texture:
    """Return a three-dimensional chessboard with soft borders, one cell `size` wide, tinted by a third colour."""
    tint = Noise(rng, 2 * size)

    def texture(points: np.ndarray) -> np.ndarray:
        # The odd offset keeps the faces of a box that lie on a cell's border inside one cell.
        board = np.prod(np.sin((points + 0.37 * size) * (np.pi / size)), axis=-1)
        color = _mix(colors[0], colors[1], _step(0.5 + 0.5 * np.cbrt(board), 0.3))
        return _mix(color, colors[2], 0.6 * tint(points))

    return texture


def _mix(a: np.ndarray | Color, b: Color, share: np.ndarray) -> np.ndarray:
    return (1 - share[:, None]) * np.asarray(a) + share[:, None] * np.asarray(b)


def _step(value: np.ndarray, softness: float) -> np.ndarray:
    """Map values below and above 1/2 to 0 and 1, with a smooth passage 2 x softness wide."""
    x = np.clip((value - 0.5) / (2 * softness) + 0.5, 0, 1)
    return x * x * (3 - 2 * x)
