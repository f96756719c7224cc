"""The look of a picture for the selection, with a small network in the place of VGG16."""

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.editing.style import StyleConfig

pytestmark = pytest.mark.slow  # a viewer serves the panel


@pytest.fixture
def style(panel, small_vgg, monkeypatch):
    config = partial(StyleConfig, layer="conv2_1", longest=64, picture_longest=64, views=2, vgg_weights=small_vgg)
    monkeypatch.setattr("trase_ns.editing.style.StyleConfig", config)
    return panel.style


@pytest.fixture
def picture(tmp_path):
    """Green stripes."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::8, :, 1] = 220
    pixels[..., 1] += 30
    Image.fromarray(pixels).save(tmp_path / "stripes.png")
    return tmp_path / "stripes.png"


def colors(studio):
    return studio.scene().at(0.0).sh


def finish(person, style):
    person.wait_until(lambda: not style._work.busy, "the transfer does not end")


def test_it_changes_the_selection_alone_and_is_one_step(person, studio, style, picture):
    before = colors(studio)
    person.select()
    person.set(style._path, str(picture))
    person.set(style._steps, 60)
    person.press(style._start)
    assert (style._start.visible, style._cancel.visible) == (False, True)
    finish(person, style)
    after = colors(studio)
    assert studio.steps == ["click", "style"]
    assert torch.equal(after[60:, 0], before[60:, 0])
    assert after[:60, 0, 0].mean() < before[:60, 0, 0].mean() - 1  # red no longer
    assert style._progress.value == 100
    assert (style._start.visible, style._cancel.visible, style._progress.visible) == (True, False, False)
    studio.undo()
    assert torch.equal(colors(studio), before)


def test_a_picture_of_the_persons_computer(person, studio, style, picture):
    person.select()
    person.upload(style._upload, "stripes.png", picture.read_bytes())
    assert style._path.value == "stripes.png"
    person.set(style._steps, 20)
    person.press(style._start)
    finish(person, style)
    assert studio.steps == ["click", "style"]


def test_cancelling_leaves_everything_as_it_was(person, studio, style, picture):
    person.select()
    before = studio.edits
    person.set(style._path, str(picture))
    person.set(style._steps, 1000)
    person.press(style._start)
    person.wait_until(lambda: studio.steps == ["click", "style"], "no preview is shown")
    person.press(style._cancel)
    finish(person, style)
    assert "cancelled" in person.told
    assert studio.position == 1
    assert torch.equal(studio.edits.style, before.style)


def test_mistakes_are_told(person, studio, style, picture, tmp_path):
    person.press(style._start)
    assert "nothing is selected" in person.told
    person.select()
    person.press(style._start)
    assert "no picture" in person.told
    (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:60])
    person.set(style._path, str(tmp_path / "broken.png"))
    person.press(style._start)
    finish(person, style)
    assert "cannot be read as a picture" in person.told
    assert style._start.visible
    assert studio.steps == ["click"]


def test_a_scene_that_changes_meanwhile_keeps_its_colours(person, studio, style, picture):
    person.select()
    person.set(style._path, str(picture))
    person.set(style._steps, 200)
    person.press(style._start)
    person.press(person.panel.editing._duplicate)
    finish(person, style)
    assert "changed meanwhile" in person.told
    assert "style" not in studio.steps
