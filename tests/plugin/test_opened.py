"""Opening whatever holds a scene."""

from dataclasses import replace

import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.plugin.opened import open_scene
from trase_ns.scene import quaternions
from trase_ns.scene.baked import KeyTimes
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.ply import write_ply
from trase_ns.scene.portable import Portable, write_portable
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(3)
    return DynamicGaussians(
        torch.randn(20, 3, generator=generator),
        quaternions.random(20, generator),
        torch.full((20, 3), -2.0),
        torch.ones(20),
        torch.randn(20, 3, generator=generator),
        torch.zeros(20, 3, 3),
        torch.zeros(20, 4),
        KeyTimes(torch.tensor([0.0, 1.0])),
        torch.randn(20, 2, 10, generator=generator),
    )


def test_a_ply_is_a_scene_at_rest_with_cameras_that_see_it(scene, tmp_path):
    write_ply(tmp_path / "cup.PLY", scene.at(0.3))
    opened = open_scene(tmp_path / "cup.PLY", "cpu")
    assert (opened.name, opened.directory, opened.run, opened.segmentation) == ("cup", tmp_path, None, None)
    torch.testing.assert_close(opened.scene.at(0.9).means, scene.at(0.3).means)
    assert opened.rasterize_mode == "classic"
    assert opened.background.tolist() == [0, 0, 0]
    for camera in opened.cameras:
        local = opened.scene.means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        assert (local[:, 2] > 0).float().mean() > 0.8
    with pytest.raises(UserError, match="without its data set"):
        opened.frame("image1")


def test_a_portable_scene_is_all_that_it_holds(scene, tmp_path):
    objects = Segmentation.from_members([torch.arange(5), torch.arange(5, 9)], 20)
    cameras = tuple(Camera.from_opengl(torch.eye(4), 50, 50, 40, 30, 80, 60, time) for time in (0.7, 0.2))
    turn = quaternions.to_matrix(torch.tensor([0.9, 0.1, -0.3, 0.2]))
    back = Similarity(turn, torch.tensor([1.0, 2.0, 3.0]), 4.0)
    content = Portable(scene, objects.to_state(), ("arm", "book"), cameras, (0.2, 0.4, 0.6), data_world=back)
    path = tmp_path / "arm.safetensors"
    write_portable(path, content)
    opened = open_scene(path, "cpu")
    torch.testing.assert_close(opened.scene.at(0.4).means, scene.at(0.4).means)
    assert opened.segmentation is not None
    assert opened.segmentation.members(0).equal(objects.members(0))
    assert opened.names == ("arm", "book")
    assert [camera.time for camera in opened.cameras] == pytest.approx([0.2, 0.7])
    assert opened.background.tolist() == pytest.approx([0.2, 0.4, 0.6])
    points = torch.randn(4, 3)
    assert opened.world is not None
    torch.testing.assert_close(opened.world.points(back.points(points)), points, atol=1e-5, rtol=1e-5)
    assert (opened.name, opened.directory) == ("arm", tmp_path)


def test_a_portable_scene_without_cameras_gets_some(scene, tmp_path):
    write_portable(tmp_path / "a.safetensors", Portable(scene))
    opened = open_scene(tmp_path / "a.safetensors")
    assert len(opened.cameras) > 2
    assert opened.world is None
    assert opened.segmentation is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.ply", "missing.ply"),
        ("missing.safetensors", "missing.safetensors"),
        ("missing", "no run at"),
        ("notes.txt", "is no scene"),
        ("broken.ply", "broken.ply"),
        ("broken.safetensors", "broken.safetensors"),
    ],
)
def test_what_is_no_scene_is_one_message(tmp_path, name, says):
    for file in ("notes.txt", "broken.ply", "broken.safetensors"):
        (tmp_path / file).write_text("words")
    with pytest.raises(UserError, match=says):
        open_scene(tmp_path / name)


def test_an_empty_ply_is_refused(scene, tmp_path):
    write_ply(tmp_path / "a.ply", replace(scene, field=None, motion=None).at(0))
    text = (tmp_path / "a.ply").read_bytes().replace(b"element vertex 20", b"element vertex 0")
    header = text.index(b"end_header\n") + len(b"end_header\n")
    (tmp_path / "a.ply").write_bytes(text[:header])
    with pytest.raises(UserError, match="no Gaussians"):
        open_scene(tmp_path / "a.ply")


@pytest.mark.slow
def test_a_run_is_opened_with_its_data_set(tiny_run):
    opened = open_scene(tiny_run.parent, "cpu")
    run = opened.run
    assert run is not None
    assert (opened.path, opened.directory, opened.name) == (tiny_run, tiny_run.parent, "tiny")
    assert [camera.time for camera in opened.cameras] == pytest.approx([frame.time for frame in run.frames])
    assert opened.segmentation is not None
    assert len(opened.segmentation.labels) == len(opened.scene)
    frame = opened.frame(run.frames[3].name)
    assert frame.camera.viewmat.equal(run.frames[3].camera.viewmat)
    assert opened.world is not None
    position = opened.world.points(torch.from_numpy(frame.source.c2w[None, :3, 3]))
    torch.testing.assert_close(position[0].float(), frame.camera.position, atol=1e-4, rtol=0)
