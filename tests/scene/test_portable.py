"""A portable file gives back the scene that was written: fields, objects, and all that the header says."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from trase_ns.errors import UserError
from trase_ns.render import render_view
from trase_ns.scene.arrangement import Arrangement, Part
from trase_ns.scene.baked import bake
from trase_ns.scene.camera import Camera
from trase_ns.scene.clock import backwards
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis
from trase_ns.scene.portable import Portable, read_portable, write_portable
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation

N = 60
CAMERA = Camera(torch.eye(4), torch.tensor([[60.0, 0, 32], [0, 60.0, 24], [0, 0, 1]]), 64, 48, 0.25)


def some_scene(kind="none"):
    """Gaussians in front of the camera that move by about their distance to each other."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    scene = DynamicGaussians(
        draw(N, 3) + torch.tensor([0.0, 0.0, 5.0]), draw(N, 4), -1.5 + 0.3 * draw(N, 3), draw(N), draw(N, 3),
        0.2 * draw(N, 3, 3), draw(N, 8) / 3,
    )  # fmt: skip
    if kind in ("mlp", "keys"):
        field = DeformationField(depth=2, width=16, position_bands=2, time_bands=2)
        torch.nn.init.normal_(field.heads.weight, std=0.1, generator=generator)
        scene = replace(scene, field=field)
        return scene if kind == "mlp" else bake(scene, 0.2).scene
    basis = MotionBasis(motions=4, keys=5)
    torch.nn.init.normal_(basis.shifts, std=0.3, generator=generator)
    moving = replace(scene, field=basis, motion=draw(N, 4))
    if kind == "arrangement":
        turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
        placements = [Similarity.identity(), Similarity(turn, torch.ones(3, dtype=torch.float64), 0.5)]
        number = torch.arange(N)
        parts = [Part(basis, moving.motion), Part(basis, moving.motion, (backwards(),))]
        arranged = Arrangement(parts, number % 2, number, placements, (number > 40).long())
        hidden = scene.logit_opacities.masked_fill(number < 5, -torch.inf)
        return replace(scene, field=arranged, motion=number, logit_opacities=hidden)
    return moving if kind == "basis" else scene


def some_objects(scene):
    members = [torch.arange(0, 30), torch.arange(10, 20), torch.arange(40, 55)]
    return Segmentation.from_members(members, N, features=scene.features, summary={"method": "by hand"})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "scene.safetensors"


@pytest.mark.parametrize("kind", ["none", "mlp", "basis", "keys", "arrangement"])
def test_scenes_of_every_kind_come_back(path, kind):
    scene = some_scene(kind)
    write_portable(path, Portable(scene))
    again = read_portable(path)
    assert type(again.scene.field) is type(scene.field)
    for time in (0.0, 0.4, 1.0):
        before, after = scene.at(time), again.scene.at(time)
        for name in ("means", "quats", "scales", "opacities", "sh"):
            assert torch.equal(getattr(before, name), getattr(after, name))
        with torch.no_grad():
            assert torch.equal(render_view(after, CAMERA).color, render_view(before, CAMERA).color)
    torch.testing.assert_close(again.scene.features, scene.features, rtol=2**-10, atol=1e-6)
    assert again == Portable(again.scene)


def test_features_at_full_precision_when_asked(path):
    scene = some_scene()
    write_portable(path, Portable(scene), half_features=False)
    assert torch.equal(read_portable(path).scene.features, scene.features)
    full = path.stat().st_size
    write_portable(path, Portable(scene))
    assert full - path.stat().st_size == pytest.approx(N * 8 * 2, abs=16)
    assert not torch.equal(read_portable(path).scene.features, scene.features)


