"""Camera paths around the open side of a scene: -y, world z up. Poses are camera to world, OpenGL axes."""

from __future__ import annotations

import numpy as np

TARGET = np.array([0.0, 0.05, 0.42])  # what every camera looks at
RADIUS = 3.75  # distance from the target, world units
FIELD_OF_VIEW = np.radians(52.0)  # horizontal


def look(azimuth: float, elevation: float, radius: float = RADIUS) -> np.ndarray:
    """Return the [4, 4] camera-to-world pose, OpenGL axes, that looks at the target.

    Args:
        azimuth: degrees to the right of the open side.
        elevation: degrees above the horizon.
        radius: distance in world units.
    """
    a, e = np.radians(azimuth), np.radians(elevation)
    back = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    right = np.array([np.cos(a), np.sin(a), 0.0])
    pose = np.eye(4)
    pose[:3] = np.stack([right, np.cross(back, right), back, TARGET + radius * back], axis=-1)
    return pose


def moving(time: float) -> np.ndarray:
    """Return the pose of the one moving camera: sweeps from side to side, faster than anything it films."""
    sweep = 2 * np.pi * 3.0 * time
    return look(44.0 * np.sin(sweep), 29.0 + 9.0 * np.sin(1.37 * sweep + 0.8), RADIUS + 0.2 * np.sin(0.61 * sweep))


def rig(index: int, count: int) -> np.ndarray:
    """Return the pose of camera `index` of `count` that stand still in an arc, alternately low and high."""
    azimuth = 0.0 if count == 1 else -44.0 + 88.0 * index / (count - 1)
    return look(azimuth, 24.0 + 12.0 * (index % 2))


def held_out(time: float) -> np.ndarray:
    """Return the pose of the camera that nothing is trained on: a path of its own between the others."""
    sweep = 2 * np.pi * time
    return look(36.0 * np.sin(2.3 * sweep + 1.3), 29.0 + 6.0 * np.sin(1.7 * sweep))


def between(index: int, count: int) -> np.ndarray:
    """Return pose `index` of a series, each half-way between two neighbours of a rig of `count`, in height as well."""
    gaps = max(count - 1, 1)
    gap = int((index * 0.618034) % 1.0 * gaps)  # the golden ratio spreads any number of them over the arc
    return look(-44.0 + 88.0 * (gap + 0.5) / gaps, 30.0)


def intrinsics(width: int, height: int) -> tuple[float, float, float]:
    """Return focal length (the same for x and y) and principal point x, y, in pixels."""
    return width / 2 / np.tan(FIELD_OF_VIEW / 2), width / 2, height / 2
