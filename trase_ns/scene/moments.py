"""The Gaussians of a moving scene at the times that were asked for last."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trase_ns.scene.gaussians import DynamicGaussians, Gaussians


class Moments:
    """Keeps a scene's Gaussians at a few times, so that a camera that moves at a fixed time costs no deformation.

    What is kept is for one state of one scene: a scene with other tensors, or with tensors that were changed in place
    since (a training step, an edit), starts anew. Where only colours and opacities are others, nothing is moved again.
    May be used by several threads.

    Args:
        count: number of times that are kept.
    """

    def __init__(self, count: int = 4):
        self.count = count
        self._kept: OrderedDict[float, Gaussians] = OrderedDict()
        self._tensors: list[Tensor] = []  # held, so that no other tensor gets their memory
        self._motion: list[tuple] = []
        self._state: list[tuple] = []
        self._lock = threading.Lock()

    @torch.no_grad()
    def at(self, scene: DynamicGaussians, time: float) -> Gaussians:
        """Return `scene.at(time)` without gradients, evaluated only where it is not kept."""
        motion, state = motion_of(scene), state_of(scene)
        with self._lock:
            if state != self._state:
                if motion != self._motion:
                    self._kept.clear()
                if self._kept:
                    looks = {"opacities": scene.opacities, "sh": scene.sh}
                    for moment, gaussians in self._kept.items():
                        self._kept[moment] = replace(gaussians, **looks)
                self._tensors = [tensor.detach() for tensor in (*_moving(scene), *_shown(scene))]
                self._motion, self._state = motion, state
            if time not in self._kept:
                self._kept[time] = scene.at(time)
                if len(self._kept) > self.count:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(time)
            return self._kept[time]


def state_of(scene: DynamicGaussians) -> list[tuple]:
    """Return what changes with every change of where the Gaussians are or how they look.

    Two scenes with equal states are the same as long as the tensors of one of them are held.
    """
    return motion_of(scene) + _state(_shown(scene))


def motion_of(scene: DynamicGaussians) -> list[tuple]:
    """Return what changes with every change of where the Gaussians are, how large and how turned; see `state_of`."""
    return _state(_moving(scene))


def _state(tensors: list[Tensor]) -> list[tuple]:
    return [(tensor.data_ptr(), tensor.shape, tensor._version) for tensor in tensors]


def _moving(scene: DynamicGaussians) -> list[Tensor]:
    tensors = [scene.means, scene.quats, scene.log_scales]
    if scene.motion is not None:
        tensors.append(scene.motion)
    if scene.field is not None:
        tensors += [*scene.field.parameters(), *scene.field.buffers()]
    return tensors


def _shown(scene: DynamicGaussians) -> list[Tensor]:
    return [scene.logit_opacities, scene.sh0, scene.sh_rest]
