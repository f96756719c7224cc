"""Fast motion: a ball shuttles by its own width between two moments, a box jumps, a bar spins."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint

MOMENTS = 30  # speeds are meant for a scene filmed at this many moments
RADIUS, SWING = 0.25, 0.95  # of the ball, and how far from the middle it goes


def fast(seed: int) -> Scene:
    """Return the scene; the seed draws textures, phases and turns, never the ball's speed."""
    rng = np.random.default_rng([seed, 1])
    hue, turn = hues(rng, 4), 2 * np.pi
    phase, lift, spin = rng.random(3)
    # Between the moments on both sides of the middle of a swing the ball moves its width.
    rate = 2 * np.arcsin(RADIUS / SWING) * (MOMENTS - 1)

    def ball(time: float) -> np.ndarray:
        x = SWING * np.sin(rate * time + turn * phase)
        return translation(x, -0.5, RADIUS) @ rotation("y", x / RADIUS)

    def box(time: float) -> np.ndarray:
        height = 0.78 + 0.52 * np.sin(turn * (2.2 * time + lift))
        return translation(-0.9, 0.5, height) @ rotation("z", 1.5 * time)

    def bar(time: float) -> np.ndarray:
        return translation(0.75, 0.55, 0.75) @ rotation("z", turn * (1.4 * time + spin)) @ rotation("x", 0.2)

    parts = [
        *room(rng),
        Part("ball", "ball", shapes.ball(RADIUS), paint(rng, hue[0]), rigid(ball)),
        Part("box", "box", shapes.box((0.4, 0.4, 0.4)), paint(rng, hue[1]), rigid(box)),
        Part("bar", "bar", shapes.box((1.15, 0.2, 0.2)), paint(rng, hue[2]), rigid(bar)),
        Part(
            "drum",
            "drum",
            shapes.drum(0.27, 0.5),
            paint(rng, hue[3]),
            still(translation(-0.12, 1.1, 0.0)),
            moves=False,
        ),
    ]
    return Scene(parts, SURROUNDINGS)
