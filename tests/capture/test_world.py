"""The training world: where cameras look is the origin, z is up, and points project where they did."""

import numpy as np
import pytest
import torch

from trase_ns.capture.world import normalise, points_in_view
from trase_ns.scene.camera import Camera


def orbit(count=12, radius=4.0, centre=(3.0, -2.0, 5.0)):
    """Cameras around `centre` at half its height, looking at it, y up; OpenGL axes."""
    poses = []
    for angle in np.linspace(0, 1.8 * np.pi, count):
        position = np.array(centre) + radius * np.array([np.cos(angle), 0.3, np.sin(angle)])
        back = position - centre
        back /= np.linalg.norm(back)
        right = np.cross([0, 1, 0], back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3] = np.stack([right, np.cross(back, right), back, position], axis=1)
        poses.append(pose)
    return np.stack(poses)


@pytest.mark.parametrize("points", [None, np.array([[3.0, -2.0, 5.0], [3.1, -2.0, 5.0], [2.9, -1.9, 5.1]])])
def test_what_the_cameras_look_at_is_the_origin(points):
    world = normalise(orbit(), points)
    # The orbit is not closed, so the mean of its points of view is near the centre, not on it.
    assert np.linalg.norm(world.points(np.array([[3.0, -2.0, 5.0]]))) < 0.1
    poses = world.poses(orbit())
    assert np.abs(np.linalg.norm(poses[:, :, 3] - poses[:, :, 3].mean(0), axis=1)).max() == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(np.linalg.det(poses[:, :, :3]), 1.0, atol=1e-9)
    assert poses[:, 2, 1].mean() > 0.9  # the cameras' up is z


def test_points_project_where_they_did():
    c2w = orbit()
    points = np.random.default_rng(0).normal(size=(20, 3)) + [3.0, -2.0, 5.0]
    world = normalise(c2w, points)

    def project(pose, positions):
        camera = Camera.from_opengl(torch.from_numpy(pose), 100, 90, 50, 40, 100, 80)
        local = torch.from_numpy(positions).float() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = local @ camera.K.T
        return (pixels[:, :2] / pixels[:, 2:]).numpy()

    for before, after in zip(c2w, world.poses(c2w)):
        np.testing.assert_allclose(project(after, world.points(points)), project(before, points), atol=1e-2)


def test_a_camera_at_rest_has_a_world_too():
    pose = orbit(1)
    world = normalise(np.repeat(pose, 5, axis=0), None)
    assert np.isfinite(world.poses(pose)).all()
    assert 0 < world.near < world.far


def test_upside_down_cameras_are_turned():
    flipped = orbit() @ np.diag([-1.0, -1.0, 1.0, 1.0])
    assert normalise(flipped, None).poses(flipped)[:, 2, 1].mean() > 0.9


def test_random_points_are_seen():
    poses = normalise(orbit(), None).poses(orbit())
    tan = np.tile([0.5, 0.4], (len(poses), 1))
    points = points_in_view(poses, tan, 1.0, 3.0, count=500, seed=3)
    local = np.einsum("fij,fpi->fpj", poses[:, :, :3], points[None] - poses[:, None, :, 3])
    depth = -local[..., 2]
    seen = (depth > 1 - 1e-4) & (depth < 3 + 1e-4)
    seen &= (np.abs(local[..., :2]) <= depth[..., None] * [0.5, 0.4] + 1e-4).all(-1)
    assert seen.any(axis=0).all()
    np.testing.assert_array_equal(points, points_in_view(poses, tan, 1.0, 3.0, count=500, seed=3))


def test_named_depths_set_the_scale_where_the_cameras_look_side_by_side():
    poses = np.stack([np.eye(4)] * 5)
    poses[:, 0, 3] = np.linspace(-1, 1, 5)  # parallel axes, OpenGL: towards -z
    world = normalise(poses, bounds=(10.0, 40.0))
    assert world.scale == pytest.approx(1 / 10)  # half of 20, the depth between
    assert (world.near, world.far) == pytest.approx((1.0, 4.0))
    np.testing.assert_allclose(world.points(np.array([[0.0, 0.0, -20.0]])), [[0, 0, 0]], atol=1e-9)
    assert normalise(poses).scale == pytest.approx(1.0)
