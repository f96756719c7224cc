"""The first built-in scene: a robot arm, a jelly, a ball and a crate that cross, and a vase at rest."""

from __future__ import annotations

import numpy as np

from trase_ns.synthetic import shapes
from trase_ns.synthetic.motion import Pose, rigid, rotation, squash_and_bend, still, translation
from trase_ns.synthetic.room import SURROUNDINGS, room
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.textures import checks, marble, stripes


def tabletop(seed: int) -> Scene:
    """Return the scene; the seed draws the textures and varies the motions a little.

    World units are about a metre; the floor is z = 0, things stand within 1.4 of the origin, and the open side,
    where cameras belong, is -y.
    """
    rng = np.random.default_rng([seed, 1])
    vary = rng.uniform(0.9, 1.1, 8)
    turn = 2 * np.pi

    # Robot: each joint carries all that follows it.
    def base(time: float) -> np.ndarray:
        return translation(-1.05, 0.45, 0.0) @ rotation("z", -0.5 + 0.5 * vary[0] * np.sin(turn * 0.8 * time))

    def upper(time: float) -> np.ndarray:
        angle = 0.15 + 0.35 * vary[1] * np.sin(turn * 0.7 * time + 0.6)
        return base(time) @ translation(0.0, 0.0, 0.34) @ rotation("y", angle)

    def fore(time: float) -> np.ndarray:
        angle = 1.2 + 0.4 * vary[2] * np.sin(turn * 0.9 * time + 2.0)
        return upper(time) @ translation(0.0, 0.0, 0.62) @ rotation("y", angle)

    def hand(time: float) -> np.ndarray:
        return fore(time) @ translation(0.0, 0.0, 0.62)

    # The ball passes in front of the crate, the other way, and both reach x = 0 about half-way.
    def roll(time: float) -> np.ndarray:
        x = 0.85 * vary[3] * np.sin(np.pi * (time - 0.5))
        hop = 0.08 * np.sin(np.pi * 2 * time) ** 2
        return translation(x, -0.92, 0.3 + hop) @ rotation("y", 1.2 * x)

    def slide(time: float) -> np.ndarray:
        x = -0.65 * vary[4] * np.sin(np.pi * (time - 0.5))
        return translation(x, -0.2, 0.27) @ rotation("z", 0.4 + 0.5 * x)

    jelly = squash_and_bend(
        squash=lambda time: 1.0 + 0.22 * vary[5] * np.sin(turn * 1.2 * time),
        bend=lambda time: 0.55 * vary[6] * np.sin(turn * 0.9 * time + 1.0),
        pose=lambda time: translation(1.08, 0.6, 0.0),
        height=0.95,
    )
    vase = np.array([(0, 0.82), (0.16, 0.85), (0.22, 0.9), (0.16, 0.7), (0.36, 0.44), (0.38, 0.26), (0.25, 0), (0, 0)])

    def moving(name: str, of: str, mesh: shapes.Mesh, texture, pose: Pose) -> Part:
        return Part(name, of, mesh, texture, rigid(pose))

    cream, navy, rust = (0.93, 0.88, 0.76), (0.12, 0.18, 0.36), (0.70, 0.33, 0.18)
    parts = [
        *room(rng),
        moving(
            "robot base", "robot", shapes.drum(0.36, 0.32), checks(rng, ((0.2, 0.2, 0.22), cream, navy), 0.16), base
        ),
        moving(
            "robot upper arm",
            "robot",
            shapes.capsule(0.22, 0.62),
            stripes(rng, ((0.95, 0.58, 0.1), (0.75, 0.35, 0.05), (0.98, 0.75, 0.2)), 0.14),
            upper,
        ),
        moving(
            "robot forearm",
            "robot",
            shapes.capsule(0.2, 0.55),
            stripes(rng, ((0.85, 0.85, 0.82), (0.55, 0.56, 0.6), cream), 0.13),
            fore,
        ),
        moving(
            "robot hand",
            "robot",
            shapes.box((0.42, 0.5, 0.34)),
            checks(rng, ((0.1, 0.1, 0.12), (0.85, 0.7, 0.1), (0.6, 0.3, 0.1)), 0.13),
            hand,
        ),
        Part(
            "jelly",
            "jelly",
            shapes.lathe(_rounded(0.44, 0.95)),
            marble(rng, ((0.12, 0.55, 0.3), (0.45, 0.78, 0.3), (0.95, 0.9, 0.45)), 0.3),
            jelly,
        ),
        moving("ball", "ball", shapes.ball(0.3), marble(rng, ((0.8, 0.1, 0.15), cream, (0.4, 0.05, 0.2)), 0.28), roll),
        moving(
            "crate",
            "crate",
            shapes.box((0.56, 0.5, 0.54)),
            stripes(rng, ((0.2, 0.35, 0.75), (0.35, 0.65, 0.9), navy), 0.12),
            slide,
        ),
        Part(
            "vase",
            "vase",
            shapes.lathe(vase),
            stripes(rng, ((0.55, 0.2, 0.55), (0.85, 0.6, 0.8), rust), 0.12),
            still(translation(0.12, 1.05, 0.0) @ rotation("z", 0.3)),
            moves=False,
        ),
    ]
    return Scene(parts, SURROUNDINGS)


def _rounded(radius: float, height: float) -> np.ndarray:
    """Profile [P, 2] of a body that stands on z = 0, round above and nearly straight below."""
    angles = np.linspace(0, np.pi / 2, 24)
    dome = np.stack([radius * np.sin(angles), height - radius * (1 - np.cos(angles))], axis=-1)
    side = np.stack([np.full(8, radius), np.linspace(height - radius, 0.0, 9)[1:]], axis=-1)
    return np.concatenate([dome, side, [(0.0, 0.0)]])
