"""The tab "Objects": the list, and what is done to the object that is picked."""

import pytest
import torch

pytestmark = pytest.mark.slow  # a viewer serves the panel


@pytest.fixture
def objects(panel):
    return panel.objects


def rows(studio):
    mask = studio.selection()
    return [] if mask is None else mask.nonzero().flatten().tolist()


RED, BLUE = list(range(60)), list(range(60, 100))


def test_the_list_holds_names_sizes_and_pictures(person, objects):
    assert objects._pick.options == ("0: object 0", "1: object 1")
    assert objects._name.value == "object 0"
    lines = objects._list.content.splitlines()[2:]
    assert [line.split("|")[2:4] for line in lines] == [[" 0: object 0 ", " 60 "], [" 1: object 1 ", " 40 "]]
    person.wait_until(lambda: len(objects._pictures) == 2, "no pictures are made")
    person.wait_until(lambda: not objects._painting.busy, "painting does not end")
    assert objects._list.content.count('src="data:image/png;base64,') == 2


def test_picking_selects_the_object_and_shows_its_name(person, studio, objects):
    person.set(objects._pick, "1: object 1")
    assert rows(studio) == BLUE
    assert objects._name.value == "object 1"


def test_the_buttons_select_the_picked_object(person, studio, objects):
    person.set(objects._pick, "1: object 1")
    studio.select_object(0, "replace")
    person.set(objects._use, "Add")
    assert rows(studio) == RED + BLUE
    person.set(objects._use, "Sub")
    assert rows(studio) == RED
    person.set(objects._use, "Only")
    assert rows(studio) == BLUE


def test_sight(person, studio, objects):
    person.set(objects._sight, "Hide")
    assert studio.edits.hidden.nonzero().flatten().tolist() == RED
    assert "hidden" in objects._list.content
    person.set(objects._sight, "Show")
    assert not studio.edits.hidden.any()
    person.set(objects._sight, "Solo")
    assert studio.edits.hidden.nonzero().flatten().tolist() == BLUE
    person.press(objects._show_all)
    assert not studio.edits.hidden.any()


def test_renaming(person, studio, objects):
    person.set(objects._pick, "1: object 1")
    person.set(objects._name, "blue *ball*")
    assert [entry.name for entry in studio.objects] == ["object 0", "blue *ball*"]
    assert objects._pick.value == "1: blue *ball*"
    assert r"blue \*ball\*" in objects._list.content
    studio.undo()
    assert objects._name.value == "object 1"


def test_a_name_of_nothing_is_refused_and_the_old_one_shown_again(person, studio, objects):
    person.set(objects._name, "  ")
    assert "needs a name" in person.told
    assert studio.objects[0].name == objects._name.value == "object 0"


def test_merging_and_splitting(person, studio, objects):
    person.set(objects._other, "1: object 1")
    person.press(objects._merge)
    assert objects._pick.options == ("0: object 0",)
    assert studio.objects[0].rows.tolist() == RED + BLUE
    person.press(objects._pieces)
    assert sorted(len(entry) for entry in studio.objects) == [40, 60]
    studio.undo()
    studio.select("half", torch.arange(100) < 60, "replace")
    person.press(objects._split)
    assert studio.objects[1].rows.tolist() == RED


def test_merging_with_itself_says_so(person, studio, objects):
    person.press(objects._merge)
    assert "at least two" in person.told
    assert not studio.steps


def test_objects_that_come_while_pictures_are_made_get_theirs(person, studio, objects):
    for number in range(6):  # faster than pictures are made
        studio.select("some", torch.arange(100) < 50 - 8 * number, "replace")
        person.press(objects._split)
    person.wait_until(
        lambda: all(id(entry.rows) in objects._pictures for entry in studio.objects), "objects are left without"
    )


def test_forgetting_and_finding_anew(person, studio, objects):
    person.press(objects._forget)
    assert objects._pick.options == ("0: object 1",)
    person.press(objects._forget)
    assert objects._pick.options == ("none",)
    assert "No objects" in objects._list.content
    person.set(objects._use, "Only")
    assert "there are no objects" in person.told
    person.press(objects._regroup)
    assert {tuple(entry.rows.tolist()) for entry in studio.objects} >= {tuple(RED), tuple(BLUE)}


def test_long_lists_have_pages(person, studio, objects):
    for number in range(25):
        studio.select("some", torch.arange(100) == number, "replace")
        studio.split_selection(f"piece {number}")
    assert objects._page.visible
    assert "piece 24" not in objects._list.content
    person.set(objects._page, "Next")
    assert "piece 24" in objects._list.content
    assert "object 0" not in objects._list.content
    person.set(objects._page, "Next")
    assert "object 0" in objects._list.content
