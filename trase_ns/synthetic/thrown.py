"""The built-in scene of fast things: a ball and an apple that cross, a swinging bar, a tumbling box, a vase at rest."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.textures import checks, marble, stripes

MOMENTS = 30  # speeds are meant for a scene filmed at this many moments
WIDTHS = 3.0  # of its own thickness, that the bar's end moves between two of them at its fastest
THICKNESS, LENGTH, REACH = 0.16, 0.96, 0.88  # of the bar, and from its pivot to its end, world units


def thrown(seed: int) -> Scene:
    """Return the scene; the seed draws the textures and varies the motions a little, but never the bar's speed.

    World units are about a metre; the floor is z = 0, things stay within 1.6 of the z axis and never meet, because
    each keeps to about a slice of y of its own, and the open side, where cameras belong, is -y.
    """
    rng = np.random.default_rng([seed, 1])
    vary = rng.uniform(0.95, 1.05, 6)
    turn = 2 * np.pi

    def ball(time: float) -> np.ndarray:
        x, z = -1.1 + 2.2 * time, 0.13 + _bounces(time, 2, 1.0 * vary[0])
        return translation(x, -0.42 - 0.08 * time, z) @ rotation("y", turn * 1.3 * time)

    def apple(time: float) -> np.ndarray:
        x, z = 1.2 - 2.4 * time, 0.09 + _bounces(time, 3, 1.2 * vary[1])
        return translation(x, -0.12 + 0.04 * time, z) @ rotation("y", -turn * 2.1 * time)

    def box(time: float) -> np.ndarray:
        place = translation(-1.0 + 2.0 * time, 0.3, 0.3 + 4 * 0.8 * vary[2] * time * (1 - time))
        return place @ rotation("y", turn * 2.3 * vary[3] * time) @ rotation("x", turn * 1.6 * time + 0.4)

    # The chord between two moments around the lowest point, where it is fastest, is WIDTHS x THICKNESS.
    step = 2 * np.arcsin(WIDTHS * THICKNESS / 2 / REACH)
    angle = 1.1 * vary[4]
    rate = 2 * np.arcsin(step / 2 / angle) * (MOMENTS - 1)

    def bar(time: float) -> np.ndarray:
        swing = angle * np.sin(rate * (time - 0.5))  # lowest half-way between the two moments in the middle
        return translation(0.0, 0.68, 1.38) @ rotation("y", swing) @ translation(0.0, 0.0, LENGTH / 2 - REACH)

    vase = np.array([(0, 0.66), (0.13, 0.68), (0.18, 0.72), (0.13, 0.56), (0.29, 0.35), (0.3, 0.2), (0.2, 0), (0, 0)])
    cream, navy, rust = (0.93, 0.88, 0.76), (0.12, 0.18, 0.36), (0.70, 0.33, 0.18)
    parts = [
        *room(rng),
        Part(
            "ball",
            "ball",
            shapes.ball(0.13),
            marble(rng, ((0.8, 0.1, 0.15), cream, (0.4, 0.05, 0.2)), 0.16),
            rigid(ball),
        ),
        Part(
            "apple",
            "apple",
            shapes.ball(0.09),
            marble(rng, ((0.1, 0.5, 0.25), (0.9, 0.85, 0.3), (0.05, 0.3, 0.2)), 0.12),
            rigid(apple),
        ),
        Part(
            "box",
            "box",
            shapes.box((0.36, 0.3, 0.24)),
            stripes(rng, ((0.2, 0.35, 0.75), (0.35, 0.65, 0.9), navy), 0.09),
            rigid(box),
        ),
        Part(
            "bar",
            "bar",
            shapes.box((THICKNESS, THICKNESS, LENGTH)),
            checks(rng, ((0.95, 0.58, 0.1), (0.25, 0.15, 0.1), (0.98, 0.75, 0.2)), 0.12),
            rigid(bar),
        ),
        Part(
            "vase",
            "vase",
            shapes.lathe(vase),
            stripes(rng, ((0.55, 0.2, 0.55), (0.85, 0.6, 0.8), rust), 0.1),
            still(translation(0.7, 1.05, 0.0) @ rotation("z", 0.3 * vary[5])),
            moves=False,
        ),
    ]
    return Scene(parts, SURROUNDINGS)


def _bounces(time: float, count: int, height: float) -> float:
    """Height above the floor of what bounces in `count` equal parabolas within a time of 1."""
    phase = (count * time) % 1.0
    return 4 * height * phase * (1 - phase)
