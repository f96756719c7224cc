"""Undo, redo and the list of steps."""

import pytest

pytestmark = pytest.mark.slow  # a viewer serves the panel


@pytest.fixture
def history(panel):
    return panel.history


def test_buttons_are_off_where_there_is_nothing_to_do(person, studio, history):
    assert (history._undo.disabled, history._redo.disabled) == (True, True)
    person.select()
    assert (history._undo.disabled, history._redo.disabled) == (False, True)
    person.press(history._undo)
    assert (history._undo.disabled, history._redo.disabled) == (True, False)
    assert studio.selection() is None
    assert "undone: click" in person.told
    person.press(history._redo)
    assert int(studio.selection().sum()) == 60
    assert "done again: click" in person.told


def test_the_list_says_what_was_done_and_goes_there(person, studio, history):
    person.select()
    person.press(person.panel.editing._recolor)
    person.press(person.panel.editing._remove)
    assert history._list.options == ("0: as trained", "1: click", "2: recolour", "3: remove")
    assert history._list.value == "3: remove"
    person.set(history._list, "1: click")
    assert studio.position == 1
    assert not studio.edits.hidden.any()
    assert len(history._list.options) == 4  # what was undone can be chosen again
    person.set(history._list, "3: remove")
    assert studio.edits.hidden.sum() == 60
    person.set(history._list, "0: as trained")
    assert studio.position == 0
    assert studio.selection() is None


def test_a_long_history_is_listed_around_where_it_is(person, studio, history):
    for _ in range(60):
        studio.invert()
    assert history._list.value == "60: invert"
    assert len(history._list.options) == 40
    studio.go(30)
    assert history._list.value == "30: invert"
    assert {"20: invert", "40: invert"} <= set(history._list.options)


def test_a_step_that_is_not_there_is_refused(person, history):
    person.press(history._undo)
    assert "nothing to undo" in person.told
    person.press(history._redo)
    assert "nothing to redo" in person.told
