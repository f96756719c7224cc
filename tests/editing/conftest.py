"""Two scenes that are easy to reckon with: three things in a row that all move along x, and one that turns."""

import pytest
import torch
from balls import balls, camera, new_balls, spots  # noqa: F401 - fixtures
from small_vgg import small_vgg  # noqa: F401 - fixture

from trase_ns.editing.edits import Edits, SceneObject
from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians

THINGS, EACH = 3, 10


class Drift(Field):
    """Moves every Gaussian along x by its own speed."""

    def move(self, means, quats, log_scales, motion, time):
        shift = torch.zeros_like(means)
        shift[:, 0] = time * motion[:, 0]
        return means + shift, quats, log_scales


class Rise(Field):
    """Moves everything up by 3."""

    def move(self, means, quats, log_scales, motion, time):
        return means + torch.tensor([0.0, 3.0 * time, 0.0]), quats, log_scales


def make_scene(count=THINGS * EACH, field=None, motion=None, bands=0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    means = 0.1 * torch.randn(count, 3, generator=generator)
    means[:, 1] += torch.arange(count) // EACH
    return DynamicGaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=1),
        log_scales=torch.randn(count, 3, generator=generator) * 0.1 - 3,
        logit_opacities=torch.randn(count, generator=generator),
        sh0=torch.randn(count, 3, generator=generator) * 0.3,
        sh_rest=torch.randn(count, bands, 3, generator=generator) * 0.1,
        features=torch.nn.functional.normalize(torch.randn(count, 8, generator=generator), dim=1),
        field=field,
        motion=motion,
    )


@pytest.fixture
def scene():
    motion = torch.linspace(1, 2, THINGS * EACH)[:, None]
    return make_scene(field=Drift(), motion=motion, bands=3)


@pytest.fixture
def other():
    return make_scene(7, field=Rise(), bands=8, seed=1)


@pytest.fixture
def edits(scene):
    objects = tuple(
        SceneObject(f"thing {i}", torch.arange(i * EACH, (i + 1) * EACH), (0.2 * i, 0.5, 0.5)) for i in range(THINGS)
    )
    return Edits.none(len(scene), objects)


@pytest.fixture
def rows(edits):
    """The second thing."""
    return edits.mask(1)
