"""Sparse points as structure from motion would find them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trase_ns.scene.camera import Camera
from trase_ns.synthetic.scene import Picture, Scene

MOVING_MOMENT, MOVING_SPAN = 0.5, 0.04  # moving things give points only near this time


class SeedPoints:
    """Gathers points as structure from motion would: on surfaces that are seen, mostly on those at rest.

    Args:
        scene: what is seen.
        count: number of points wanted.
        frames: number of pictures that they will be taken from.
        rng: where all chance comes from.
        moment: time in [0, 1] near which things that move give points.
    """

    def __init__(self, scene: Scene, count: int, frames: int, rng: np.random.Generator, moment: float):
        self.moment = moment
        self.rng = rng
        self.count = count
        self.per_frame = -(-4 * self.count // frames)
        self.moving = np.array([False, *(part.moves for part in scene.parts)])
        self.points: list[np.ndarray] = []
        self.colors: list[np.ndarray] = []

    def add(self, picture: Picture, camera: Camera) -> None:
        """Take points from a training picture, most where it has texture or borders, as feature detectors do."""
        contrast = np.abs(np.gradient(picture.rgb.mean(axis=-1))).sum(axis=0).ravel() + 0.1
        pixels = self.rng.choice(contrast.size, self.per_frame, p=contrast / contrast.sum())
        rows, columns = np.divmod(pixels, picture.parts.shape[1])
        parts = picture.parts[rows, columns]
        keep = (parts > 0) & (~self.moving[parts] | (abs(camera.time - self.moment) <= MOVING_SPAN))
        rows, columns = rows[keep], columns[keep]
        K, viewmat = camera.K.double().numpy(), camera.viewmat.double().numpy()
        depth = picture.depth[rows, columns].astype(np.float64)
        # Triangulation errs most along the view.
        depth *= 1 + 0.004 * self.rng.standard_normal(len(depth))
        pixels = np.stack([columns + 0.5, rows + 0.5], axis=-1)
        local = np.concatenate([(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((len(pixels), 1))], axis=-1)
        self.points.append((local * depth[:, None] - viewmat[:3, 3]) @ viewmat[:3, :3])
        self.colors.append(picture.rgb[rows, columns])

    def write(self, path: Path) -> None:
        """Write a random choice of the points as a PLY file."""
        from plyfile import PlyData, PlyElement

        points, colors = np.concatenate(self.points), np.concatenate(self.colors)
        chosen = self.rng.permutation(len(points))[: self.count]
        table = np.empty(len(chosen), dtype=[(c, "<f4") for c in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")])
        for i, axis in enumerate("xyz"):
            table[axis] = points[chosen, i]
        for i, channel in enumerate(("red", "green", "blue")):
            table[channel] = colors[chosen, i]
        PlyData([PlyElement.describe(table, "vertex")], text=False, byte_order="<").write(str(path))
