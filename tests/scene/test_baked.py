"""Baked scenes follow the original as closely as was asked."""

from dataclasses import replace

import pytest
import torch

from trase_ns.scene.baked import KeyTimes, bake
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis


def scene_with(field, motion=None):
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=random)

    return DynamicGaussians(
        draw(50, 3),
        draw(50, 4),
        -3 + 0.3 * draw(50, 3),
        draw(50),
        draw(50, 3),
        draw(50, 0, 3),
        draw(50, 8),
        field,
        motion,
    )


@pytest.fixture(params=["mlp", "basis"])
def scene(request):
    """A scene that moves by about its own size, and turns."""
    torch.manual_seed(1)
    if request.param == "mlp":
        field = DeformationField(depth=2, width=32, position_bands=2, time_bands=3)
        torch.nn.init.normal_(field.heads.weight, std=0.1)
        return scene_with(field)
    basis = MotionBasis(motions=4, keys=6)
    torch.nn.init.normal_(basis.shifts, std=0.3)
    with torch.no_grad():
        basis.turns += 0.5 * torch.randn_like(basis.turns)
    return scene_with(basis, torch.randn(50, 4))


def strayed(a, b):
    return float((a.means - b.means).norm(dim=1).max())


@pytest.mark.parametrize("tolerance", [0.2, 0.02])
def test_error_is_within_what_was_asked(scene, tolerance):
    baked = bake(scene, tolerance)
    assert baked.within
    assert baked.error <= tolerance
    with torch.no_grad():
        for time in torch.linspace(0, 1, 37).tolist():
            assert strayed(baked.scene.at(time), scene.at(time)) <= tolerance


def test_more_keys_for_less_error(scene):
    rough, fine = bake(scene, 0.3), bake(scene, 0.004)
    assert rough.keys < fine.keys
    assert fine.error < rough.error


def test_bound_on_keys_is_kept_and_said(scene):
    baked = bake(scene, 1e-5, max_keys=9)
    assert baked.keys == 9
    assert not baked.within
    assert baked.error > 1e-5


def test_a_turn_by_more_than_half_is_followed():
    basis = MotionBasis(motions=2, keys=2)
    with torch.no_grad():
        basis.turns[1, 1] = torch.tensor([1e-3, 0.0, 0.0, -1.0])  # almost 180 degrees, and quaternions of any sign
    scene = scene_with(basis, torch.tensor([[-9.0, 9.0]]).repeat(50, 1))
    scene = replace(scene, quats=scene.quats * torch.where(torch.arange(50) % 2 == 0, 1.0, -1.0)[:, None])
    baked = bake(scene, 0.05)
    assert baked.within


def test_a_subset_of_a_baked_scene_moves_as_the_whole(scene):
    baked = bake(scene, 0.1).scene
    some = torch.arange(50) % 3 == 0
    assert torch.equal(baked.subset(some).at(0.37).means, baked.at(0.37).means[some])


def test_outside_the_key_times_nothing_moves():
    keys = KeyTimes(torch.tensor([0.25, 0.75], dtype=torch.float64))
    scene = scene_with(keys, torch.randn(50, 2, 10))
    assert torch.equal(scene.at(0.0).means, scene.at(0.25).means)
    assert torch.equal(scene.at(1.0).means, scene.at(0.75).means)
    torch.testing.assert_close(scene.at(0.5).means, (scene.at(0.25).means + scene.at(0.75).means) / 2)


def test_bad_numbers_are_refused(scene):
    with pytest.raises(ValueError, match="tolerance"):
        bake(scene, 0.0)
    with pytest.raises(ValueError, match="max_keys"):
        bake(scene, 0.1, max_keys=1)
    with pytest.raises(ValueError, match="at rest"):
        bake(scene_with(None), 0.1)
