"""Camera paths: read as Nerfstudio reads them, and made of a data set's cameras."""

import json
import math

import numpy as np
import pytest
import torch

from trase_ns.capture.camera_path import freeze, in_order, read_camera_path, smooth, sweep
from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera


def camera(x=0.0, y=0.0, turn=0.0, time=0.0, focal=50.0, width=80, height=60):
    """A camera at (x, y, 0) that is turned by `turn` radians about z."""
    c, s = math.cos(turn), math.sin(turn)
    c2w = torch.tensor([[c, -s, 0, x], [s, c, 0, y], [0, 0, 1, 0.0]])
    return Camera.from_opengl(c2w, focal, focal, width / 2, height / 2, width, height, time)


def turn_of(camera):
    return math.atan2(float(camera.viewmat[0, 1]), float(camera.viewmat[0, 0]))


@pytest.fixture
def saved(tmp_path):
    """Write a path as the Render tab does; `but` changes it."""

    def write(entries=2, **but):
        pose = np.eye(4)
        pose[:3] = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3]]
        entry = {"camera_to_world": pose.flatten().tolist(), "fov": 60.0, "aspect": 4 / 3}
        content = {
            "default_fov": 60.0,
            "keyframes": [],
            "camera_type": "perspective",
            "render_height": 120,
            "render_width": 160,
            "fps": 12,
            "seconds": 0.5,
            "camera_path": [{**entry, "render_time": -0.01 + i} for i in range(entries)],
        } | but
        path = tmp_path / "path.json"
        path.write_text(json.dumps(content))
        return path

    return write


def test_a_saved_path_is_what_nerfstudio_makes_of_it(saved):
    paths = pytest.importorskip("nerfstudio.cameras.camera_paths")
    path = saved()
    content = json.loads(path.read_text())
    theirs = paths.get_path_from_json(content)
    ours = read_camera_path(path)
    assert ours.fps == 12
    for i, mine in enumerate(ours.cameras):
        assert (mine.width, mine.height) == (160, 120)
        assert float(mine.K[0, 0]) == pytest.approx(float(theirs.fx[i]))
        assert float(mine.K[1, 1]) == pytest.approx(float(theirs.fy[i]))
        torch.testing.assert_close(mine.K[:2, 2], torch.tensor([80.0, 60.0]))
        c2w = torch.linalg.inv(mine.viewmat)
        torch.testing.assert_close(c2w[:3, 3], theirs.camera_to_worlds[i, :, 3])
        torch.testing.assert_close(c2w[:3, :3] * torch.tensor([1.0, -1.0, -1.0]), theirs.camera_to_worlds[i, :, :3])
    assert [mine.time for mine in ours.cameras] == [0.0, 0.99]


