"""The exact answers of a built-in scene in the benchmark's format (see `evaluation.benchmark`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.synthetic.scene import Picture, Scene


class BenchmarkWriter:
    """Chooses prompts in training frames and writes exact masks of held-out frames.

    Args:
        scene: what is seen; all its objects but the surroundings are benchmarked.
        folder: where the masks go.
        min_area: an object that shows fewer pixels in a frame is not scored there.
    """

    def __init__(self, scene: Scene, folder: Path, min_area: int):
        self.scene = scene
        self.folder = folder
        self.min_area = max(1, min_area)
        self.best: dict[str, tuple[float, list[dict[str, Any]]]] = {}

    @property
    def names(self) -> list[str]:
        """Names of the objects, in the scene's order."""
        return [name for name in self.scene.objects if name not in self.scene.surroundings]

    def consider_prompts(self, frame: str, picture: Picture) -> None:
        """Keep, for each object, the frame that shows all its parts best: a click in the middle of each part."""
        from scipy.ndimage import distance_transform_edt

        height, width = picture.parts.shape
        for name in self.names:
            prompts, worst = [], np.inf
            for part, owner in self.scene.parents.items():
                if owner != self.scene.objects[name]:
                    continue
                depth = np.asarray(distance_transform_edt(np.pad(picture.parts == part, 1)))[1:-1, 1:-1]
                y, x = np.unravel_index(depth.argmax(), depth.shape)
                worst = min(worst, float(depth[y, x]))
                point = {"x": float((x + 0.5) / width), "y": float((y + 0.5) / height)}
                prompts.append({"frame": f"{frame}.png", **point, "positive": True})
            if worst > self.best.get(name, (0.0, []))[0]:
                self.best[name] = worst, prompts

    def write_masks(self, frame: str, picture: Picture) -> None:
        """Write the masks of the objects that show well enough."""
        from PIL import Image

        for name in self.names:
            mask = picture.objects == self.scene.objects[name]
            if mask.sum() >= self.min_area:
                (self.folder / name).mkdir(exist_ok=True)
                Image.fromarray(mask.astype(np.uint8) * 255).save(self.folder / name / f"{frame}.png")

    def description(self) -> dict[str, Any]:
        """Return what benchmark.json holds."""
        objects = [
            {"name": name, "prompts": self.best[name][1], "masks": name}
            for name in self.names
            if name in self.best and (self.folder / name).is_dir()
        ]
        return {"version": 1, "objects": objects}
