"""Motions keep what they must: lengths of rigid bodies, the volume of soft ones."""

import numpy as np
import pytest

from trase_ns.synthetic.motion import rigid, rotation, squash_and_bend, still, translation
from trase_ns.synthetic.shapes import lathe


def test_rotations_turn_right_handed():
    x, y, z = np.eye(3)
    for axis, before, after in (("x", y, z), ("y", z, x), ("z", x, y)):
        assert np.allclose(rotation(axis, np.pi / 2)[:3, :3] @ before, after)


def test_rigid_motion_keeps_distances():
    points = np.random.default_rng(0).standard_normal((5, 3))
    moved = rigid(lambda t: translation(t, 2, 3) @ rotation("y", t))(points, 0.7)
    distance = lambda p: np.linalg.norm(p[:, None] - p[None], axis=-1)  # noqa: E731
    assert np.allclose(distance(moved), distance(points))
    assert not np.allclose(moved, points)


def test_still_is_the_same_at_all_times():
    motion = still(translation(1, 2, 3))
    assert np.array_equal(motion(np.zeros((1, 3)), 0.0), motion(np.zeros((1, 3)), 1.0))


@pytest.mark.parametrize("bend", [0.0, 0.6])
def test_soft_body_keeps_its_volume(bend):
    mesh = lathe(np.array([(0, 1), *((0.4, z) for z in np.linspace(1, 0, 20)), (0, 0)]))
    motion = squash_and_bend(lambda t: 1 + 0.3 * t, lambda t: bend * t, lambda t: np.eye(4), 1.0)

    def volume(vertices):
        return np.linalg.det(vertices[mesh.faces]).sum() / 6

    rest, late = motion(mesh.vertices, 0.0), motion(mesh.vertices, 1.0)
    assert np.allclose(rest, mesh.vertices)
    assert np.abs(late - rest).max() > 0.1
    assert volume(late) == pytest.approx(volume(rest), rel=0.02)


def test_bent_body_leans_towards_x_on_a_fixed_foot():
    motion = squash_and_bend(lambda t: 1.0, lambda t: 0.5, lambda t: np.eye(4), 1.0)
    foot, top = motion(np.array([[0.0, 0, 0], [0, 0, 1]]), 0.0)
    assert np.allclose(foot, 0)
    assert top[0] > 0.2
    assert top[2] < 1
