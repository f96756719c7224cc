import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trase_ns.cli.segment import main
from trase_ns.cli.selection import SelectionOptions
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
