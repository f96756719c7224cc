"""What is shown is the scene, baked or not, and never an old one."""

from dataclasses import replace

import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.motion_basis import MotionBasis
from trase_ns.viewer.playback import Playback


@pytest.fixture
def scene(balls):
    field = MotionBasis(motions=4, keys=5)
    torch.manual_seed(0)
    torch.nn.init.normal_(field.shifts, std=0.2)
    made = balls.scene()
    return replace(made, field=field, motion=torch.randn(len(made), 4))


def test_baked_is_nearly_the_scene(scene):
    playback = Playback(lambda: scene)
    exact = playback.at(0.37)
    assert "key times" in playback.bake()
    baked = playback.at(0.37)
    assert not torch.equal(baked.means, exact.means)
    torch.testing.assert_close(baked.means, exact.means, atol=2e-3, rtol=0)
    playback.drop()
    assert torch.equal(playback.at(0.37).means, exact.means)


def test_a_scene_that_was_trained_since_is_shown_as_it_is(scene):
    playback = Playback(lambda: scene)
    playback.bake()
    with torch.no_grad():
        scene.field.shifts += 1
    assert torch.equal(playback.at(0.37).means, scene.at(0.37).means)


def test_what_is_hidden_or_painted_is_so_in_what_was_baked(scene):
    shown = [scene]
    playback = Playback(lambda: shown[0])
    playback.bake()
    baked = playback.at(0.37)
    shown[0] = replace(scene, logit_opacities=torch.full_like(scene.logit_opacities, -torch.inf), sh0=scene.sh0 + 1)
    edited = playback.at(0.37)
    assert torch.equal(edited.means, baked.means)
    assert not edited.opacities.any()
    assert torch.equal(edited.sh, shown[0].at(0.37).sh)


def test_a_scene_at_rest_is_not_baked(scene):
    with pytest.raises(UserError, match="nothing moves"):
        Playback(lambda: replace(scene, field=None, motion=None)).bake()
