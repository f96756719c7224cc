"""What surrounds the things of every built-in scene: a floor and a bent wall behind it."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import still
from trase_ns.synthetic.scene import Part
from trase_ns.synthetic.textures import marble, stripes

SURROUNDINGS = ("floor", "backdrop")  # objects that are no answer to any click
WALL = 3.6  # distance of the backdrop from the z axis, world units


def room(rng: np.random.Generator) -> list[Part]:
    """Return the floor, z = 0, and the backdrop behind it, open towards -y.

    Args:
        rng: draws the textures.
    """
    return [
        Part(
            "floor",
            "floor",
            shapes.floor(6.0),
            marble(rng, ((0.62, 0.53, 0.42), (0.50, 0.42, 0.34), (0.72, 0.66, 0.56)), 0.7),
            still(np.eye(4)),
            moves=False,
        ),
        Part(
            "backdrop",
            "backdrop",
            shapes.backdrop(WALL, 5.0, arc=4.0),
            stripes(rng, ((0.42, 0.52, 0.58), (0.52, 0.61, 0.64), (0.36, 0.46, 0.60)), 0.45),
            still(np.eye(4)),
            moves=False,
        ),
    ]
