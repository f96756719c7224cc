"""Thin structures: a rack of bars at rest, a ball that rolls behind it, a hoop that turns and a stick that swings."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint

RADIUS = 0.045  # of bars, hoop and stick, world units


def thin(seed: int) -> Scene:
    """Return the scene; the seed draws the textures and varies the motions."""
    rng = np.random.default_rng([seed, 1])
    hue, vary = hues(rng, 4), rng.uniform(0.9, 1.1, 3)

    def ball(time: float) -> np.ndarray:
        x = -0.45 * vary[0] + 0.85 * vary[0] * (time - 0.5)
        return translation(x, 0.85, 0.3) @ rotation("y", x / 0.3)

    def hoop(time: float) -> np.ndarray:
        return (
            translation(0.75, -0.35, 0.48) @ rotation("z", 0.5 + 1.3 * vary[1] * (time - 0.5)) @ rotation("x", 1.5708)
        )

    def stick(time: float) -> np.ndarray:
        angle = np.pi + 0.5 * vary[2] * np.sin(2 * np.pi * 0.8 * time)
        return translation(0.55, 0.9, 1.55) @ rotation("y", angle)

    upright = shapes.capsule(RADIUS, 0.9)
    lying = shapes.moved(shapes.capsule(RADIUS, 1.0), rotation("y", np.pi / 2))
    rack = [shapes.moved(upright, translation(x, 0.0, 0.0)) for x in (0.0, 0.333, 0.667, 1.0)]
    rack += [shapes.moved(lying, translation(0.0, 0.0, z)) for z in (0.4, 0.85)]
    angles = np.linspace(0, 2 * np.pi, 17)
    ring = np.stack([0.42 + RADIUS * np.cos(angles), -RADIUS * np.sin(angles)], axis=-1)
    at_rest = still(translation(-1.05, 0.1, RADIUS))
    parts = [
        *room(rng),
        Part("rack", "rack", shapes.union(rack), paint(rng, hue[0], 0.12), at_rest, moves=False),
        Part("hoop", "hoop", shapes.lathe(ring), paint(rng, hue[1], 0.12), rigid(hoop)),
        Part("stick", "stick", shapes.capsule(RADIUS, 1.1), paint(rng, hue[2], 0.12), rigid(stick)),
        Part("ball", "ball", shapes.ball(0.3), paint(rng, hue[3]), rigid(ball)),
    ]
    return Scene(parts, SURROUNDINGS)
