import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trase_ns.cli.segment import main
from trase_ns.cli.selection import SelectionOptions
from trase_ns.cli.spreading import SpreadOptions
from trase_ns.errors import UserError


def test_without_a_click_it_says_how_to_write_one():
    with pytest.raises(UserError, match="--click FRAME,X,Y"):
        main(Path("no-such-run/config.yml"))
    with pytest.raises(UserError, match="--click FRAME,X,Y"):
        main(Path("no-such-run/config.yml"), choice=SelectionOptions(exclude=(("a,0.5,0.5",),)))


def test_a_missing_run_is_named():
    with pytest.raises(UserError, match="no-such-run"):
        main(Path("no-such-run/config.yml"), choice=SelectionOptions(click=(("a,0.5,0.5",),)))


def click_on(scene: Path, name: str) -> str:
    """A click on an object of the built-in scene."""
    document = json.loads((scene / "benchmark" / "benchmark.json").read_text())
    prompt = next(o for o in document["objects"] if o["name"] == name)["prompts"][0]
    return f"{prompt['frame']},{prompt['x']},{prompt['y']}"


@pytest.mark.slow
def test_a_click_selects_prints_and_saves(tiny_run, tiny_scene, command, tmp_path):
    from trase_ns.plugin.run import load_run
    from trase_ns.segmentation.selection_file import load_selection

    click = click_on(tiny_scene, "vase")
    output = tmp_path / "out"
    printed = command("trase", "segment", "--load-config", tiny_run, "--click", click, "--output", output).stdout
    run = load_run(tiny_run)
    mask, metadata = load_selection(output / "selection.npz", len(run.scene))
    assert 0 < int(mask.sum()) < len(run.scene)
    assert f"selected {int(mask.sum()):,} of {len(run.scene):,} Gaussians" in printed
    assert metadata == json.loads((output / "selection.json").read_text())
    assert metadata["clicks"] == [click]
    assert run.segmentation is not None
    for entry in metadata["objects"]:
        assert f"object {entry['object']} ({entry['name']}): {entry['gaussians']:,} Gaussians" in printed
        assert mask[run.segmentation.members(entry["object"])].all()

    frame = run.frame(click.rsplit(",", 2)[0])
    picture = np.asarray(Image.open(output / "selection.png"))
    assert picture.shape == (*frame.source_size[::-1], 3)
    original = np.asarray(Image.open(frame.image_path).convert("RGB"))
    changed = (np.abs(picture.astype(int) - original) > 8).any(axis=2).mean()
    assert 0 < changed < 0.9


@pytest.mark.slow
def test_wrong_clicks_are_named_and_write_nothing(tiny_run, tiny_scene, command, tmp_path):
    frame = click_on(tiny_scene, "vase").rsplit(",", 2)[0]
    for click, message in (
        (f"{frame},1.5,0.5", "outside the picture"),
        (f"{frame},0.5", "FRAME,X,Y"),
        ("nobody,0.5,0.5", "nobody"),
    ):
        failed = command(
            "trase", "segment", "--load-config", tiny_run, "--click", click, "--output", tmp_path / "out", fails=True
        )
        assert message in failed.stdout
        assert "Traceback" not in failed.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("choice", "spread", "message"),
    [
        ({}, {"mask": "a.png"}, "--mask needs the frame that it is of: add --frame NAME"),
        ({}, {"frame": "a"}, "--frame is the frame of a picture"),
        ({}, {"mask": "a.png", "scribble": "a.png", "frame": "a"}, "--mask and --scribble exclude each other"),
        ({}, {"exclude_scribble": "a.png", "frame": "a", "diffuse": True}, "--exclude-scribble goes with --scribble"),
        ({}, {"scribble": "a.png", "frame": "a"}, "add --diffuse to find all of it"),
        ({"text": "cup"}, {"mask": "a.png", "frame": "a"}, "--mask and other ways .* exclude each other"),
        ({"text": "cup"}, {"diffuse": True}, "--diffuse spreads clicks, strokes or a mask"),
        ({"text": "cup"}, {"sam_checkpoint": "a.pt"}, "--sam-checkpoint is for --sam"),
        ({"text": "cup"}, {"sam": "mobile", "sam_views": 0}, "--sam-views 0: use 1 or more"),
        ({}, {"mask": "a.png", "frame": "a"}, "--mask: there is no file .*a.png"),
    ],
)
def test_marks_that_do_not_go_together(choice, spread, message, tmp_path):
    paths = {name: tmp_path / value if str(value).startswith("a.") else value for name, value in spread.items()}
    with pytest.raises(UserError, match=message):
        main(tmp_path / "no-such-run", choice=SelectionOptions(**choice), spread=SpreadOptions(**paths))


@pytest.mark.slow
def test_marks_of_one_frame_select_the_thing_in_all(tiny_run, tiny_scene, assets, tmp_path, capsys):
    """A mask, strokes, and clicks, spread or not, and SAM: all find the vase, in a frame that none of them saw."""
    from trase_ns import cli
    from trase_ns.plugin.run import load_run
    from trase_ns.segmentation.clicks import render_selection
    from trase_ns.segmentation.selection_file import load_selection

    first, *_, last = sorted((tiny_scene / "benchmark" / "vase").glob("*.png"))
    truth = np.asarray(Image.open(first).convert("L")) > 0
    ys, xs = truth.nonzero()
    middle = np.abs(xs - xs.mean()) + np.abs(ys - ys.mean()) < 4
    stroke, rest = np.zeros_like(truth), np.zeros_like(truth)
    stroke[ys[middle], xs[middle]] = True
    rest[:3], rest[-3:] = True, True
    for name, marks in (("stroke", stroke), ("rest", rest), ("nothing", stroke & False), ("square", truth[:40, :40])):
        Image.fromarray(marks).save(tmp_path / f"{name}.png")
    run = load_run(tiny_run)
    camera, seen = run.frame(last.stem).camera, np.asarray(Image.open(last).convert("L")) > 0
    frame = ["--frame", first.stem]
    others = [click_on(tiny_scene, name) for name in ("robot", "jelly", "ball", "crate")]
    sam = ["--sam", "mobile", "--sam-checkpoint", assets / "mobile_sam.pt", "--sam-views", 2]
    ways = {
        "mask": ["--mask", first, *frame],
        "mask spread": ["--mask", first, *frame, "--diffuse"],
        "strokes": ["--scribble", tmp_path / "stroke.png", "--exclude-scribble", tmp_path / "rest.png", *frame],
        "click": ["--click", click_on(tiny_scene, "vase"), "--exclude", *others, "--diffuse"],
        "sam": ["--mask", first, *frame, *sam],
    }
    ways["strokes"].append("--diffuse")
    words = ["segment", "--load-config", tiny_run, "--output", tmp_path / "out"]
    for way, options in ways.items():
        cli.main([str(word) for word in (*words, *options)])
        mask, metadata = load_selection(tmp_path / "out" / "selection.npz", len(run.scene))
        found = (render_selection(run.scene, mask, camera) >= 0.5).numpy()
        iou = (found & seen).sum() / (found | seen).sum()
        assert iou > 0.5, (way, iou)
        assert metadata["diffuse"] == ("--diffuse" in options)
        assert metadata["sam"] == ("mobile" if way == "sam" else None)
    for name, message in (("nothing", "marks nothing"), ("square", "square.png")):
        with pytest.raises(SystemExit):
            cli.main([str(word) for word in (*words, "--mask", tmp_path / f"{name}.png", *frame)])
        said = capsys.readouterr().err
        assert message in said
        assert "Traceback" not in said
