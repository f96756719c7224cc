"""The tab "Export": the files that a person gets."""

import csv

import pytest
import torch
from plyfile import PlyData

from trase_ns.scene.portable import read_portable

pytestmark = pytest.mark.slow  # a viewer serves the panel


@pytest.fixture
def exporting(panel):
    return panel.exporting


@pytest.fixture
def export(person, exporting, run_folder):
    """Return a function that exports with some elements set; it gives the files that are there then."""

    def press(**choices):
        for name, value in choices.items():
            person.set(getattr(exporting, f"_{name}"), value)
        person.press(exporting._export)
        person.wait_until(lambda: exporting._export.visible and not exporting._work.busy, "the export does not end")
        folder = run_folder / "exports"
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    return press


def positions(path):
    vertices = PlyData.read(path)["vertex"]
    return torch.tensor([vertices[axis].tolist() for axis in "xyz"]).T


def test_the_selection_at_this_moment_goes_to_the_folder_and_to_the_page(person, studio, export, run_folder):
    person.select()
    person.panel.host.time = 0.5
    assert export() == ["selection_time0.500.ids.npy", "selection_time0.500.ply"]
    path = run_folder / "exports" / "selection_time0.500.ply"
    torch.testing.assert_close(positions(path), studio.scene().at(0.5).means[:60])
    assert person.downloads == [(path.name, path.read_bytes())]
    assert str(path) in person.told


def test_a_file_that_is_there_is_kept_unless_overwritten(person, studio, export, run_folder):
    export(what="scene")
    path = run_folder / "exports" / "scene_time0.000.ply"
    before = path.read_bytes()
    person.select()
    studio.edit("remove", lambda edits, rows: edits.with_rows(rows, hidden=True))
    export()
    assert "is there already" in person.told
    assert path.read_bytes() == before
    export(overwrite=True)
    assert len(positions(path)) == 40


def test_objects_as_sequences(export, run_folder):
    files = export(what="objects", form="sequence of all moments", ids=True)
    names = [f"frame000{number}.ply" for number in (1, 2, 3)]
    assert files == [f"0{n}_object_{n}/{name}" for n in (0, 1) for name in names]
    assert set(PlyData.read(run_folder / "exports" / files[-1])["vertex"]["object_id"]) == {1}


def test_moving_in_one_file(person, scene, export, run_folder):
    person.select()
    assert export(form="moving, in one file") == ["selection.safetensors"]
    again = read_portable(run_folder / "exports" / "selection.safetensors")
    torch.testing.assert_close(again.scene.at(0.7).means, scene.at(0.7).means[:60])
    assert len(again.cameras) == 3


def test_a_trajectory(export, run_folder):
    assert export(what="scene", form="trajectory (CSV)") == ["scene.csv"]
    with (run_folder / "exports" / "scene.csv").open() as file:
        assert len(list(csv.reader(file))) == 1 + 3


def test_other_formats(export):
    assert export(what="scene", format="splat") == ["scene_time0.000.splat"]


def test_the_coordinates_of_the_data_set(person, studio, export, run_folder):
    person.select()
    export(world="of the data set")
    scene = positions(run_folder / "exports" / "selection_time0.000.ply")
    # The scene's world is the data set's, moved by 1, 2, 3 and then half as large.
    expected = 2 * studio.scene().at(0.0).means[:60] - torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(scene, expected, atol=1e-4, rtol=0)


def test_without_a_selection_it_says_so(person, export):
    assert export() == []
    assert "nothing is selected" in person.told


def test_another_folder(export, person, run_folder):
    export(what="scene", folder="for Anna/today")
    assert (run_folder / "for_Anna" / "today" / "scene_time0.000.ply").is_file()
