"""Orbits: around what the cameras look at, from where they looked."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from trase_ns.capture.orbit import looked_at, orbit, surround
from trase_ns.scene import quaternions
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians

FIELDS = ("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "features")
CENTRE = torch.tensor([1.0, -2.0, 0.5])


def ball(centre=CENTRE, count=300, spread=0.2, opacity=3.0):
    generator = torch.Generator().manual_seed(2)
    return DynamicGaussians(
        centre + spread * torch.randn(count, 3, generator=generator),
        quaternions.random(count, generator),
        torch.full((count, 3), -3.0),
        torch.full((count,), opacity),
        torch.zeros(count, 3),
        torch.zeros(count, 0, 3),
        torch.zeros(count, 4),
    )


def filmed_from(azimuth, elevation=0.4, distance=4.0, axis=2, time=0.0):
    """A camera that looks at CENTRE; `axis` is up."""
    a, e = azimuth, elevation
    level = np.roll([math.cos(a), math.sin(a), 0.0], axis - 2)
    up = np.roll([0.0, 0.0, 1.0], axis - 2)
    back = math.cos(e) * level + math.sin(e) * up
    right = np.cross(up, level)
    c2w = np.stack([right, np.cross(back, right), back, CENTRE.numpy() + distance * back], axis=1)
    return Camera.from_opengl(torch.from_numpy(c2w), 100, 100, 40, 30, 80, 60, time)


def offsets(cameras):
    return torch.stack([camera.position for camera in cameras]) - CENTRE


def up_of(camera):
    return -camera.viewmat[1, :3]


def test_the_centre_is_what_the_cameras_see():
    found = looked_at([filmed_from(a) for a in (0.0, 0.3, 0.6)], ball())
    assert found == pytest.approx(CENTRE.numpy(), abs=0.1)
    far_behind = ball(CENTRE + 50, opacity=-9.0)  # as good as transparent
    both = DynamicGaussians(*(torch.cat([getattr(s, f) for s in (ball(), far_behind, far_behind)]) for f in FIELDS))
    assert looked_at([filmed_from(0.0)], both) == pytest.approx(CENTRE.numpy(), abs=0.1)


def test_cameras_that_see_nothing_fall_back_on_the_scene():
    away = ball(CENTRE + torch.tensor([40.0, 0, 0]))
    assert looked_at([filmed_from(0.0)], away) == pytest.approx((CENTRE + torch.tensor([40.0, 0, 0])).numpy(), abs=0.1)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_scene_filmed_all_around_is_gone_around(axis):
    cameras = [filmed_from(2 * math.pi * i / 9, axis=axis) for i in range(9)]
    path = orbit(cameras, ball(), 24)
    away = offsets(path)
    torch.testing.assert_close(away.norm(dim=1), torch.full((24,), 4.0), atol=0.1, rtol=0)
    torch.testing.assert_close(away[:, axis], torch.full((24,), 4 * math.sin(0.4)), atol=0.1, rtol=0)
    level = [i for i in range(3) if i != axis]
    angles = np.unwrap(np.arctan2(*away[:, level].T.double().numpy()))
    assert abs(angles[-1] - angles[0]) == pytest.approx(2 * math.pi * 23 / 24, abs=0.1)
    assert np.abs(np.diff(angles)).max() < 0.3
    assert [camera.time for camera in path] == pytest.approx(np.linspace(0, 1, 24))


def test_every_camera_of_an_orbit_looks_at_the_centre_and_stands_upright():
    for camera in orbit([filmed_from(2 * math.pi * i / 9) for i in range(9)], ball(), 7):
        local = camera.viewmat[:3, :3] @ CENTRE + camera.viewmat[:3, 3]
        assert abs(float(local[0] / local[2])) < 0.03
        assert abs(float(local[1] / local[2])) < 0.03
        assert float(local[2]) > 3
        assert float(up_of(camera)[2]) > 0.8
        assert float(camera.viewmat[0, 2]) == pytest.approx(0, abs=0.02)  # no roll
        assert float(torch.linalg.det(camera.viewmat[:3, :3])) == pytest.approx(1, abs=1e-5)
        assert (camera.width, camera.height) == (80, 60)


def test_a_scene_filmed_from_one_side_is_seen_from_there_only():
    azimuths = [2.8, 3.1, 3.4, 3.7]  # across the jump of the angle at pi
    path = orbit([filmed_from(a) for a in azimuths], ball(), 40)
    away = offsets(path)
    angles = np.mod(np.arctan2(away[:, 1].numpy(), away[:, 0].numpy()), 2 * math.pi)
    assert angles.min() == pytest.approx(2.8, abs=0.08)
    assert angles.max() == pytest.approx(3.7, abs=0.08)
    assert np.abs(np.diff(np.append(angles, angles[0]))).max() < 0.15  # comes back to where it began


def test_a_single_camera_swings_a_little():
    path = orbit([filmed_from(0.5)], ball(), 40)
    angles = np.arctan2(*offsets(path)[:, [1, 0]].T.numpy())
    assert np.ptp(angles) == pytest.approx(math.radians(20), abs=0.05)


@pytest.mark.parametrize("count", [300, 1])
def test_made_cameras_see_a_scene_from_all_sides(count):
    scene = ball(count=count)
    cameras = surround(scene)
    around = torch.stack([camera.position for camera in cameras]) - scene.means.mean(dim=0)
    angles = np.sort(np.arctan2(around[:, 1].numpy(), around[:, 0].numpy()))
    assert np.diff(np.append(angles, angles[0] + 2 * math.pi)).max() < 1.6
    assert [camera.time for camera in cameras] == pytest.approx(np.linspace(0, 1, len(cameras)))
    for camera in cameras:
        local = scene.means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = local @ camera.K.T
        x, y = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]
        inside = (local[:, 2] > 0) & (x > 0) & (x < camera.width) & (y > 0) & (y < camera.height)
        assert inside.float().mean() > 0.8
    assert len(orbit(cameras, scene, 12)) == 12
    surround(scene.subset(torch.zeros(count, dtype=torch.bool)))


def test_the_first_made_camera_has_the_least_in_its_way():
    """A ball in a room of three walls that is open to -y."""
    generator = torch.Generator().manual_seed(4)
    inside = ball(torch.zeros(3), 2000, spread=0.6)
    across, height = (4 * torch.rand(500, generator=generator) - 2 for _ in range(2))
    walls = [torch.stack([torch.full((500,), side), across, height], dim=1) for side in (-2.0, 2.0)]
    walls.append(torch.stack([across, torch.full((500,), 2.0), height], dim=1))
    wall = replace(ball(count=1500), means=torch.cat(walls), log_scales=torch.full((1500, 3), -1.5))
    room = DynamicGaussians(*(torch.cat([getattr(s, f) for s in (inside, wall)]) for f in FIELDS))
    position = surround(room)[0].position
    assert float(position[1]) < -abs(float(position[0]))
