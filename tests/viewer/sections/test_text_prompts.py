"""Selecting by words, with an engine that knows colours in the place of networks."""

import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.segmentation.text import BoxEngine

pytestmark = pytest.mark.slow  # a viewer serves the panel

CHANNELS = {"red ball": 0, "blue ball": 2}


def detect(picture, text):
    """The box of what has the colour."""
    channel = CHANNELS.get(text)
    if channel is None:
        return np.zeros((0, 4)), np.zeros(0)
    others = np.delete(picture, channel, axis=-1).max(-1)
    y, x = ((picture[..., channel] > 100) & (others < 100)).nonzero()
    return np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], float), np.array([0.9])


def segment(picture, boxes):
    """What is not black inside each box."""
    masks = np.zeros((len(boxes), *picture.shape[:2]), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int)):
        mask[top:bottom, left:right] = picture[top:bottom, left:right].max(-1) > 30
    return masks


@pytest.fixture
def prompts(panel, monkeypatch):
    monkeypatch.setattr(
        "trase_ns.viewer.sections.text_prompts.load_engine", lambda engine, device, space: BoxEngine(detect, segment)
    )
    return panel.text_prompts


def look_for(person, prompts, text):
    person.set(prompts._text, text)
    person.press(prompts._find)
    person.wait_until(lambda: not prompts._work.busy, "looking does not end")


def test_words_select_what_they_mean(person, studio, prompts):
    look_for(person, prompts, "blue ball")
    assert studio.selection().nonzero().flatten().tolist() == list(range(60, 100))
    assert studio.steps == ["text: blue ball"]
    assert (prompts._progress.visible, prompts._find.disabled) == (False, False)
    look_for(person, prompts, "red ball")
    assert studio.selection().nonzero().flatten().tolist() == list(range(60))


def test_the_share_decides_without_looking_again(person, studio, prompts):
    look_for(person, prompts, "blue ball")
    studio.clear()
    prompts._loaded = None
    person.set(prompts._share, 0.2)
    assert int(studio.selection().sum()) == 40
    assert prompts._loaded is None
    person.set(prompts._share, float("nan"))
    assert "share" in person.told
    assert "Traceback" not in person.told
    assert int(studio.selection().sum()) == 40


def test_what_is_not_found_is_told(person, studio, prompts):
    look_for(person, prompts, "green cup")
    assert studio.selection() is None
    assert "green cup" in person.told


def test_no_words_are_refused(person, studio, prompts):
    look_for(person, prompts, "  ")
    assert "write what to look for" in person.told


def test_networks_that_cannot_be_had_are_told_of(person, studio, prompts, monkeypatch):
    def fail(engine, device, space):
        raise UserError("install trase_ns[text] first")

    monkeypatch.setattr("trase_ns.viewer.sections.text_prompts.load_engine", fail)
    look_for(person, prompts, "red ball")
    assert "install trase_ns[text]" in person.told
    assert not prompts._find.disabled


@pytest.mark.parametrize("text", ["[/red]", "[bold]ball", "<b>{x}"])
def test_words_that_look_like_markup(person, prompts, text):
    look_for(person, prompts, text)
    assert text in person.told
    assert "Error" not in person.told
