"""`trase edit` on a trained run, with the words that a person types."""

import json
import shutil

import numpy as np
import pytest
import torch

from trase_ns import cli
from trase_ns.scene.ply import read_ply

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def click(tiny_scene):
    """A click on an object, as FRAME,X,Y."""
    entry = json.loads((tiny_scene / "benchmark" / "benchmark.json").read_text())["objects"][-1]["prompts"][0]
    return f"{entry['frame']},{entry['x']},{entry['y']}"


@pytest.fixture
def run(tiny_run, tmp_path):
    """config.yml of a copy of the run, which gets a session of its own."""
    shutil.copytree(tiny_run.parent, tmp_path / "run")
    return tmp_path / "run" / "config.yml"


def trase(*words):
    cli.main([str(word) for word in words])


def edit(run, *words):
    trase("edit", "--load-config", run, *words)


def studio_of(run):
    from trase_ns.plugin.opened import open_scene

    return open_scene(run).studio()


def exported(run, folder, *words):
    trase("export", "--load-config", run, "--output-dir", folder, *words)
    return read_ply(folder / "time0.000.ply")


def test_edits_add_up_in_the_session_and_every_command_takes_them_up(run, click, tmp_path, capsys):
    whole = exported(run, tmp_path / "before")
    edit(run, "--click", click, "recolor", "--color", 1, 0, 0, "--mode", "replace")
    edit(run, "move", "--shift", 0, 0, 0.5, "--turn", 0, 0, 90)
    edit(run, "duplicate", "--name", "twin")
    edit(run, "retime", "--speed", -1)
    part = exported(run, tmp_path / "twin")  # the copy is the selection
    after = exported(run, tmp_path / "after", "--whole")
    assert len(after) == len(whole) + len(part)
    red = 0.5 + 0.28209479177387814 * part.sh[:, 0]
    torch.testing.assert_close(red, torch.tensor([1.0, 0.0, 0.0]).expand_as(red), atol=1e-5, rtol=0)
    as_trained = exported(run, tmp_path / "trained", "--as-trained", "--whole")
    torch.testing.assert_close(as_trained.means, whole.means)

    studio = studio_of(run)
    assert studio.steps == ["select", "recolour", "move", "duplicate", "retime"]
    assert studio.objects[-1].name == "twin"
    edit(run, "remove")
    assert len(exported(run, tmp_path / "removed", "--whole")) == len(whole)
    edit(run, "undo", "--steps", 6)
    assert studio_of(run).counts().gaussians == 0
    again = exported(run, tmp_path / "undone")
    torch.testing.assert_close(again.means, whole.means)
    edit(run, "redo", "--steps", 2)
    capsys.readouterr()
    edit(run, "list")
    said = capsys.readouterr().err
    assert "object 0" in said
    assert "2 recolour\n" in said
    assert "3 move (undone)" in said


def test_remains_go_with_what_hid_them(run, click, tmp_path, capsys):
    count = len(exported(run, tmp_path / "whole", "--whole"))
    edit(run, "--click", click, "remove")
    plain = len(exported(run, tmp_path / "plain", "--whole"))
    edit(run, "undo")
    capsys.readouterr()
    edit(run, "remove", "--remains")
    assert "Gaussians that only it hid went with it" in capsys.readouterr().err
    with_remains = len(exported(run, tmp_path / "remains", "--whole"))
    assert with_remains < plain < count
    edit(run, "undo")
    assert len(exported(run, tmp_path / "undone", "--whole")) == count


def test_objects_are_named_merged_split_and_found_anew(run):
    edit(run, "rename", 0, "big thing")
    edit(run, "merge", "big thing", 1)
    studio = studio_of(run)
    assert studio.objects[0].name == "big thing"
    count = len(studio.objects)
    edit(run, "--object", "big thing", "grow", "shrink")
    edit(run, "split", "--name", "core")
    assert studio_of(run).objects[-1].name == "core"
    assert len(studio_of(run).objects) == count + 1
    edit(run, "regroup", "--granularity", 0.0)
    assert len(studio_of(run).objects) < count


def test_a_moving_object_plays_in_another_scene(run, tiny_run, click, tmp_path):
    trase("export", "--load-config", tiny_run, "--output-dir", tmp_path, "--click", click, "--moving")
    edit(run, "bring-in", tmp_path / "moving.safetensors", "--name", "guest", "--shift", 0.3, 0, 0)
    guest, source = studio_of(run), studio_of(tiny_run)
    rows = guest.selection()
    from trase_ns.scene.portable import read_portable

    content = read_portable(tmp_path / "moving.safetensors")
    assert int(rows.sum()) == len(content.scene) < len(source.edits)
    for time in (0.0, 0.6):
        moved = guest.scene().at(time).means[rows]
        torch.testing.assert_close(moved, content.scene.at(time).means + torch.tensor([0.3, 0, 0]))


def test_an_edited_selection_becomes_a_run_for_stock_tools(run, click, command, tmp_path):
    edit(run, "--click", click, "move", "--shift", 0, 0, 0.5)
    edit(run, "retime", "--speed", 0.5)
    trase("extract", "--load-config", run, "--output-dir", tmp_path / "runs")
    (config,) = (tmp_path / "runs").rglob("config.yml")
    command("ns-export", "gaussian-splat", "--load-config", config, "--output-dir", tmp_path / "splat")
    stock = read_ply(next((tmp_path / "splat").glob("*.ply")))
    assert len(stock) == len(exported(run, tmp_path / "ply"))
    derived, edited = studio_of(config), studio_of(run)
    for time in (0.0, 0.7):
        expected = edited.scene().at(time).means[edited.selection()]
        size = float(expected.std(dim=0).norm())
        assert (derived.scene().at(time).means - expected).norm(dim=1).max() < 0.01 * size


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remove"], "nothing is selected"),
        (["--object", "x", "remove"], "there is no object 'x'"),
        (["--object", 0, "opacity", "--opacity", "nan"], "opacity nan"),
        (["--object", 0, "move", "--size", 0], "size more than 0"),
        (["--object", 0, "move", "--shift", "inf", 0, 0], "finite"),
        (["--object", 0, "freeze", "--time", 2], "0 (start) to 1"),
        (["--object", 0, "recolor", "--color", "nan", 0, 0], "color nan"),
        (["bring-in", "missing.ply"], "no file missing.ply"),
        (["bring-in", "config.yml"], "no scene that can be read"),
        (["--object", 0, "style", "missing.png"], "no picture missing.png"),
        (["rename", 0, "\n"], "needs a name"),
        (["merge", 0, 0], "at least two"),
        (["undo"], "nothing to undo"),
        (["regroup", "--granularity", 7], "granularity 7"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_saves_nothing(run, capsys, words, says):
    with pytest.raises(SystemExit) as end:
        edit(run, *words)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert "Traceback" not in said
    assert says in " ".join(said.split())
    assert not (run.parent / "session").exists()


def test_render_shows_the_edited_scene(run, click, tmp_path):
    from PIL import Image

    frame = click.split(",")[0]
    words = ["--path", frame, "--time", 0.5]
    trase("render", "--load-config", run, "--output", tmp_path / "before", *words)
    edit(run, "--click", click, "remove")
    trase("render", "--load-config", run, "--output", tmp_path / "after", *words)
    trase("render", "--load-config", run, "--output", tmp_path / "trained", "--as-trained", *words)
    before, after, trained = (
        np.asarray(Image.open(tmp_path / name / "frame0001.png"), dtype=int) for name in ("before", "after", "trained")
    )
    assert np.array_equal(before, trained)
    assert (np.abs(before - after).max(axis=-1) > 20).mean() > 0.002