def test_all_that_is_said_beside_the_scene_comes_back(path):
    scene = some_scene("basis")
    objects = some_objects(scene)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))).Q
    turn = turn * turn.det()
    content = Portable(
        scene,
        objects.to_state(),
        names=("left hand", "book", "Tasse ☕"),
        cameras=(CAMERA, CAMERA.at(1.0)),
        background=(1.0, 0.5, 0.0),
        fps=29.97,
        duration=2.5,
        data_world=Similarity(turn, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), 4.0),
    )
    write_portable(path, content)
    again = read_portable(path)
    assert (again.names, again.background) == (content.names, content.background)
    assert (again.fps, again.duration) == (29.97, 2.5)
    for before, after in zip(content.cameras, again.cameras, strict=True):
        assert torch.equal(after.viewmat, before.viewmat)
        assert torch.equal(after.K, before.K)
        assert (after.width, after.height, after.time) == (before.width, before.height, before.time)
    assert torch.equal(again.data_world.rotation, turn)
    assert torch.equal(again.data_world.translation, content.data_world.translation)
    assert again.data_world.scale == 4.0
    segmentation = Segmentation.from_state(again.objects)
    assert len(segmentation) == 3
    assert segmentation.summary == {"method": "by hand"}
    for i in range(3):
        assert torch.equal(segmentation.members(i), objects.members(i))
    assert torch.equal(segmentation.centres, objects.centres)
    assert segmentation.parents.tolist() == objects.parents.tolist()


def test_what_is_read_can_be_written_again_and_is_the_same_file(path):
    scene = some_scene("arrangement")
    write_portable(path, Portable(scene, some_objects(scene).to_state(), cameras=(CAMERA,)))
    write_portable(path.with_name("again.safetensors"), read_portable(path))
    assert path.with_name("again.safetensors").read_bytes() == path.read_bytes()


def test_the_file_is_plain_safetensors_with_a_json_header(path):
    write_portable(path, Portable(some_scene("keys")))
    with safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["trase_scene"])
        assert header["version"] == 1
        assert header["field"] == {"kind": "keys", "spec": {}}
        assert file.get_tensor("features").dtype == "float16"
        assert {"means", "motion", "field.times"} <= set(file.keys())


def test_what_was_read_does_not_hang_on_the_file(path):
    write_portable(path, Portable(some_scene("basis")))
    scene = read_portable(path).scene
    means = scene.at(0.5).means.clone()
    with open(path, "r+b") as file:  # in place: a mapped file would change under the scene
        file.write(b"\xff" * path.stat().st_size)
    assert torch.equal(scene.at(0.5).means, means)


def test_broken_gaussians_are_hidden_and_the_others_keep_their_numbers(path, capsys):
    scene = some_scene("basis")
    scene.means[7, 1], scene.log_scales[8, 0], scene.motion[9, 2] = float("nan"), 200.0, float("inf")
    write_portable(path, Portable(scene, some_objects(scene).to_state()))
    again = read_portable(path).scene
    assert again.at(0.3).opacities[7:10].tolist() == [0, 0, 0]
    others = torch.ones(N, dtype=torch.bool)
    others[7:10] = False
    assert torch.equal(again.subset(others).at(0.3).means, scene.subset(others).at(0.3).means)
    assert "3 Gaussians that are not finite" in capsys.readouterr().err.replace("\n", " ")
    assert scene.means[7, 1].isnan()  # what was given is as it was


def test_what_could_not_be_read_is_not_written(path):
    scene = some_scene("basis")
    state = some_objects(scene).to_state()
    broken = some_scene("basis")
    with torch.no_grad():
        broken.field.turns[0, 0, 0] = float("nan")
    for content, said in [
        (Portable(scene.subset(torch.zeros(N, dtype=torch.bool))), "no Gaussians"),
        (Portable(broken), "turns of the field"),
        (Portable(scene, state, names=("a", "b")), "3 objects"),
        (Portable(scene, state, names=("a", "b", "c\n")), "is no name"),
        (Portable(scene, state, names=("a", "b", "c" * 10_000)), "is no name"),
        (Portable(scene, Segmentation.from_members([torch.arange(3)], N - 1).to_state()), "labels of the objects"),
        (Portable(scene, fps=float("nan")), "fps"),
        (Portable(scene, duration=-1.0), "duration"),
        (Portable(scene, background=(0.0, float("nan"), 0.0)), "background"),
        (Portable(scene, cameras=(replace(CAMERA, viewmat=torch.ones(4, 4)),)), "no rotation"),
        (Portable(scene, cameras=(replace(CAMERA, width=10**9),)), "width of camera 0"),
    ]:
        with pytest.raises(UserError, match=said) as caught:
            write_portable(path, content)
        assert str(path) in str(caught.value)
    assert not path.parent.exists() or not list(path.parent.iterdir())
