"""Things that jump between two moments are found by their colours; what says nothing is left alone."""

from dataclasses import replace

import pytest
import torch

from trase_ns.learning.motion_evidence import motion_evidence
from trase_ns.learning.tracking import Tracker
from trase_ns.render import render_view
from trase_ns.scene import quaternions
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis

BACKGROUND = torch.full((3,), 0.5)
TURN = quaternions.normalise(torch.tensor([1.0, 0.1, 0.2, -0.15]))
SHIFT = torch.tensor([0.35, -0.2, 0.25])


def camera(azimuth):
    """A camera that looks at the origin from 3 units away, z up."""
    angle = torch.tensor(float(azimuth)).deg2rad()
    back = torch.stack([angle.sin(), -angle.cos(), torch.tensor(0.3)])
    back = back / back.norm()
    right = torch.stack([angle.cos(), angle.sin(), torch.tensor(0.0)])
    pose = torch.eye(4)
    pose[:3] = torch.stack([right, torch.linalg.cross(back, right), back, 3 * back], dim=1)
    return Camera.from_opengl(pose, 120.0, 120.0, 48.0, 36.0, 96, 72)


CAMERAS = [camera(azimuth) for azimuth in (-50, -15, 20, 55)]


@pytest.fixture
def scene():
    """A coloured ball, 0.12 in radius, and a plate below it that rests; known at the first of three key times."""
    random = torch.Generator().manual_seed(0)
    ball = torch.nn.functional.normalize(torch.randn(150, 3, generator=random), dim=1) * 0.12
    plate = torch.rand(300, 3, generator=random) * torch.tensor([2.0, 2.0, 0.01]) - torch.tensor([1.0, 1.0, 0.6])
    means = torch.cat([ball, plate])
    colors = torch.cat([(ball > 0).float(), torch.full((300, 3), 0.3)])
    field = MotionBasis(motions=8, keys=3)
    moving = torch.cat([torch.ones(150), torch.zeros(300)])
    count = len(means)
    return DynamicGaussians(
        means, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1), torch.full((count, 3), -3.6),
        torch.full((count,), 3.0), (colors - 0.5) / 0.28209479177387814, torch.zeros(count, 0, 3),
        torch.zeros(count, 2), field, field.place(means, colors, moving),
    )  # fmt: skip


def moved(scene, turn, shift):
    """The scene with its ball elsewhere, at rest."""
    means = scene.means.clone()
    means[:150] = means[:150] @ quaternions.to_matrix(turn).T + shift
    return replace(scene, means=means, field=None, motion=None)


def pictures(scene, cameras=CAMERAS):
    return [(c, render_view(scene.at(0.0), c, background=BACKGROUND).color) for c in cameras]


def views_of(first, second, cameras=CAMERAS):
    taken = [pictures(first, cameras), pictures(second, cameras), pictures(second, cameras)]
    return lambda key, keys: taken[key]


@torch.no_grad()
def follow(scene, views):
    tracker = Tracker(views)
    tracker.follow(scene, (0.0, 0.0))
    tracker.follow(scene, (0.0, 0.5))
    return tracker


@torch.no_grad()
def strayed(scene, truth, time=0.5):
    return (scene.at(time).means[:150] - truth.means[:150]).norm(dim=1).mean()


def test_a_ball_that_jumps_twice_its_width_and_turns_is_found(scene):
    truth = moved(scene, TURN, SHIFT)  # 0.48 for a width of 0.24
    assert strayed(scene, truth) > 0.45
    follow(scene, views_of(scene, truth))
    assert strayed(scene, truth) < 0.05
    torch.testing.assert_close(scene.at(0.5).means[150:], scene.means[150:], atol=1e-3, rtol=0)


def test_where_it_is_already_nothing_is_searched(scene):
    with torch.no_grad():
        motions = torch.nonzero(scene.field.bodies >= 0)[:, 0]
        scene.field.carry(1, motions, TURN, torch.zeros(3), SHIFT)
    tracker = Tracker(views_of(scene, moved(scene, TURN, SHIFT)))
    scene.field.reached[:] = torch.tensor([0, 0])
    known = scene.field.shifts.clone()
    tracker.follow(scene.detach(), (0.0, 0.5))
    assert torch.equal(scene.field.shifts[:2], known[:2])


def test_one_picture_of_a_moment_is_left_to_the_gradient(scene):
    follow(scene, views_of(scene, moved(scene, TURN, SHIFT), CAMERAS[:1]))
    torch.testing.assert_close(scene.at(0.5).means, scene.means)


def test_what_is_hidden_everywhere_is_not_moved_to_what_looks_unlike_it(scene):
    empty = moved(scene, TURN, torch.tensor([0.0, 0.0, 50.0]))
    follow(scene, views_of(scene, empty))
    assert strayed(scene, scene) < 0.9  # no farther than a search goes
    assert scene.at(0.5).means.isfinite().all()


def test_what_got_lost_is_found_when_all_moments_are_reached(scene):
    tracker = follow(scene, views_of(scene, moved(scene, TURN, SHIFT)))
    tracker.follow(scene, (0.0, 1.0))
    with torch.no_grad():
        scene.field.shifts[2] += torch.tensor([0.3, 0.3, 0.0])
    assert strayed(scene, moved(scene, TURN, SHIFT), 1.0) > 0.3
    tracker.follow(scene, None)
    assert strayed(scene, moved(scene, TURN, SHIFT), 1.0) < 0.06


def test_two_things_that_touched_part(scene):
    """Half of the ball stays and half goes: one body no longer explains the pictures."""
    means = scene.means.clone()
    low = means[:150, 2] < 0
    means[:150][low] -= torch.tensor([0.0, 0.0, 0.08])
    joined = replace(scene, means=means)
    apart = means.clone()
    apart[:150][low] += torch.tensor([0.4, 0.0, 0.0])
    at_rest, after = (replace(scene, means=m, field=None, motion=None) for m in (means, apart))
    assert len(scene.field.bodies.unique()) == 2  # none, and the ball
    follow(joined, views_of(at_rest, after))
    assert len(scene.field.bodies.unique()) >= 3
    with torch.no_grad():
        assert (joined.at(0.5).means[:150] - apart[:150]).norm(dim=1).median() < 0.06


def test_evidence_tells_what_moves_from_what_something_passes(scene):
    views = pictures(scene, CAMERAS[:1])
    for k in range(6):
        views += pictures(moved(scene, TURN, torch.tensor([0.15 * (k - 3), 0.1, 0.25 + 0.1 * k])), CAMERAS)
    moving = motion_evidence(scene.at(0.0), views, BACKGROUND)
    assert moving.min() >= 0
    assert moving.max() <= 1
    assert moving[:150].median() > 0.5
    assert moving[150:].quantile(0.95) < 0.2
