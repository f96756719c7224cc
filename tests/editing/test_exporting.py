"""What is exported is what is shown: at a time, as a sequence, moving in one file, and as a table."""

import csv
import os

import numpy as np
import pytest
import torch

from trase_ns.editing import exporting, operations
from trase_ns.editing.exporting import Item, Options, Surroundings
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.scene import clock, quaternions
from trase_ns.scene.camera import Camera
from trase_ns.scene.motion_basis import MotionBasis
from trase_ns.scene.ply import ids_path, read_ply
from trase_ns.scene.portable import read_portable
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation

TURN = quaternions.to_matrix(torch.tensor([0.8, 0.0, 0.6, 0.0], dtype=torch.float64))
MOVE = Similarity.about(torch.tensor([1.0, 2.0, 3.0]), TURN, torch.tensor([0.5, 0.0, 0.0]), 2.0)
WORLD = Similarity(TURN, torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), 0.25)


@pytest.fixture
def studio(scene):
    """Three things that move by shared motions: a portable file knows what these are."""
    field = MotionBasis(3, 4).requires_grad_(False)
    torch.manual_seed(0)
    field.shifts.data.normal_(std=0.3)
    moving = type(scene)(**{**scene.__dict__, "field": field, "motion": torch.randn(len(scene), 3)})
    things = [torch.arange(i * 10, (i + 1) * 10) for i in range(3)]
    segmentation = Segmentation.from_members(things, len(scene), features=scene.features)
    return Studio(lambda: moving, lambda: segmentation)


def select(studio, number):
    studio.select_object(number, "replace")
    return Item("", studio.selection())


def test_a_moment_is_where_things_are_then(studio, tmp_path):
    item = select(studio, 1)
    (path,) = exporting.export(studio, item, tmp_path / "new" / "folder", Options(time=0.25))
    assert path.name == "time0.250.ply"
    gaussians, expected = read_ply(path), studio.scene().at(0.25).subset(item.rows)
    torch.testing.assert_close(gaussians.means, expected.means)
    torch.testing.assert_close(gaussians.scales, expected.scales)
    torch.testing.assert_close(gaussians.sh, expected.sh)
    assert np.load(ids_path(path)).tolist() == [1] * 10


def test_edits_are_exported_and_hidden_things_are_not(studio, tmp_path):
    select(studio, 1)
    studio.edit("move", lambda e, r: operations.place(e, r, MOVE))
    studio.set_visible(0, False)
    (item,) = exporting.items(studio, "scene")
    (path,) = exporting.export(studio, item, tmp_path, Options())
    expected = studio.scene().at(0.0).subset(torch.arange(30) >= 10)
    torch.testing.assert_close(read_ply(path).means, expected.means)
    names = [item.name for item in exporting.items(studio, "objects")]
    assert names == ["01 object 1", "02 object 2"]


def test_a_sequence_is_numbered_and_follows_time(studio, tmp_path):
    item, times = select(studio, 0), (0.0, 0.5, 1.0)
    (folder,) = exporting.export(studio, item, tmp_path, Options(form="sequence", times=times))
    assert folder == tmp_path
    assert sorted(os.listdir(tmp_path)) == ["frame0001.ply", "frame0002.ply", "frame0003.ply"]
    for i, time in enumerate(times):
        means = read_ply(tmp_path / f"frame{i + 1:04d}.ply").means
        torch.testing.assert_close(means, studio.scene().at(time).subset(item.rows).means)


def test_objects_one_by_one_get_files_of_their_own(studio, tmp_path):
    studio.change("name", lambda edits: operations.rename(edits, 1, "../../red book: A/B"))
    for item in exporting.items(studio, "objects"):
        exporting.export(studio, item, tmp_path, Options(form="moving"))
    files = ["00_object_0.safetensors", "01_red_book_A_B.safetensors", "02_object_2.safetensors"]
    assert sorted(os.listdir(tmp_path)) == files


def test_a_moving_object_plays_as_it_did(studio, tmp_path):
    select(studio, 1)
    studio.edit("move", lambda e, r: operations.place(e, r, MOVE))
    studio.edit("backwards", lambda e, r: operations.retime(e, r, clock.backwards()))
    studio.edit("copy", lambda e, r: operations.duplicate(e, r, "twin"))
    studio.edit("late", lambda e, r: operations.retime(e, r, clock.shifted(0.5)))
    studio.change("name", lambda edits: operations.rename(edits, 2, "third"))
    (item,) = exporting.items(studio, "scene")
    camera = Camera(torch.eye(4), torch.tensor([[80.0, 0, 48], [0, 80.0, 32], [0, 0, 1]]), 96, 64, 0.5)
    around = Surroundings([camera], (0.1, 0.2, 0.3), WORLD)
    (path,) = exporting.export(studio, item, tmp_path, Options(form="moving", duration=2.0), around)
    content = read_portable(path)
    for time in (0.0, 0.3, 1.0):
        a, b = content.scene.at(time), studio.scene().at(time)
        for name in ("means", "quats", "scales", "opacities", "sh"):
            torch.testing.assert_close(getattr(a, name), getattr(b, name), msg=name, atol=1e-5, rtol=1e-4)
    assert content.names == ("object 0", "object 1", "third", "twin")
    objects = Segmentation.from_state(content.objects)
    for number in range(4):
        assert torch.equal(objects.members(number), studio.edits.mask(number))
    assert (content.background, content.duration) == ((0.1, 0.2, 0.3), 2.0)
    assert torch.equal(content.cameras[0].viewmat, camera.viewmat)
    torch.testing.assert_close(content.data_world.points(torch.ones(1, 3)), WORLD.points(torch.ones(1, 3)))


