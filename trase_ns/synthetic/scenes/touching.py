"""Touching objects of like colour: blocks that slide along each other and balls that meet, all painted the same way."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import PATTERNS, paint

EDGE, RADIUS = 0.46, 0.24  # of a block, of a ball


def touching(seed: int) -> Scene:
    """Return the scene; the seed draws the one hue and pattern of all things, and how far they move."""
    rng = np.random.default_rng([seed, 1])
    hue, pattern = rng.random(), int(rng.integers(len(PATTERNS)))
    reach, way = rng.uniform(0.9, 1.1, 3), float(rng.choice([-1.0, 1.0]))

    def block(place: float, slide: float):
        def pose(time: float) -> np.ndarray:
            return translation(place * EDGE, 0.6 + slide * np.sin(np.pi * time), EDGE / 2)

        return pose

    # The balls touch in the middle of the video; before and after they are up to one width apart.
    def ball(side: float):
        def pose(time: float) -> np.ndarray:
            gap = 2 * RADIUS * reach[1] * (2 * time - 1) ** 2
            x = side * (RADIUS + gap / 2) + 0.25 * way * np.sin(2 * np.pi * time)
            return translation(x, -0.75, RADIUS) @ rotation("y", x / RADIUS)

        return pose

    def part(name: str, mesh: shapes.Mesh, motion, moves: bool = True) -> Part:
        return Part(name, name, mesh, paint(rng, hue, pattern=pattern), motion, moves)

    cube = shapes.box((EDGE, EDGE, EDGE))
    parts = [
        *room(rng),
        part("left block", cube, still(block(-1, 0.0)(0.0)), moves=False),
        part("middle block", cube, rigid(block(0, -0.5 * EDGE * reach[0]))),
        part("right block", cube, rigid(block(1, 0.4 * EDGE * reach[2]))),
        part("left ball", shapes.ball(RADIUS), rigid(ball(-1))),
        part("right ball", shapes.ball(RADIUS), rigid(ball(1))),
    ]
    return Scene(parts, SURROUNDINGS)
