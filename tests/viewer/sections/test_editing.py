"""The tab "Edit": what its elements do to the selection."""

import pytest
import torch
from panels import LEFT, RIGHT

from trase_ns.scene.ply import write_ply
from trase_ns.scene.portable import Portable, write_portable
from trase_ns.segmentation.remains import remains

pytestmark = pytest.mark.slow  # a viewer serves the panel

RED, BLUE = slice(0, 60), slice(60, 100)


@pytest.fixture
def editing(panel):
    return panel.editing


def colors(studio):
    return studio.scene().at(0.0).sh[:, 0]


def shown(studio):
    return ~studio.edits.hidden


def means(studio, time=0.0):
    return studio.scene().at(time).means


def test_remove_and_isolate(person, studio, editing):
    person.select()
    person.press(editing._remove)
    assert not shown(studio)[RED].any()
    assert shown(studio)[BLUE].all()
    assert person.told.startswith("0 of 40 Gaussians")
    person.select(RIGHT)
    studio.show_all()
    studio.select("blue", torch.arange(100) >= 60, "replace")
    person.press(editing._isolate)
    assert shown(studio)[BLUE].all()
    assert not shown(studio)[RED].any()


def test_remove_with_remains(person, panel, studio, editing):
    red = studio.scene().means[RED]
    inner = (red - red.mean(0)).norm(dim=1).argsort()[:10]
    shell = torch.arange(100) < 60
    shell[inner] = False
    studio.select("shell", shell, "replace")
    expected = shell | remains(studio.scene(), shell, panel.host.cameras)
    assert int(expected.sum()) > 50
    person.press(editing._remove_with_remains)
    assert torch.equal(studio.edits.hidden, expected)
    assert "only it hid" in person.told


def test_recolour_takes_colour_strength_and_mode(person, studio, editing):
    before = colors(studio)
    person.select()
    person.set(editing._color, (0, 255, 0))
    person.set(editing._mode, "replace")
    person.press(editing._recolor)
    after = colors(studio)
    assert torch.equal(after[BLUE], before[BLUE])
    assert (after[RED, 1] > 1).all()
    assert (after[RED, [0]] < -1).all()
    studio.undo()
    person.set(editing._strength, 0.0)
    person.press(editing._recolor)
    torch.testing.assert_close(colors(studio), before)


def test_the_opacity_slider_is_one_step_however_far_it_goes(person, studio, editing):
    person.select()
    before = studio.scene().at(0.0).opacities
    for value in (0.8, 0.5, 0.25):
        person.set(editing._opacity, value)
    after = studio.scene().at(0.0).opacities
    torch.testing.assert_close(after[RED], 0.25 * before[RED])
    assert torch.equal(after[BLUE], before[BLUE])
    assert studio.steps == ["click", "opacity"]


def test_the_opacity_slider_shows_the_selection(person, studio, editing):
    person.select()
    person.set(editing._opacity, 0.4)
    assert editing._opacity.value == 0.4
    studio.undo()
    assert editing._opacity.value == 1.0
    person.set(editing._opacity, 0.4)  # the same again is a change
    assert studio.steps == ["click", "opacity"]
    studio.clear()
    assert editing._opacity.value == 1.0
    studio.undo()
    assert editing._opacity.value == 0.4


def test_the_gizmo_stands_at_the_selection_and_moves_it(person, studio, editing):
    person.select()
    person.press(editing._move)
    middle = means(studio)[RED].median(0).values
    torch.testing.assert_close(
        torch.from_numpy(editing._gizmo.position / person.panel.host.scale).float(), middle, atol=1e-4, rtol=0
    )
    before = means(studio)
    person.drag(editing._gizmo, (0.0, 0.1, 0.0))
    person.drag(editing._gizmo, (0.0, 0.2, 0.0))
    shift = means(studio) - before
    torch.testing.assert_close(shift[RED], torch.tensor([0.0, 0.3, 0.0]).expand(60, 3), atol=1e-4, rtol=0)
    assert not shift[BLUE].any()
    assert studio.steps == ["click", "move"]
    person.press(editing._end_move)
    assert editing._gizmo is None
    torch.testing.assert_close(means(studio) - before, shift)


def test_a_drag_of_the_gizmo_is_no_click(person, studio, editing):
    person.press(person.panel.selecting._start)
    person.click(*LEFT)
    person.press(editing._move)
    assert person.server.scene._scene_pointer_cb is None
    assert not person.panel.selecting._stop.visible


def test_the_size_grows_the_selection_about_its_middle(person, studio, editing):
    person.select()
    person.press(editing._move)
    before = means(studio)[RED]
    person.set(editing._size, 2.0)
    after = means(studio)[RED]
    torch.testing.assert_close(after.median(0).values, before.median(0).values, atol=1e-4, rtol=0)
    torch.testing.assert_close(after.std(0), 2 * before.std(0), atol=1e-4, rtol=0)


