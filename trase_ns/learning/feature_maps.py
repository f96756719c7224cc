"""Feature maps of 2D models from a folder, one file for each frame."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.learning.distillation import Reduction

SUFFIXES = ".npy", ".safetensors"
# Values that the principal components are found from, in all.
_SAMPLES = 20_000


class FeatureMaps:
    """A folder of files FRAME.npy or FRAME.safetensors, [h, w, C] numbers each.

    Args:
        directory: the folder.
        frames: names of the frames that may have a map; they may contain '/'.
        option: the option that named the folder, for messages.

    Raises:
        UserError: there is no folder, or no map of any of the frames.
    """

    def __init__(self, directory: Path, frames: Sequence[str], option: str = "--maps"):
        self.directory, self.option = Path(directory), option
        if not self.directory.is_dir():
            raise UserError(f"{option}: there is no folder {directory}.")
        self._paths: dict[str, Path] = {}
        for frame in frames:
            for path in (self.directory / f"{frame}{suffix}" for suffix in SUFFIXES):
                if path.is_file():
                    self._paths[frame] = path
        if not self._paths:
            raise UserError(
                f"{option}: {directory} has no feature map of a training frame. Name the files after the frames, "
                f"as in {frames[0] if frames else 'FRAME'}.npy."
            )
        self.channels = self._read(next(iter(self._paths))).shape[2]

    def __contains__(self, frame: str) -> bool:
        return frame in self._paths

    def frames(self) -> list[str]:
        """Return the names of the frames that have a map."""
        return [*self._paths]

    @cached_property
    def source(self) -> dict[str, Any]:
        """What made the maps, by the key of the first without its image (see `map_store`); empty where unknown."""
        key = read_key(next(iter(self._paths.values())))
        return {name: value for name, value in (key or {}).items() if name != "image"}

    def load(self, frame: str) -> Tensor:
        """Return the map of a frame, [h, w, C] float32.

        Raises:
            UserError: the file is damaged, or not of this shape.
        """
        values = self._read(frame)
        if values.shape[2] != self.channels:
            raise UserError(
                f"{self._paths[frame]} has {values.shape[2]} channels, but {next(iter(self._paths.values()))} has "
                f"{self.channels}: make all maps with one model."
            )
        if not values.isfinite().all():
            raise UserError(f"{self._paths[frame]} holds numbers that are not finite: make the feature map anew.")
        return values

    def reduction(self, size: int, seed: int = 0) -> Tensor:
        """Find a basis of few numbers: [size + 1, C] orthonormal rows, the principal components and the mean.

        Without the mean, which principal components take away, cosines would be others: what of it lies in their span
        is kept anyway, and the rest is one direction more. `map @ basis.T` is linear, as blending is.

        Args:
            size: number of principal components.
            seed: of the sample that they are found from.
        """
        generator = torch.Generator().manual_seed(seed)
        share = -(-_SAMPLES // len(self._paths))
        samples = []
        for frame in self._paths:
            values = self.load(frame).flatten(0, 1)
            samples.append(values[torch.randperm(len(values), generator=generator)[:share]])
        found = Reduction.fit(torch.cat(samples), size)
        rest = found.mean - found.components.T @ (found.components @ found.mean)
        if rest.norm() <= 1e-5 * max(float(found.mean.norm()), 1e-12):
            return found.components
        return torch.cat([found.components, (rest / rest.norm())[None]])

    def _read(self, frame: str) -> Tensor:
        path = self._paths[frame]
        try:
            if path.suffix == ".npy":
                array = np.load(path, allow_pickle=False)
                values = torch.from_numpy(array.astype(np.float32)) if array.dtype.kind == "f" else None
            else:
                from safetensors.torch import load_file

                tensors = [*load_file(path).values()]
                single = len(tensors) == 1 and tensors[0].is_floating_point()
                values = tensors[0].float() if single else None
        except Exception as error:  # damaged files raise many kinds
            raise UserError(f"{path} cannot be read as a feature map ({error}).") from error
        if values is None or values.ndim != 3 or 0 in values.shape:
            raise UserError(f"{path} is no feature map: it must hold one array [height, width, channels] of floats.")
        return values


def read_key(path: Path) -> dict[str, Any] | None:
    """Return what a map was made from, None where it is missing, damaged, or does not say."""
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as content:
            key = json.loads((content.metadata() or {})["key"])
    except Exception:  # damaged files raise many kinds
        return None
    return key if isinstance(key, dict) else None
