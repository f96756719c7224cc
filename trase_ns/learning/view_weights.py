"""The blending weights of a frozen scene's views, kept or computed."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians

if TYPE_CHECKING:
    from trase_ns.render import Contributions

Keep = Literal["auto", "weights", "gaussians"]


class ViewWeights:
    """The blending weights W of views, or the Gaussians at their times, kept as long as a budget lasts.

    Args:
        scene: the Gaussians and their deformation, which must not change.
        keep: "weights"; "gaussians", a thirtieth of the memory, from which the weights of some pixels follow in some
            milliseconds; "auto": weights on a GPU, Gaussians on a CPU.
        gigabytes: the budget; the rest is computed anew each time. None: 2 for weights, 0.1 for Gaussians.
    """

    def __init__(self, scene: DynamicGaussians, keep: Keep = "auto", gigabytes: float | None = None):
        self.scene = scene.detach()
        automatic = "weights" if scene.device.type == "cuda" else "gaussians"
        self._keeps = automatic if keep == "auto" else keep
        self._free = int(1e9 * (gigabytes if gigabytes is not None else 2.0 if self._keeps == "weights" else 0.1))
        self._room = self._free > 0
        self._views: dict[Hashable, Contributions] = {}
        self._moments = _Moments(self._free)

    @torch.no_grad()
    def of(self, camera: Camera, pixels: Tensor, view: Hashable = None) -> Contributions:
        """Return the blending weights W [P, N] of `pixels` [P, 2] int64 (x, y), kept or computed.

        Where weights are kept, a view is kept whole, if it is named and there is room.
        """
        from trase_ns.render import contributions

        rows = pixels[:, 1] * camera.width + pixels[:, 0]
        if view in self._views:
            kept = self._views[view].rows(rows)
            return replace(kept, indices=kept.indices.long())
        gaussians = self.at(camera.time)
        if self._keeps == "gaussians" or view is None or not self._room:
            return contributions(gaussians, camera, pixels)
        whole = contributions(gaussians, camera)
        packed = replace(whole, indices=whole.indices.int())  # two thirds of the memory
        if self._fits(packed.nbytes):
            self._views[view] = packed
        return whole.rows(rows)

    def at(self, time: float) -> Gaussians:
        """Return the Gaussians at a time, kept or computed."""
        kept = self._moments.at(time) if self._keeps == "gaussians" else None
        if kept is not None:
            return kept
        gaussians = self.scene.at(time)
        if self._keeps == "gaussians":
            self._moments.keep(time, gaussians)
        return gaussians

    def _fits(self, nbytes: int) -> bool:
        """Take memory from the budget; once there is too little, nothing more is kept."""
        self._room = nbytes <= self._free
        if self._room:
            self._free -= nbytes
        return self._room


class _Moments:
    """Geometry of the Gaussians at several times, in one piece of memory that fills up and is never moved.

    Single tensors of this size, made between the much larger ones of the steps, would break up the process's memory
    and make it grow by several times their own size.

    Args:
        budget: bytes.
    """

    def __init__(self, budget: int):
        self._budget = budget
        self._places: dict[float, int] = {}
        self._buffer: Tensor | None = None  # [times, 10 N]: means, then quaternions, then scales
        self._first: Gaussians | None = None  # opacities and colours do not change

    def at(self, time: float) -> Gaussians | None:
        """Return the Gaussians at a time, None if they are not kept."""
        if time not in self._places:
            return None
        assert self._buffer is not None and self._first is not None  # noqa: PT018
        count = len(self._first)
        means, quats, scales = self._buffer[self._places[time]].split([3 * count, 4 * count, 3 * count])
        return replace(self._first, means=means.view(-1, 3), quats=quats.view(-1, 4), scales=scales.view(-1, 3))

    def keep(self, time: float, gaussians: Gaussians) -> None:
        """Keep the Gaussians at a time if there is room."""
        geometry = gaussians.means, gaussians.quats, gaussians.scales
        if self._buffer is None:
            width = sum(t.numel() for t in geometry)
            room = self._budget // max(width * gaussians.means.element_size(), 1)
            self._buffer = gaussians.means.new_empty(room, width)  # takes memory only where it is written
            self._first = gaussians
        if len(self._places) < len(self._buffer):
            torch.cat([t.flatten() for t in geometry], out=self._buffer[len(self._places)])
            self._places[time] = len(self._places)