def test_a_part_brings_only_what_it_needs(studio, tmp_path):
    item = select(studio, 1)
    (path,) = exporting.export(studio, item, tmp_path, Options(form="moving"))
    content = read_portable(path)
    assert len(content.scene) == 10
    assert isinstance(content.scene.field, MotionBasis)
    assert content.names == ("object 1",)


def test_the_worlds_of_the_data_set_in_all_forms(studio, tmp_path):
    item = select(studio, 1)
    expected = WORLD.gaussians(studio.scene().at(0.5).subset(item.rows))
    for form in ("moment", "sequence", "moving"):
        options = Options(form=form, time=0.5, times=(0.5,), world=WORLD)
        exporting.export(studio, item, tmp_path, options)
    for gaussians in (
        read_ply(tmp_path / "time0.500.ply"),
        read_ply(tmp_path / "frame0001.ply"),
        read_portable(tmp_path / "moving.safetensors").scene.at(0.5),
    ):
        torch.testing.assert_close(gaussians.means, expected.means, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gaussians.sh, expected.sh, atol=1e-5, rtol=1e-4)
    assert read_portable(tmp_path / "moving.safetensors").data_world is None


def test_cameras_go_along_with_the_world():
    camera = Camera(torch.eye(4), torch.tensor([[80.0, 0, 48], [0, 80.0, 32], [0, 0, 1]]), 96, 64)
    point = torch.tensor([[0.3, -0.2, 4.0]])
    moved = exporting._seen_from(camera, WORLD)

    def pixel(camera, point):
        x = camera.K @ (camera.viewmat[:3, :3] @ point[0] + camera.viewmat[:3, 3])
        return x[:2] / x[2]

    torch.testing.assert_close(pixel(moved, WORLD.points(point)), pixel(camera, point), atol=1e-3, rtol=1e-5)


def test_a_trajectory_is_a_table(studio, tmp_path):
    item = select(studio, 1)
    (path,) = exporting.export(studio, item, tmp_path, Options(form="trajectory", times=(0.0, 0.5, 1.0), duration=4))
    rows = list(csv.DictReader(path.open()))
    assert [float(row["seconds"]) for row in rows] == [0.0, 2.0, 4.0]
    part = studio.scene().at(0.5).subset(item.rows)
    weights = part.opacities / part.opacities.sum()
    assert float(rows[1]["centre_x"]) == pytest.approx(float(weights @ part.means[:, 0]), abs=1e-5)


def test_nothing_is_replaced_unless_asked(studio, tmp_path):
    item = select(studio, 1)
    for form in exporting.FORMS:
        exporting.export(studio, item, tmp_path, Options(form=form))
    (tmp_path / "notes.txt").write_text("mine")
    for form in exporting.FORMS:
        with pytest.raises(UserError, match="Overwrite"):
            exporting.export(studio, item, tmp_path, Options(form=form))
        exporting.export(studio, item, tmp_path, Options(form=form, times=(0.0, 1.0), overwrite=True))
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("reason", ["failure", "cancelled"])
def test_a_sequence_that_does_not_end_leaves_nothing_behind(studio, tmp_path, reason, monkeypatch):
    item = select(studio, 1)
    exporting.export(studio, item, tmp_path, Options(form="sequence", times=(0.0,)))
    before = (tmp_path / "frame0001.ply").read_bytes()
    calls = []

    def write(path, *rest):
        calls.append(path)
        path.write_text("half")
        if len(calls) == 2 and reason == "failure":
            raise RuntimeError("broken in the middle")

    monkeypatch.setattr(exporting, "write", write)
    options = Options(form="sequence", times=(0.0, 0.5, 1.0), overwrite=True)
    with pytest.raises((RuntimeError, UserError), match="broken|cancelled"):
        exporting.export(studio, item, tmp_path, options, cancelled=lambda: reason == "cancelled" and len(calls) == 2)
    assert os.listdir(tmp_path) == ["frame0001.ply"]
    assert (tmp_path / "frame0001.ply").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(studio, tmp_path):
    item = select(studio, 1)
    (tmp_path / "file").write_text("not a folder")
    for form in exporting.FORMS:
        with pytest.raises(UserError, match="cannot write"):
            exporting.export(studio, item, tmp_path / "file", Options(form=form))


def test_nothing_selected_and_no_objects_are_said(studio, scene):
    with pytest.raises(UserError, match="nothing is selected"):
        exporting.items(studio, "selection")
    with pytest.raises(UserError, match="no objects"):
        exporting.items(Studio(lambda: scene, lambda: None), "objects")


@pytest.mark.parametrize(
    "options",
    [Options(time=1.5), Options(time=float("nan")), Options(form="sequence", times=()), Options(format="obj")],
)
def test_numbers_that_make_no_sense_are_refused(studio, tmp_path, options):
    with pytest.raises(UserError):
        exporting.export(studio, select(studio, 1), tmp_path, options)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("red book", "red_book"),
        ("../../etc/passwd", "etc_passwd"),
        ("C:\\x\0y", "C_x_y"),
        ("...", "object"),
        ("Übung", "bung"),
        ("x" * 10_000, "x" * 60),
        ("", "object"),
    ],
)
def test_names_of_files_stay_in_their_folder(name, file):
    assert exporting.file_name(name) == file


@pytest.mark.parametrize("format", ["splat", "spz"])
def test_other_formats(studio, tmp_path, format):
    if format == "spz":
        pytest.importorskip("gsply", reason="gsply is not installed")
    (path,) = exporting.export(studio, select(studio, 1), tmp_path, Options(format=format))
    assert path.name == f"time0.000.{format}"
    assert path.stat().st_size > 0
