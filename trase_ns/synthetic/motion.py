"""How things move: vertices at rest and a time in [0, 1] to vertices in the world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Pose = Callable[[float], np.ndarray]
"""Time in [0, 1] to a [4, 4] rigid transform from object to world."""

Motion = Callable[[np.ndarray, float], np.ndarray]
"""[V, 3] vertices at rest and a time in [0, 1] to [V, 3] vertices in the world."""


def translation(x: float, y: float, z: float) -> np.ndarray:
    """Return the [4, 4] shift by (x, y, z)."""
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


def rotation(axis: str, angle: float) -> np.ndarray:
    """Return the [4, 4] rotation about the axis "x", "y" or "z" by an angle in radians."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    pose = np.eye(4)
    pose[first, first] = pose[second, second] = np.cos(angle)
    pose[second, first] = np.sin(angle)
    pose[first, second] = -np.sin(angle)
    return pose


def rigid(pose: Pose) -> Motion:
    """Return the motion of a rigid body."""

    def motion(vertices: np.ndarray, time: float) -> np.ndarray:
        transform = pose(time)
        return vertices @ transform[:3, :3].T + transform[:3, 3]

    return motion


def still(pose: np.ndarray) -> Motion:
    """Return the motion of a thing at rest at a [4, 4] pose."""
    return rigid(lambda time: pose)


def squash_and_bend(
    squash: Callable[[float], float], bend: Callable[[float], float], pose: Pose, height: float
) -> Motion:
    """Return the motion of a soft body that stands on z = 0.

    Args:
        squash: time to the factor of its height; its width changes so that the volume stays.
        bend: time to the angle, in radians, that its top leans towards +x.
        pose: where it stands.
        height: height at rest, in world units.
    """
    stand = rigid(pose)

    def motion(vertices: np.ndarray, time: float) -> np.ndarray:
        factor = squash(time)
        x, y, z = (vertices * [factor**-0.5, factor**-0.5, factor]).T
        # Each level turns in proportion to its height, as a rod bent into an arc of a circle does.
        length = height * factor
        angle = bend(time) * z / length
        curvature = bend(time) / length
        if abs(curvature) > 1e-6:
            spine_x, spine_z = (1 - np.cos(angle)) / curvature, np.sin(angle) / curvature
        else:
            spine_x, spine_z = np.zeros_like(z), z
        bent = np.stack([spine_x + x * np.cos(angle), y, spine_z - x * np.sin(angle)], axis=-1)
        return stand(bent, time)

    return motion