def test_the_size_without_a_gizmo_says_what_to_do(person, studio, editing):
    person.select()
    person.set(editing._size, 2.0)
    assert "Move with a gizmo" in person.told
    assert studio.steps == ["click"]


def between(person, studio, editing, what):
    """Do something else while the gizmo stands."""
    if what == "recolour":
        person.press(editing._recolor)
    elif what == "undo and redo":
        studio.undo()
        studio.redo()
    else:
        person.select(RIGHT)


@pytest.mark.parametrize("what", ["recolour", "undo and redo", "another click"])
def test_what_was_moved_does_not_jump_when_it_is_moved_again_later(person, studio, editing, what):
    person.select()
    person.press(editing._move)
    person.drag(editing._gizmo, (0.0, 0.3, 0.0))
    between(person, studio, editing, what)
    before = means(studio)
    person.drag(editing._gizmo, (0.0, 0.1, 0.0))
    shift = means(studio) - before
    torch.testing.assert_close(shift[RED], torch.tensor([0.0, 0.1, 0.0]).expand(60, 3), atol=1e-4, rtol=0)


def test_undone_moves_leave_the_gizmo_where_the_selection_is(person, studio, editing):
    person.select()
    person.press(editing._move)
    before = means(studio)
    person.drag(editing._gizmo, (0.0, 0.3, 0.0))
    studio.undo()
    person.drag(editing._gizmo, (0.0, 0.1, 0.0))
    shift = means(studio) - before
    torch.testing.assert_close(shift[RED], torch.tensor([0.0, 0.1, 0.0]).expand(60, 3), atol=1e-4, rtol=0)


def test_moving_ends_when_nothing_is_selected_any_more(person, studio, editing):
    person.select()
    person.press(editing._move)
    assert (editing._move.visible, editing._end_move.visible) == (False, True)
    studio.clear()
    assert editing._gizmo is None
    assert (editing._move.visible, editing._end_move.visible) == (True, False)


def test_duplicate_selects_the_copy(person, studio, editing):
    person.select()
    person.press(editing._duplicate)
    assert studio.counts().total == 160
    assert studio.selection().nonzero().flatten().tolist() == list(range(100, 160))
    assert studio.objects[-1].name == "copy"


@pytest.mark.parametrize(
    ("course", "shows"),  # the moment of the red ball's course that is shown at time 0.5
    [
        ("stand still here", 0.25),
        ("later", 0.3),
        ("earlier", 0.7),
        ("half speed", 0.375),
        ("double speed", 0.75),
        ("backwards", 0.5),
        ("loop twice", 1.0),
        ("as recorded", 0.5),
    ],
)
def test_retime(person, studio, editing, course, shows):
    person.select()
    recorded = means(studio, shows)
    unmoved = means(studio, 0.5)
    person.panel.host.time = 0.25
    person.set(editing._delay, 0.2)
    person.set(editing._time, course)
    person.press(editing._retime)
    after = means(studio, 0.5)
    torch.testing.assert_close(after[RED], recorded[RED], atol=1e-3, rtol=0)
    torch.testing.assert_close(after[BLUE], unmoved[BLUE])


def test_reset_undoes_the_edits_of_the_selection_alone(person, studio, editing):
    before = colors(studio)
    studio.select_all()
    person.press(editing._recolor)
    changed = colors(studio)
    studio.clear()
    person.select(LEFT)
    person.press(editing._reset)
    torch.testing.assert_close(colors(studio)[RED], before[RED])
    torch.testing.assert_close(colors(studio)[BLUE], changed[BLUE])


def test_bring_in_from_a_path_and_from_the_persons_computer(person, studio, editing, scene, tmp_path):
    write_portable(tmp_path / "guest.safetensors", Portable(scene))
    write_ply(tmp_path / "still.ply", scene.subset(torch.arange(10)).at(0.0))
    person.set(editing._path, str(tmp_path / "guest.safetensors"))
    person.press(editing._bring)
    assert studio.counts() == studio.counts().__class__(100, 200, 1)
    assert studio.objects[-1].name == "guest"
    torch.testing.assert_close(means(studio, 0.5)[100:], scene.at(0.5).means)
    person.upload(editing._upload, "still.ply", (tmp_path / "still.ply").read_bytes())
    assert studio.counts().total == 210
    assert studio.objects[-1].name == "still"


@pytest.mark.parametrize(
    "element", ["_remove", "_remove_with_remains", "_isolate", "_recolor", "_move", "_duplicate", "_retime", "_reset"]
)
def test_without_a_selection_each_says_so(person, studio, editing, element):
    person.press(getattr(editing, element))
    assert "nothing is selected" in person.told
    assert not studio.steps
