"""Occlusion and reappearance: a ball and a cart vanish behind a screen, one whole, and come out on its other side."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint


def occluded(seed: int) -> Scene:
    """Return the scene; the seed draws the textures, directions and speeds."""
    rng = np.random.default_rng([seed, 1])
    hue, way = hues(rng, 4), float(rng.choice([-1.0, 1.0]))
    vary = rng.uniform(0.94, 1.06, 3)

    def ball(time: float) -> np.ndarray:
        x = way * 1.3 * vary[0] * (2 * time - 1)
        return translation(x, 0.12, 0.22) @ rotation("y", x / 0.22)

    def cart(time: float) -> np.ndarray:
        x = -way * vary[1] * (2 * time - 1)
        return translation(x, 0.8, 0.25) @ rotation("z", 0.25 * x)

    def cone(time: float) -> np.ndarray:
        return translation(-way * (0.1 + 0.75 * vary[2] * (time - 0.5)), -0.8, 0.0) @ rotation("z", 3.0 * time)

    parts = [
        *room(rng),
        Part("ball", "ball", shapes.ball(0.22), paint(rng, hue[0]), rigid(ball)),
        Part("cart", "cart", shapes.box((0.55, 0.4, 0.5)), paint(rng, hue[1]), rigid(cart)),
        Part(
            "cone", "cone", shapes.lathe([(0, 0.55), (0.06, 0.5), (0.24, 0), (0, 0)]), paint(rng, hue[2]), rigid(cone)
        ),
        Part(
            "screen",
            "screen",
            shapes.box((1.6, 0.12, 0.85)),
            paint(rng, hue[3]),
            still(translation(0.0, -0.25, 0.425)),
            moves=False,
        ),
    ]
    return Scene(parts, SURROUNDINGS)
