"""Articulated parts: a puppet waves and nods, a lamp bends at its joints; a drum stands between them."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import Pose, rigid, rotation, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint


def articulated(seed: int) -> Scene:
    """Return the scene; the seed draws the textures and how far and when each joint turns."""
    rng = np.random.default_rng([seed, 1])
    hue, turn = hues(rng, 3), 2 * np.pi
    reach, phase = rng.uniform(0.85, 1.1, 6), rng.uniform(-0.12, 0.12, 6)

    def swing(joint: int, middle: float, angle: float, rate: float) -> Pose:
        def pose(time: float) -> np.ndarray:
            return rotation("y", middle + angle * reach[joint] * np.sin(turn * (rate * time + phase[joint])))

        return pose

    # Each joint carries all that follows it.
    nod, left, right = swing(0, 0.0, 0.25, 0.9), swing(1, -1.9, 0.6, 1.1), swing(2, 1.5, 0.55, 0.8)
    first, second = swing(3, 0.25, 0.35, 0.7), swing(4, -1.15, 0.4, 0.9)

    def trunk(time: float) -> np.ndarray:
        return translation(-0.68, 0.1, 0.0) @ rotation("z", 0.4 * reach[5] * np.sin(turn * 0.6 * time))

    def lower(time: float) -> np.ndarray:
        return translation(0.95, 0.15, 0.2) @ first(time)

    def upper(time: float) -> np.ndarray:
        return lower(time) @ translation(0.0, 0.0, 0.6) @ second(time)

    def part(name: str, of: str, mesh: shapes.Mesh, color: float, pose: Pose, moves: bool = True) -> Part:
        return Part(name, of, mesh, paint(rng, color, 0.12), rigid(pose), moves)

    shade = shapes.lathe([(0, 0.1), (0.1, 0.1), (0.24, -0.2), (0, -0.2)])
    parts = [
        *room(rng),
        part("trunk", "puppet", shapes.lathe([(0, 0.8), (0.2, 0.74), (0.3, 0), (0, 0)]), hue[0], trunk),
        part(
            "head",
            "puppet",
            shapes.ball(0.23),
            hue[0] + 0.08,
            lambda t: trunk(t) @ translation(0, 0, 0.74) @ nod(t) @ translation(0, 0, 0.2),
        ),
        part(
            "left arm",
            "puppet",
            shapes.capsule(0.09, 0.45),
            hue[0] - 0.08,
            lambda t: trunk(t) @ translation(-0.2, -0.06, 0.6) @ left(t),
        ),
        part(
            "right arm",
            "puppet",
            shapes.capsule(0.09, 0.45),
            hue[0] - 0.08,
            lambda t: trunk(t) @ translation(0.2, -0.06, 0.6) @ right(t),
        ),
        part("foot", "lamp", shapes.drum(0.28, 0.2), hue[1], _standing(0.95, 0.15), moves=False),
        part("lower rod", "lamp", shapes.capsule(0.085, 0.6), hue[1] + 0.08, lower),
        part("upper rod", "lamp", shapes.capsule(0.085, 0.55), hue[1] - 0.08, upper),
        part("shade", "lamp", shade, hue[1], lambda t: upper(t) @ translation(0, 0, 0.6) @ rotation("y", -0.9)),
        part("drum", "drum", shapes.drum(0.25, 0.4), hue[2], _standing(0.15, -0.6), moves=False),
    ]
    return Scene(parts, SURROUNDINGS)


def _standing(x: float, y: float) -> Pose:
    """Pose of what stands on the floor at (x, y) at all times."""
    return lambda time: translation(x, y, 0.0)