def test_a_path_without_times_sweeps_them(saved):
    content = json.loads(saved(entries=3).read_text())
    for entry in content["camera_path"]:
        del entry["render_time"]
    path = saved(camera_path=content["camera_path"])
    assert [mine.time for mine in read_camera_path(path).cameras] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("but", "says"),
    [
        ({"camera_type": "fisheye"}, "fisheye"),
        ({"camera_path": []}, "no camera"),
        ({"camera_path": 5}, "no camera path"),
        ({"camera_path": [{"fov": 50}]}, "camera_to_world"),
        ({"camera_path": [{"fov": 50, "camera_to_world": [1.0] * 15}]}, "no camera path"),
        ({"camera_path": [{"fov": 50, "camera_to_world": [math.nan] * 16}]}, "not rigid"),
        ({"camera_path": [{"fov": 50, "camera_to_world": [2.0] * 16}]}, "not rigid"),
        ({"camera_path": [{"fov": 180, "camera_to_world": np.eye(4).tolist()}]}, "field of view"),
        ({"camera_path": [{"fov": 9, "camera_to_world": np.eye(4).tolist(), "render_time": math.inf}]}, "inf"),
        ({"render_width": 1e12}, "side"),
        ({"render_width": -4}, "side"),
        ({"render_height": None}, "no camera path"),
        ({"fps": "many"}, "no camera path"),
    ],
)
def test_a_path_that_makes_no_sense_is_one_message(saved, but, says):
    path = saved(**but)
    with pytest.raises(UserError, match=says) as error:
        read_camera_path(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", '"camera_path"', "[" * 100_000])
def test_a_damaged_file_is_one_message(tmp_path, text):
    (tmp_path / "path.json").write_text(text)
    with pytest.raises(UserError, match="path.json"):
        read_camera_path(tmp_path / "path.json")
    with pytest.raises(UserError, match="cannot read"):
        read_camera_path(tmp_path / "missing.json")


def test_time_sweeps_or_stands():
    cameras = [camera(time=0.3)] * 3
    assert [c.time for c in sweep(cameras)] == [0.0, 0.5, 1.0]
    assert [c.time for c in freeze(cameras, 0.7)] == [0.7] * 3
    assert [c.time for c in sweep(cameras[:1])] == [0.0]


def test_a_video_is_flown_at_its_own_times():
    keys = [camera(x=t, y=t * t, turn=t, time=t, focal=50 + 10 * t) for t in (0.0, 0.1, 0.4, 0.5, 1.0)]
    path = smooth([keys[i] for i in (3, 0, 4, 1, 2)], 21)
    assert [c.time for c in path] == pytest.approx(np.linspace(0, 1, 21))
    for key in keys:  # those at a tenth are on the path
        at = path[round(key.time * 20)]
        torch.testing.assert_close(at.viewmat, key.viewmat, atol=1e-5, rtol=0)
        torch.testing.assert_close(at.K, key.K)
    steps = np.diff([turn_of(c) for c in path])
    assert (steps > 0).all()
    assert steps.max() < 0.1
    assert all(0 <= float(c.position[0]) <= 1 for c in path)


def test_a_rig_is_flown_along_once_whatever_the_order_of_its_frames():
    stands = [0.0, 2.0, 1.0, 3.0]
    rig = [camera(x=x, time=t) for t in (0.0, 0.5, 1.0) for x in stands]
    path = smooth(rig, 7)
    assert [float(c.position[0]) for c in path] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3], abs=1e-5)
    assert [c.time for c in path] == pytest.approx(np.linspace(0, 1, 7))
    relay = [camera(x=stands[i % 4], time=i / 11) for i in range(12)]  # one films at a time, in turns
    assert [float(c.position[0]) for c in smooth(relay, 7)] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5, 3], abs=1e-5)


def test_one_camera_stands_while_time_moves():
    path = smooth([camera(x=1, time=t) for t in (0.0, 0.5, 1.0)], 5)
    assert [c.time for c in path] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(torch.equal(c.viewmat, path[0].viewmat) for c in path)
    assert len(smooth([camera()], 1)) == 1


def test_cameras_that_only_turn_are_told_apart():
    def tilt(angle):
        c, s = math.cos(angle), math.sin(angle)
        c2w = torch.tensor([[1.0, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0]])
        return Camera.from_opengl(c2w, 50, 50, 40, 30, 80, 60)

    path = smooth([tilt(0.0), tilt(0.4)], 3)
    torch.testing.assert_close(path[1].viewmat, tilt(0.2).viewmat, atol=1e-5, rtol=0)


def test_pictures_have_the_size_of_the_first():
    path = smooth([camera(time=0.0), camera(x=1, time=1.0, focal=100, width=160, height=120)], 3)
    assert {(c.width, c.height) for c in path} == {(80, 60)}
    assert float(path[1].K[0, 0]) == pytest.approx(50)


def test_in_order_of_time():
    assert [c.time for c in in_order([camera(time=0.5), camera(time=0.0), camera(time=1.0)])] == [0.0, 0.5, 1.0]
