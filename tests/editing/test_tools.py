"""Tools that change what is selected or hidden by more than one operation."""

import pytest
import torch
from balls import balls, camera, new_balls, spots  # noqa: F401 - fixtures

from trase_ns.editing import operations, tools
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.regions import Rectangle, Scribble
from trase_ns.segmentation.remains import remains
from trase_ns.segmentation.text_support import TextSupport


@pytest.fixture
def studio(balls):  # noqa: F811
    """The red ball was found without the Gaussians in its middle."""
    scene = balls.scene()
    red = torch.arange(60)
    inner = (scene.means[:60] - scene.means[:60].mean(0)).norm(dim=1).argsort()[:10]
    found = Segmentation.from_members([red[~torch.isin(red, inner)], torch.arange(60, 100)], 100)
    return Studio(lambda: scene, lambda: found)


def test_what_is_removed_takes_its_remains_with_it(studio, camera, spots):  # noqa: F811
    studio.click(camera, *spots[0])
    mask = studio.selection()
    expected = remains(studio.scene(), mask, [camera])
    assert 0 < int(expected.sum()) <= 10
    tools.remove_with_remains(studio, [camera])
    assert torch.equal(studio.edits.hidden, mask | expected)
    assert f"{int(expected.sum())} Gaussians" in studio.message
    assert studio.undo() == "remove with remains"
    assert not studio.edits.hidden.any()


def test_nothing_selected_is_said(studio, camera):  # noqa: F811
    with pytest.raises(UserError, match="nothing is selected"):
        tools.remove_with_remains(studio, [camera])


@pytest.fixture
def whole(balls):  # noqa: F811
    """The two balls, each an object: 0 ... 59 and 60 ... 99."""
    scene = balls.scene().detach()
    return Studio(lambda: scene, lambda: balls.segmentation)


def rows(studio):
    mask = studio.selection()
    return [] if mask is None else mask.nonzero().flatten().tolist()


RED, BLUE = list(range(60)), list(range(60, 100))


def test_a_region_adds_and_takes_away_under_its_own_name(whole, camera):  # noqa: F811
    left, right = Rectangle(camera, 0, 0, 48, 64), Rectangle(camera, 48, 0, 96, 64)
    tools.select_region(whole, left)
    tools.select_region(whole, right)
    assert rows(whole) == RED + BLUE
    tools.select_region(whole, left, "subtract")
    assert rows(whole) == BLUE
    tools.select_region(whole, Scribble(camera, ((28.0, 32.0),)))
    assert whole.steps == ["rectangle", "rectangle", "rectangle", "scribble"]
    with pytest.raises(UserError, match="stays as it is"):
        tools.select_region(whole, left)


def test_a_region_means_what_is_there_at_its_time(whole, camera):  # noqa: F811
    tools.select_region(whole, Rectangle(camera.at(1.0), 0, 0, 48, 64))
    assert rows(whole) == BLUE


def test_the_support_of_a_text_selects_by_its_share(whole):
    support = torch.tensor([0.9, 0.3])
    found = TextSupport("ball", whole.segmentation(), support, support, 3, 4)
    tools.select_text(whole, found, 0.5)
    assert rows(whole) == RED
    tools.select_text(whole, found, 0.2)
    assert rows(whole) == RED + BLUE
    with pytest.raises(UserError, match="95%"):
        tools.select_text(whole, found, 0.95)
    whole.change("forget", lambda edits: operations.forget_object(edits, 0))
    with pytest.raises(UserError, match="look for it again"):
        tools.select_text(whole, found, 0.5)


def test_growing_stays_in_the_ball_and_leaves_out_what_is_hidden(whole):
    whole.select("half", whole.edits.index % 2 == 0, "replace")
    whole.select("red", whole.edits.index >= 60, "subtract")
    start = set(rows(whole))
    whole.change("hide", lambda edits: operations.hide(edits, edits.index == 1))
    for _ in range(4):
        try:
            tools.grow(whole, 0.0)
        except UserError:
            break  # nothing is left to add
    assert start < set(rows(whole)) <= set(RED) - {1}


def test_shrinking_takes_away_what_borders_on_the_rest(whole):
    whole.select("near the middle", whole.scene().at(0.0).means[:, 0] < -0.5, "replace")
    before = set(rows(whole))
    tools.shrink(whole, 0.0)
    assert set(rows(whole)) < before


def test_tidying_fills_holes_and_drops_specks(whole):
    means = whole.scene().at(0.0).means
    middle = (means - means[:60].mean(0)).norm(dim=1).argmin()
    mask = whole.edits.index < 60
    mask[middle] = False
    mask[60] = True  # far away in the other ball
    whole.select("some", mask, "replace")
    tools.tidy(whole, 0.0)
    assert 60 not in rows(whole)
    assert int(middle) in rows(whole)


def test_growing_to_what_is_similar(whole):
    whole.select("one", whole.edits.index == 3, "replace")
    tools.grow_to_similar(whole, 0.9, nearby=False, time=0.0)
    assert rows(whole) == RED
    with pytest.raises(UserError, match="similarity nan"):
        tools.grow_to_similar(whole, float("nan"), nearby=False, time=0.0)


def test_pieces_that_do_not_touch_become_objects(whole):
    with pytest.raises(UserError, match="hangs together"):
        tools.split_into_pieces(whole, 0, 0.0)
    whole.change("merge", lambda edits: operations.merge(edits, [0, 1]))
    tools.split_into_pieces(whole, 0, 0.0)
    assert sorted(tuple(entry.rows.tolist()) for entry in whole.objects) == [tuple(RED), tuple(BLUE)]
    assert [entry.name for entry in whole.objects] == ["object 0", "object 0 2"]
    whole.undo()
    assert len(whole.objects) == 1


def test_objects_are_found_anew_and_copies_stay(whole):
    whole.select_object(1)
    whole.edit("duplicate", lambda edits, mask: operations.duplicate(edits, mask, "twin"))
    whole.change("forget", lambda edits: operations.forget_object(edits, 0))
    tools.regroup(whole, 0.5)
    found = {tuple(entry.rows.tolist()): entry.name for entry in whole.objects}
    assert found[tuple(range(100, 140))] == "twin"
    assert tuple(RED) in found
    with pytest.raises(UserError, match="granularity"):
        tools.regroup(whole, float("nan"))


@pytest.mark.parametrize("tool", [tools.grow, tools.shrink, tools.tidy])
def test_tools_need_a_selection(whole, tool):
    with pytest.raises(UserError, match="nothing is selected"):
        tool(whole, 0.0)
