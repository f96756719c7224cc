"""Objects that enter late: a ball falls in and rolls on, a crate is let down; a vase and a block are there before."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint

ABOVE = 3.4  # height that no camera of the built-in scenes sees
BALL_ENTERS, CRATE_ENTERS = 0.3, 0.5  # not before these times are they seen


def late(seed: int) -> Scene:
    """Return the scene; the seed draws the textures and the ways, never the times of entry."""
    rng = np.random.default_rng([seed, 1])
    hue, vary = hues(rng, 4), rng.uniform(0.9, 1.1, 4)
    way = float(rng.choice([-1.0, 1.0]))

    def ball(time: float) -> np.ndarray:
        down = np.clip((time - BALL_ENTERS) / 0.16, 0, 1)  # falls ever faster
        x = way * (-0.7 + 1.3 * vary[0] * max(time - BALL_ENTERS - 0.16, 0.0))
        return translation(x, -0.6, ABOVE + (0.25 - ABOVE) * down**2) @ rotation("y", x / 0.25)

    def crate(time: float) -> np.ndarray:
        down = np.clip((time - CRATE_ENTERS) / 0.3, 0, 1)
        height = ABOVE + (0.25 - ABOVE) * (1 - (1 - down) ** 2)  # ever slower
        return translation(0.45 * way, 0.6, height) @ rotation("z", vary[1] * (1.0 - down))

    def block(time: float) -> np.ndarray:
        return translation(-1.0 * way, 0.25 + 0.35 * vary[2] * np.sin(np.pi * time), 0.2) @ rotation(
            "z", vary[3] * time
        )

    vase = np.array([(0, 0.72), (0.14, 0.75), (0.19, 0.8), (0.14, 0.6), (0.31, 0.38), (0.32, 0.22), (0.2, 0), (0, 0)])
    parts = [
        *room(rng),
        Part("ball", "ball", shapes.ball(0.25), paint(rng, hue[0]), rigid(ball)),
        Part("crate", "crate", shapes.box((0.5, 0.5, 0.5)), paint(rng, hue[1]), rigid(crate)),
        Part("block", "block", shapes.box((0.44, 0.44, 0.4)), paint(rng, hue[2]), rigid(block)),
        Part(
            "vase", "vase", shapes.lathe(vase), paint(rng, hue[3]), still(translation(1.1 * way, 0.2, 0)), moves=False
        ),
    ]
    return Scene(parts, SURROUNDINGS)
