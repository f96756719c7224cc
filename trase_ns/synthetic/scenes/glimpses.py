"""Few views: three things that move little and two at rest, meant for a moving camera that takes few pictures."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint


def glimpses(seed: int) -> Scene:
    """Return the scene; the seed draws the textures and which way things go."""
    rng = np.random.default_rng([seed, 1])
    hue, way = hues(rng, 5), rng.choice([-1.0, 1.0], 3)

    def ball(time: float) -> np.ndarray:
        x = -0.55 + 0.45 * way[0] * (time - 0.5)
        return translation(x, -0.6, 0.28) @ rotation("y", x / 0.28)

    def box(time: float) -> np.ndarray:
        return translation(0.55, -0.45 + 0.35 * way[1] * (time - 0.5), 0.24) @ rotation("z", 0.6 * way[1] * time)

    def top(time: float) -> np.ndarray:
        return translation(-0.95, 0.6, 0.4) @ rotation("z", 1.2 * way[2] * time) @ rotation("x", 0.15)

    urn = np.array([(0, 0.72), (0.14, 0.75), (0.19, 0.8), (0.14, 0.6), (0.31, 0.38), (0.32, 0.22), (0.2, 0), (0, 0)])
    cone = [(0, 0.35), (0.34, 0.25), (0.3, 0.1), (0.05, -0.4), (0, -0.4)]
    parts = [
        *room(rng),
        Part("ball", "ball", shapes.ball(0.28), paint(rng, hue[0]), rigid(ball)),
        Part("box", "box", shapes.box((0.46, 0.46, 0.48)), paint(rng, hue[1]), rigid(box)),
        Part("top", "top", shapes.lathe(cone), paint(rng, hue[2]), rigid(top)),
        Part("vase", "vase", shapes.lathe(urn), paint(rng, hue[3]), still(translation(0.0, 0.95, 0)), moves=False),
        Part(
            "drum", "drum", shapes.drum(0.3, 0.55), paint(rng, hue[4]), still(translation(1.05, 0.65, 0)), moves=False
        ),
    ]
    return Scene(parts, SURROUNDINGS)
