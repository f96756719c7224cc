"""One training loop for all methods: features alone, with everything else frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera


@dataclass(frozen=True)
class View:
    """A training frame.

    Attributes:
        index: its place among the views; objectives keep things under it.
        frame: its name.
        camera: its camera and time, on the device of the scene.
        masks: its masks, of any resolution; None where it has none.
    """

    index: int
    frame: str
    camera: Camera
    masks: MaskSet | None = None


class Objective(Protocol):
    """What a method minimises.

    Attributes:
        learning_rate: rate of Adam.
    """

    learning_rate: float

    def start(self, generator: torch.Generator) -> Tensor:
        """Return the features [N, F] to start from; `generator` is on the CPU."""
        ...

    def loss(self, features: Tensor, view: View, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the terms whose sum is the loss of a view at a step, differentiable in `features` [N, F]."""
        ...


def train_features(objective: Objective, views: Sequence[View], steps: int, seed: int = 0) -> Tensor:
    """Minimise an objective over views in random order, each once before any comes again.

    Args:
        objective: what is minimised.
        views: at least one.
        steps: number of steps, one view each.
        seed: of all that is drawn.

    Returns:
        [N, F] the features.

    Raises:
        UserError: the features are no finite numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    features = objective.start(generator).requires_grad_()
    optimizer = torch.optim.Adam([features], lr=objective.learning_rate, eps=1e-15)
    order: list[int] = []
    for step in track(range(steps), "training features"):
        if not order:
            order = torch.randperm(len(views), generator=generator).tolist()
        terms = objective.loss(features, views[order.pop()], step, generator)
        optimizer.zero_grad(set_to_none=True)
        torch.stack([*terms.values()]).sum().backward()
        optimizer.step()
    if not features.isfinite().all():
        raise UserError("the features grew without bounds: lower the learning rate.")
    return features.detach()


def random_directions(count: int, dimensions: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Return [count, dimensions] random vectors of length one, the same on every device."""
    return normalize(torch.randn(count, dimensions, generator=generator), dim=1).to(device)
