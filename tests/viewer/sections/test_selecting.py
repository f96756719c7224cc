"""The tab "Select": clicks, rectangles, strokes and what grows from them."""

import pytest
from panels import LEFT, NOWHERE, RIGHT

pytestmark = pytest.mark.slow  # a viewer serves the panel


@pytest.fixture
def selecting(panel):
    return panel.selecting


def rows(studio):
    mask = studio.selection()
    return [] if mask is None else mask.nonzero().flatten().tolist()


RED, BLUE = list(range(60)), list(range(60, 100))


def test_a_rectangle_selects_the_objects_inside(person, studio, selecting):
    person.press(selecting._rectangle)
    person.draw(0.05, 0.1, 0.5, 0.9)
    assert rows(studio) == RED
    person.draw(0.95, 0.9, 0.5, 0.1)  # from any corner
    assert rows(studio) == RED + BLUE
    person.set(selecting._subtract, True)
    person.draw(0.05, 0.1, 0.5, 0.9)
    assert rows(studio) == BLUE
    assert studio.steps == ["rectangle"] * 3


def test_a_rectangle_on_nothing_says_so(person, studio, selecting):
    person.press(selecting._rectangle)
    person.draw(0.45, 0.02, 0.55, 0.08)
    assert not rows(studio)
    assert "nothing" in person.told
    person.draw(float("nan"), 0.1, 0.5, 0.9)
    assert not studio.steps


def test_a_stroke_is_several_clicks(person, studio, selecting):
    person.press(selecting._scribble)
    assert selecting._end_scribble.visible
    person.click(*RIGHT)
    person.click(RIGHT[0] + 0.01, RIGHT[1] + 0.02)
    assert "2 points" in person.told
    assert not studio.steps
    person.press(selecting._end_scribble)
    assert rows(studio) == BLUE
    person.press(selecting._end_scribble)
    assert "no points" in person.told


def test_a_stroke_while_the_view_turns_is_refused(person, studio, selecting):
    person.press(selecting._scribble)
    person.click(*RIGHT)
    person.client.camera.position = person.panel.host.to_page((0.1, 0, -2))
    person.click(*RIGHT)
    person.press(selecting._end_scribble)
    assert "moved" in person.told
    assert not studio.steps


def test_only_one_tool_takes_the_clicks(person, selecting):
    for tool in (selecting._start, selecting._rectangle, selecting._scribble):
        person.press(tool)
        assert not tool.visible
        assert selecting._stop.visible
    person.press(selecting._stop)
    assert person.server.scene._scene_pointer_cb is None
    assert (selecting._start.visible, selecting._stop.visible, selecting._end_scribble.visible) == (True, False, False)


def test_all_none_and_invert(person, studio, selecting):
    person.set(selecting._sets, "All")
    assert rows(studio) == RED + BLUE
    person.set(selecting._sets, "None")
    assert not rows(studio)
    person.select()
    person.set(selecting._sets, "Invert")
    assert rows(studio) == BLUE
    person.set(selecting._sets, "Invert")  # once more
    assert rows(studio) == RED


def test_growing_and_shrinking_in_space(person, studio, selecting):
    person.select()
    person.set(selecting._space, "Shrink")
    assert rows(studio) == RED  # nothing else is near
    studio.select("half", studio.edits.index % 2 == 0, "replace")
    person.set(selecting._space, "Grow")
    once = len(rows(studio))
    assert once > 50
    assert studio.steps[-1] == "grow"


def test_growing_to_what_is_similar(person, studio, selecting):
    studio.select("some", studio.edits.index < 5, "replace")
    person.press(selecting._similar)
    assert set(rows(studio)) <= set(RED)
    assert len(rows(studio)) > 40
    person.set(selecting._nearby, False)
    person.press(selecting._similar)
    assert rows(studio) == RED
    person.set(selecting._like, float("nan"))
    person.press(selecting._similar)
    assert "similarity nan" in person.told


def test_a_click_on_nothing_says_so_and_changes_nothing(person, studio, selecting):
    person.select(NOWHERE)
    assert "on nothing" in person.told
    assert not studio.steps


def test_time_decides_what_is_under_a_click(person, studio):
    person.panel.host.time = 1.0
    person.select(LEFT)
    assert rows(studio) == BLUE
