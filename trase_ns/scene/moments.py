"""The Gaussians of a moving scene at the times that were asked for last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trase_ns.scene.gaussians import DynamicGaussians, Gaussians


class Moments:
    """Keeps a scene's Gaussians at a few times, so that a camera that moves at a fixed time costs no deformation.

    What is kept is for one state of one scene: a scene with other tensors, or with tensors that were changed in place
    since (a training step, an edit), starts anew. May be used by several threads.

    Args:
        count: number of times that are kept.
    """

    def __init__(self, count: int = 4):
        self.count = count
        self._kept: OrderedDict[float, Gaussians] = OrderedDict()
        self._tensors: list[Tensor] = []  # held, so that no other tensor gets their memory
        self._state: list[tuple] = []
        self._lock = threading.Lock()

    def at(self, scene: DynamicGaussians, time: float) -> Gaussians:
        """Return `scene.at(time)` without gradients, evaluated only where it is not kept."""
        tensors, state = _tensors(scene), state_of(scene)
        with self._lock:
            if state != self._state:
                self._kept.clear()
                self._tensors, self._state = [tensor.detach() for tensor in tensors], state
            if time not in self._kept:
                with torch.no_grad():
                    self._kept[time] = scene.at(time)
                if len(self._kept) > self.count:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(time)
            return self._kept[time]


def state_of(scene: DynamicGaussians) -> list[tuple]:
    """Return what changes with every change of where the Gaussians are or how they look.

    Two scenes with equal states are the same as long as the tensors of one of them are held.
    """
    return [(tensor.data_ptr(), tensor.shape, tensor._version) for tensor in _tensors(scene)]


def _tensors(scene: DynamicGaussians) -> list[Tensor]:
    """All tensors that decide where the Gaussians are and how they look; the features do not."""
    values = [getattr(scene, f.name) for f in fields(scene) if f.name not in ("field", "features")]
    tensors = [value for value in values if value is not None]
    if scene.field is not None:
        tensors += [*scene.field.parameters(), *scene.field.buffers()]
    return tensors
