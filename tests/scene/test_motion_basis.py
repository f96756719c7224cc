"""Shared rigid motions: interpolation, blending, bodies."""

import pytest
import torch

from trase_ns.scene import quaternions
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis, connected

QUARTER = torch.tensor([0.5**0.5, 0.0, 0.0, 0.5**0.5])  # about z


def scene_of(field, motion, means):
    count = len(means)
    return DynamicGaussians(
        means, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(count, 1), torch.zeros(count, 3), torch.zeros(count),
        torch.zeros(count, 3), torch.zeros(count, 0, 3), torch.zeros(count, 2), field, motion,
    )  # fmt: skip


def one_motion(keys=5):
    """A field of rest and one motion, and the logits of a Gaussian that follows it."""
    return MotionBasis(motions=2, keys=keys), torch.tensor([[-20.0, 20.0]])


def test_untrained_motions_move_nothing():
    field = MotionBasis(motions=6, keys=4)
    means = torch.randn(40, 3)
    scene = scene_of(field, torch.randn(40, 6), means)
    torch.testing.assert_close(scene.at(0.37).means, means)
    torch.testing.assert_close(quaternions.normalise(scene.at(0.37).quats), scene.quats)


def test_rest_never_moves():
    field, _ = one_motion()
    torch.nn.init.normal_(field.shifts)
    torch.nn.init.normal_(field.turns)
    means = torch.randn(3, 3)
    scene = scene_of(field, torch.tensor([[20.0, -20.0]]).repeat(3, 1), means)
    torch.testing.assert_close(scene.at(0.6).means, means)


def test_a_motion_turns_about_its_centre_and_shifts():
    field, logits = one_motion()
    with torch.no_grad():
        field.centres[1] = torch.tensor([1.0, 0.0, 0.0])
        field.shifts[2, 1] = torch.tensor([0.0, 0.0, 5.0])
        field.turns[2, 1] = 3 * QUARTER  # of any length
    moved = scene_of(field, logits, torch.tensor([[2.0, 0.0, 0.0]])).at(0.5)
    torch.testing.assert_close(moved.means, torch.tensor([[1.0, 1.0, 5.0]]))
    torch.testing.assert_close(quaternions.to_matrix(moved.quats), quaternions.to_matrix(QUARTER)[None])


def test_even_motion_is_even_between_keys():
    field, logits = one_motion()
    with torch.no_grad():
        field.shifts[:, 1, 0] = torch.arange(5.0)
    scene = scene_of(field, logits, torch.zeros(1, 3))
    for time in (0.25, 0.4, 0.66):
        assert scene.at(time).means[0, 0].item() == pytest.approx(4 * time, abs=1e-5)
    assert field.acceleration().item() == 0
    assert scene.at(1.7).means.equal(scene.at(1.0).means)


def test_jerks_cost_their_square_and_bounces_less():
    def cost(jump):
        field, _ = one_motion()
        with torch.no_grad():
            field.shifts[2, 1, 0] = jump
        return field.acceleration().item()

    assert cost(2e-3) == pytest.approx(4 * cost(1e-3), rel=0.02)
    assert cost(1.0) == pytest.approx(2 * cost(0.5), rel=0.1)


def test_gradients_reach_logits_and_the_keys_around_a_time():
    field = MotionBasis(motions=3, keys=9)
    torch.nn.init.normal_(field.shifts, std=0.1)
    logits = torch.zeros(4, 3, requires_grad=True)
    scene_of(field, logits, torch.randn(4, 3)).at(0.5).means.square().sum().backward()
    assert logits.grad.abs().min() > 0
    touched = field.shifts.grad.abs().sum((1, 2)) > 0
    assert touched.tolist() == [False] * 4 + [True] + [False] * 4  # at a key only that key
    assert field.shifts.grad[:, 0].abs().max() == 0  # rest


def test_a_body_goes_on_rigidly():
    field = MotionBasis(motions=4, keys=4)
    field.bodies[1:3] = 0
    means = torch.randn(30, 3)
    field.centres[1:] = torch.randn(3, 3)
    speed = torch.tensor([0.2, 0.0, -0.1])
    pivot = field.centres[1:3].mean(0)
    for key in (1, 2, 3):  # what reach should find for 2 and 3
        angle = torch.tensor(0.4 * key)
        turn = torch.stack([(angle / 2).cos(), angle * 0, (angle / 2).sin(), angle * 0])
        if key == 1:
            field.carry(1, torch.tensor([1, 2]), turn, pivot, speed)
            field.reach(0, 1)
        logits = torch.tensor([[-30.0, 1.0, 2.0, -30.0]]).repeat(30, 1)
        expected = (means - pivot) @ quaternions.to_matrix(turn).T + pivot + key * speed
        torch.testing.assert_close(scene_of(field, logits, means).at(key / 3).means, expected, atol=1e-5, rtol=1e-5)


def test_reach_goes_on_backwards_and_leaves_what_is_known():
    field, logits = one_motion(keys=6)
    with torch.no_grad():
        field.shifts[2:4, 1, 1] = torch.tensor([1.0, 3.0])
    field.reach(2, 3)
    assert field.shifts[:, 1, 1].tolist() == [-3.0, -1.0, 1.0, 3.0, 5.0, 7.0]
    field.reach(4, 4)  # one known moment: all as there
    assert field.shifts[:, 1, 1].tolist() == [5.0] * 6


@pytest.fixture
def two_things():
    """Two balls that move over a floor that does not: means, colours, how likely each moves, and the thing of each."""
    random = torch.Generator().manual_seed(0)
    ball = 0.05 * torch.randn(60, 3, generator=random)
    floor = torch.rand(400, 3, generator=random) * torch.tensor([2.0, 2.0, 0.01])
    means = torch.cat([ball + torch.tensor([0.5, 0.5, 0.5]), ball + torch.tensor([1.5, 1.5, 0.5]), floor])
    thing = torch.tensor([0] * 60 + [1] * 60 + [-1] * 400)
    colors = torch.rand(520, 3, generator=random)
    return means, colors, (thing >= 0).float() * 0.9, thing


def test_things_that_touch_are_one(two_things):
    means, _, moving, thing = two_things
    body = connected(means, moving > 0.5)
    assert (body[thing < 0] == -1).all()
    for number in (0, 1):
        assert (body[thing == number] == body[thing == number].mode().values).float().mean() > 0.9
    assert body[0] != body[60]
    assert (connected(means, torch.zeros(520, dtype=torch.bool)) == -1).all()


def test_bodies_have_motions_of_their_own(two_things):
    means, colors, moving, thing = two_things
    field = MotionBasis(motions=16, keys=3)
    logits = field.place(means, colors, moving)
    shares = logits.softmax(1)
    of_body = [field.bodies == number for number in field.bodies[shares[[0, 60]].argmax(1)].tolist()]
    for number in (0, 1):
        inside = shares[thing == number]
        assert (inside[:, of_body[number]].sum(1) > 0.99).float().mean() > 0.9
        assert inside[:, of_body[1 - number]].sum(1).max() < 0.02
    assert (shares[thing < 0][:, 0] > 0.5).float().mean() > 0.8  # the floor rests


def test_a_thing_smaller_than_the_motions_are_apart_gets_one(two_things):
    means, colors, moving, thing = two_things
    field = MotionBasis(motions=3, keys=3)  # fewer than k-means needs to tell the balls from the floor
    shares = field.place(means, colors, moving).softmax(1)
    owners = shares.argmax(1)
    assert owners[0] > 0
    assert owners[60] > 0
    assert owners[0] != owners[60]
