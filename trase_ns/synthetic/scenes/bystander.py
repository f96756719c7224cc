"""Camera at rest, moving scene: a vase turns, a ball rolls to and fro, a box walks, a jelly sways; a drum stands."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import rigid, rotation, squash_and_bend, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.scenes.paint import hues, paint


def bystander(seed: int) -> Scene:
    """Return the scene, meant for one camera at rest; the seed draws the textures and varies the motions."""
    rng = np.random.default_rng([seed, 1])
    hue, turn = hues(rng, 5), 2 * np.pi
    vary, phase = rng.uniform(0.9, 1.1, 4), rng.uniform(0, 1, 2)

    def ball(time: float) -> np.ndarray:
        x = -0.45 + 0.5 * vary[0] * np.sin(turn * (time + phase[0]))
        return translation(x, -0.75, 0.24) @ rotation("y", x / 0.24)

    def box(time: float) -> np.ndarray:
        x, hop = 0.95 - 0.9 * vary[1] * time, 0.12 * np.sin(turn * 2 * time) ** 2
        return translation(x, -0.15, 0.22 + hop) @ rotation("z", 0.5 * time)

    def vase(time: float) -> np.ndarray:
        return translation(-0.95, 0.45, 0.0) @ rotation("z", 1.5 * vary[2] * time)

    jelly = squash_and_bend(
        squash=lambda time: 1.0 + 0.15 * np.sin(turn * 1.1 * time),
        bend=lambda time: 0.45 * vary[3] * np.sin(turn * (0.9 * time + phase[1])),
        pose=lambda time: translation(0.95, 0.8, 0.0),
        height=0.9,
    )
    urn = np.array([(0, 0.72), (0.14, 0.75), (0.19, 0.8), (0.14, 0.6), (0.31, 0.38), (0.32, 0.22), (0.2, 0), (0, 0)])
    body = [(0, 0.9), *((0.3, z) for z in np.linspace(0.8, 0, 16)), (0, 0)]
    parts = [
        *room(rng),
        Part("ball", "ball", shapes.ball(0.24), paint(rng, hue[0]), rigid(ball)),
        Part("box", "box", shapes.box((0.4, 0.4, 0.44)), paint(rng, hue[1]), rigid(box)),
        Part("vase", "vase", shapes.lathe(urn), paint(rng, hue[2]), rigid(vase)),
        Part("jelly", "jelly", shapes.lathe(body), paint(rng, hue[3]), jelly),
        Part(
            "drum", "drum", shapes.drum(0.26, 0.5), paint(rng, hue[4]), still(translation(-0.05, 1.0, 0)), moves=False
        ),
    ]
    return Scene(parts, SURROUNDINGS)
