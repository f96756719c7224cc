"""What only a removed thing hid goes with it; what pictures showed stays."""

import pytest
import torch

from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.remains import remains

WALL, THING, CORE = 24 * 24, 100, 20


@pytest.fixture
def scene():
    """A wall, an opaque thing before it, and in the thing's middle Gaussians that nobody sees."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.meshgrid(torch.linspace(-2, 2, 24), torch.linspace(-2, 2, 24), indexing="xy")
    wall = torch.stack([x.flatten(), y.flatten(), torch.full((WALL,), 2.0)], dim=1)
    thing = torch.randn(THING, 3, generator=generator)
    thing = 0.3 * thing / thing.norm(dim=1, keepdim=True)
    core = 0.05 * torch.randn(CORE, 3, generator=generator)
    count = WALL + THING + CORE
    return DynamicGaussians(
        means=torch.cat([wall, thing, core]),
        quats=torch.tensor([1.0, 0, 0, 0]).expand(count, 4),
        log_scales=torch.full((count, 3), -2.3),
        logit_opacities=torch.full((count,), 4.0),
        sh0=torch.zeros(count, 3),
        sh_rest=torch.zeros(count, 0, 3),
        features=torch.zeros(count, 0),
    )


def views(*places):
    """Cameras at x, two units before the thing."""
    K = torch.tensor([[60.0, 0, 48], [0, 60.0, 36], [0, 0, 1]])
    cameras = []
    for x in places:
        viewmat = torch.eye(4)
        viewmat[:3, 3] = torch.tensor([-x, 0.0, 2.0])
        cameras.append(Camera(viewmat, K, 96, 72))
    return cameras


@pytest.fixture
def thing():
    mask = torch.zeros(WALL + THING + CORE, dtype=torch.bool)
    mask[WALL : WALL + THING] = True
    return mask


def test_what_nobody_saw_goes_and_what_other_views_saw_stays(scene, thing):
    found = remains(scene, thing, views(-1.5, 0.0, 1.5))
    assert found[WALL + THING :].all()
    assert not found[:WALL].any()
    assert not found[thing].any()


def test_from_one_side_alone_the_wall_behind_was_never_seen(scene, thing):
    found = remains(scene, thing, views(0.0))
    behind = scene.means[:WALL, :2].norm(dim=1) < 0.3
    aside = scene.means[:WALL, :2].norm(dim=1) > 1.5
    assert found[:WALL][behind].all()
    assert not found[:WALL][aside].any()
    assert not remains(scene, thing, views(0.0), shown=0.0).any()


def test_without_views_nothing_is_found(scene, thing):
    assert not remains(scene, thing, []).any()
