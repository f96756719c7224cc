"""Two balls that change places while time goes from 0 to 1, with a mask of each in every frame, and no features."""

from dataclasses import replace

import pytest
import torch
from balls import RED, Balls, camera  # noqa: F401 - a fixture

from trase_ns.learning.methods.training import View
from trase_ns.masks import MaskSet
from trase_ns.render import render_view


@pytest.fixture
def scene():
    scene = Balls().scene().detach()
    return replace(scene, features=torch.zeros(len(scene), 4))


@pytest.fixture
def is_red(scene):
    return torch.arange(len(scene)) < RED


@pytest.fixture
def views(scene, camera, is_red):  # noqa: F811
    found = []
    for index in range(6):
        here = replace(camera, time=index / 5)
        color = torch.stack([is_red.float(), (~is_red).float()], dim=1)
        weight = render_view(scene.at(here.time), here, colors=color).color
        found.append(
            View(index, f"f{index}", here, MaskSet.from_dense(f"f{index}", (weight > 0.5).numpy().transpose(2, 0, 1)))
        )
    return found


@pytest.fixture
def maps(views):
    """Feature maps of three numbers at a quarter of the size: (3, 0, 1) on red, (0, 3, 1) on blue, (0, 0, 1) beside."""
    made = {}
    for view in views:
        red, blue = torch.from_numpy(view.masks.resized(16, 24)).float()
        made[view.frame] = torch.stack([3 * red, 3 * blue, torch.ones_like(red)], dim=-1)
    return made
