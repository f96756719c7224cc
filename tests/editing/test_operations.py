"""Each operation changes what it should, on the rows that are meant, and nothing else; each can be undone."""

import math

import pytest
import torch

from trase_ns.editing import operations
from trase_ns.editing.apply import apply
from trase_ns.editing.edits import COLUMNS, Edits, segmentation_of
from trase_ns.editing.history import History
from trase_ns.errors import UserError
from trase_ns.scene import clock, quaternions
from trase_ns.scene.similarity import Similarity
from trase_ns.scene.spherical_harmonics import evaluate, sh0_to_rgb

TURN = quaternions.to_matrix(torch.tensor([0.8, 0.0, 0.6, 0.0], dtype=torch.float64))
MOVE = Similarity.about(torch.tensor([1.0, 2.0, 3.0]), TURN, torch.tensor([0.5, 0.0, 0.0]), 2.0)

OPERATIONS = {
    "select": lambda e, r, other: operations.select(e, r),
    "hide": lambda e, r, other: operations.hide(e, r),
    "isolate": lambda e, r, other: operations.isolate(e, r),
    "fade": lambda e, r, other: operations.fade(e, r, 0.3),
    "tint": lambda e, r, other: operations.recolor(e, r, (1.0, 0.0, 0.0), 0.7),
    "replace": lambda e, r, other: operations.recolor(e, r, (1.0, 0.0, 0.0), 1.0, "replace"),
    "restyle": lambda e, r, other: operations.restyle(e, r, torch.ones(int(r.sum()), 4, 3)),
    "place": lambda e, r, other: operations.place(e, r, MOVE),
    "retime": lambda e, r, other: operations.retime(e, r, clock.backwards()),
    "duplicate": lambda e, r, other: operations.duplicate(e, r),
    "bring in": lambda e, r, other: operations.bring_in(e, other, "other", MOVE, clock.frozen(0.5)),
    "rename": lambda e, r, other: operations.rename(e, 1, "arm"),
    "merge": lambda e, r, other: operations.merge(e, [0, 2]),
    "split": lambda e, r, other: operations.split(e, 1, r & (torch.arange(len(r)) % 2 == 0)),
    "add object": lambda e, r, other: operations.add_object(e, r, "new"),
    "forget object": lambda e, r, other: operations.forget_object(e, 0),
}


def same(a, b):
    assert len(a) == len(b)
    for name in COLUMNS:
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert a.objects == b.objects or [o.name for o in a.objects] == [o.name for o in b.objects]
    assert (a.placements, a.clocks, a.looks, a.trained) == (b.placements, b.clocks, b.looks, b.trained)


def equal_gaussians(a, b):
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), msg=name)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_undone_and_redone_exactly(name, edits, rows, other):
    history = History(edits)
    assert history.do(name, OPERATIONS[name](edits, rows, other))
    after = history.edits
    assert history.undo() == name
    same(history.edits, edits)
    assert history.undo() is None
    assert history.redo() == name
    same(history.edits, after)


@pytest.mark.parametrize("name", OPERATIONS)
def test_trained_parameters_are_never_written(name, edits, rows, other, scene):
    before = {f: getattr(scene, f).clone() for f in ("means", "quats", "log_scales", "sh0", "sh_rest", "features")}
    apply(OPERATIONS[name](edits, rows, other), scene).at(0.5)
    for field, value in before.items():
        assert torch.equal(getattr(scene, field), value), field


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n != "isolate"])
def test_rows_that_are_not_meant_stay_exactly_as_they_are(name, edits, rows, other, scene):
    edited = apply(OPERATIONS[name](edits, rows, other), scene).at(0.7)
    trained = scene.at(0.7)
    for field in ("means", "quats", "scales", "opacities"):
        assert torch.equal(getattr(edited, field)[: len(scene)][~rows], getattr(trained, field)[~rows]), field
    bands = trained.sh.shape[1]
    assert torch.equal(edited.sh[: len(scene)][~rows][:, :bands], trained.sh[~rows])
    assert not edited.sh[: len(scene)][~rows][:, bands:].any()


def test_an_untouched_scene_is_the_trained_one_itself(edits, scene):
    edited = apply(edits, scene)
    assert edited.means.data_ptr() == scene.means.data_ptr()
    assert edited.field is scene.field


def test_a_placed_part_moves_as_the_similarity_says(edits, rows, scene):
    edited = apply(operations.place(edits, rows, MOVE), scene).at(0.25)
    equal_gaussians(edited.subset(rows), MOVE.gaussians(scene.at(0.25)).subset(rows))


def test_places_add_up(edits, rows, scene):
    twice = operations.place(operations.place(edits, rows, MOVE), rows, MOVE)
    edited = apply(twice, scene).at(0.25)
    equal_gaussians(edited.subset(rows), MOVE.gaussians(MOVE.gaussians(scene.at(0.25))).subset(rows))


def test_about_turns_around_the_pivot():
    pivot = torch.tensor([1.0, 2.0, 3.0])
    map_ = Similarity.about(pivot, TURN, torch.tensor([0.5, 0.0, 0.0]), 2.0)
    torch.testing.assert_close(map_.points(pivot[None])[0], pivot + torch.tensor([0.5, 0.0, 0.0]))
    point = torch.tensor([[2.0, 2.0, 3.0]])
    expected = pivot + 2 * TURN.float() @ torch.tensor([1.0, 0, 0]) + torch.tensor([0.5, 0.0, 0.0])
    torch.testing.assert_close(map_.points(point)[0], expected)


@pytest.mark.parametrize(
    ("time_map", "time", "moment"),
    [
        (clock.frozen(0.25), 0.9, 0.25),
        (clock.shifted(0.25), 0.75, 0.5),
        (clock.shifted(0.25), 0.1, 0.0),
        (clock.at_speed(0.5), 0.5, 0.25),
        (clock.at_speed(2.0, around=0.5), 0.5, 0.5),
        (clock.at_speed(2.0, wrap="loop"), 0.75, 0.5),
        (clock.at_speed(2.0, wrap="bounce"), 0.75, 0.5),
        (clock.at_speed(4.0, wrap="bounce"), 0.625, 0.5),
        (clock.backwards(), 0.25, 0.75),
        (clock.TimeMap(1.0, -0.25, "loop"), 0.0, 0.75),
        (clock.at_speed(1.0, wrap="loop"), 1.0, 1.0),
    ],
)
def test_retimed_parts_show_another_moment(time_map, time, moment, edits, rows, scene):
    edited = apply(operations.retime(edits, rows, time_map), scene).at(time)
    equal_gaussians(edited.subset(rows), scene.at(moment).subset(rows))
    equal_gaussians(edited.subset(~rows), scene.at(time).subset(~rows))


def test_time_maps_are_done_the_last_one_first(edits, rows, scene):
    # Slow motion first, then backwards: at the end the start is seen, at the start the middle.
    slow = operations.retime(edits, rows, clock.at_speed(0.5))
    edited = apply(operations.retime(slow, rows, clock.backwards()), scene)
    equal_gaussians(edited.at(0.0).subset(rows), scene.at(0.5).subset(rows))


def test_hidden_rows_have_no_opacity_and_come_back(edits, rows, scene):
    hidden = operations.hide(edits, rows)
    opacities = apply(hidden, scene).at(0.0).opacities
    assert not opacities[rows].any()
    assert opacities[~rows].all()
    same(operations.show(hidden, rows), edits)


def test_isolate_hides_all_else_and_shows_what_was_hidden(edits, rows, scene):
    edited = apply(operations.isolate(operations.hide(edits, rows), rows), scene).at(0.0)
    assert torch.equal(edited.opacities > 0, rows)


def test_fading_multiplies_the_trained_opacity_once(edits, rows, scene):
    faded = operations.fade(operations.fade(edits, rows, 0.9), rows, 0.25)
    torch.testing.assert_close(apply(faded, scene).at(0.0).opacities[rows], 0.25 * scene.at(0.0).opacities[rows])


def test_replaced_colour_is_that_colour_from_everywhere(edits, rows, scene):
    edited = apply(operations.recolor(edits, rows, (1.0, 0.5, 0.25), mode="replace"), scene).at(0.0)
    direction = torch.nn.functional.normalize(torch.randn(int(rows.sum()), 3), dim=1)
    colors = evaluate(edited.sh[rows], direction)
    torch.testing.assert_close(colors, torch.tensor([1.0, 0.5, 0.25]).expand_as(colors))


def test_a_tint_keeps_light_and_dark(edits, rows, scene):
    edited = apply(operations.recolor(edits, rows, (0.0, 0.8, 0.0)), scene)
    weights = torch.tensor(operations.LUMINANCE)
    before, after = sh0_to_rgb(scene.sh0[rows]) @ weights, sh0_to_rgb(edited.sh0[rows]) @ weights
    torch.testing.assert_close(after, before)
    torch.testing.assert_close(sh0_to_rgb(edited.sh0[rows])[:, 0], torch.zeros(int(rows.sum())), atol=1e-6, rtol=0)


def test_half_a_tint_twice_is_more_than_once(edits, rows, scene):
    once = operations.recolor(edits, rows, (0.0, 0.8, 0.0), 0.5)
    red = [
        sh0_to_rgb(apply(e, scene).sh0[rows])[:, 0]
        for e in (edits, once, operations.recolor(once, rows, (0.0, 0.8, 0.0), 0.5))
    ]
    torch.testing.assert_close(red[1], red[0] / 2)
    torch.testing.assert_close(red[2], red[0] / 4)


def test_a_copy_is_where_the_original_is_and_then_goes_its_own_way(edits, rows, scene):
    copied = operations.duplicate(operations.place(edits, rows, MOVE), rows, "twin")
    count = int(rows.sum())
    assert len(copied) == len(scene) + count
    assert copied.objects[-1].name == "twin"
    assert torch.equal(copied.selected(), torch.arange(len(copied)) >= len(scene))
    edited = apply(copied, scene).at(0.3)
    equal_gaussians(edited.subset(copied.selected()), edited.subset(torch.nn.functional.pad(rows, (0, count))))
    moved = apply(operations.retime(copied, copied.selected(), clock.frozen(0.0)), scene).at(0.3)
    equal_gaussians(moved.subset(torch.arange(len(scene))), edited.subset(torch.arange(len(scene))))
    assert (moved.means[len(scene) :] != edited.means[len(scene) :]).any()


def test_a_scene_that_is_brought_in_plays_at_its_place_and_time(edits, scene, other):
    brought = operations.bring_in(edits, other, "other", MOVE, clock.backwards())
    edited = apply(brought, scene).at(0.25)
    expected = MOVE.gaussians(other.at(0.75))
    equal_gaussians(edited.subset(brought.selected()), expected)
    assert edited.sh.shape[1] == 9
    torch.testing.assert_close(edited.sh[: len(scene), :4], scene.at(0.25).sh)
    assert not apply(brought, scene).features[len(scene) :].any()


def test_a_subset_of_an_edited_scene_is_the_subset_of_its_moments(edits, rows, scene, other):
    edited = apply(operations.bring_in(operations.place(edits, rows, MOVE), other, "other"), scene)
    chosen = torch.arange(len(edited)) % 3 == 1
    equal_gaussians(edited.subset(chosen).at(0.6), edited.at(0.6).subset(chosen))


def test_styled_rows_have_their_coefficients(edits, rows, scene):
    block = torch.randn(int(rows.sum()), 4, 3)
    edited = apply(operations.restyle(edits, rows, block), scene)
    assert torch.equal(edited.at(0.0).sh[rows], block)


def test_reset_takes_back_all_but_the_selection(edits, rows, scene, other):
    changed = operations.select(edits, rows)
    for name in ("hide", "fade", "tint", "restyle", "place", "retime"):
        changed = OPERATIONS[name](changed, rows, other)
    equal_gaussians(apply(operations.reset(changed, rows), scene).at(0.5), scene.at(0.5))
    assert torch.equal(operations.reset(changed, rows).selected(), rows)


def test_objects_merge_split_and_are_named(edits, rows):
    merged = operations.merge(edits, [0, 2])
    assert [(o.name, len(o)) for o in merged.objects] == [("thing 0", 20), ("thing 1", 10)]
    half = rows & (torch.arange(len(rows)) % 2 == 0)
    parts = operations.split(edits, 1, half, "half").objects
    assert [(o.name, len(o)) for o in parts] == [("thing 0", 10), ("thing 1", 5), ("thing 2", 10), ("half", 5)]
    assert len({o.color for o in parts}) == 4
    with pytest.raises(UserError, match="thing 1 cannot be split"):
        operations.split(edits, 1, rows)
    assert operations.rename(edits, 0, " a\nb\0c" + "x" * 10_000).objects[0].name == "abc" + "x" * 97
    with pytest.raises(UserError, match="name"):
        operations.rename(edits, 0, "\n\t ")


def test_the_segmentation_of_the_list_keeps_numbers_and_colours(edits, scene):
    named = operations.split(edits, 0, torch.arange(len(scene)) < 3)
    segmentation = segmentation_of(named, scene.features)
    assert segmentation.sizes.tolist() == [7, 10, 10, 3]
    for number, entry in enumerate(named.objects):
        assert torch.equal(segmentation.members(number), named.mask(number))
        torch.testing.assert_close(segmentation.palette[number], torch.tensor(entry.color))


@pytest.mark.parametrize("value", [math.nan, None])
def test_numbers_that_are_none_are_refused(value, edits, rows):
    for operation in (
        lambda: operations.fade(edits, rows, value),
        lambda: operations.recolor(edits, rows, (0.1, value, 0.2)),
        lambda: operations.recolor(edits, rows, (0.1, 0.1, 0.2), value),
    ):
        with pytest.raises(UserError):
            operation()
    with pytest.raises(UserError):
        operations.place(edits, rows, Similarity(TURN * math.nan, torch.zeros(3)))
    with pytest.raises(UserError):
        operations.place(edits, rows, Similarity(TURN, torch.zeros(3), 0.0))


def test_memory_of_a_step_grows_with_what_it_changed():
    edits = Edits.none(100_000)
    few = torch.arange(100_000) < 10
    for name in ("hide", "tint", "place", "retime", "duplicate"):
        history = History(edits)
        history.do(name, OPERATIONS[name](edits, few, None))
        assert history.steps[0].nbytes < 10 * 200, name


def test_a_step_that_changes_nothing_is_no_step(edits, rows):
    history = History(operations.hide(edits, rows))
    assert not history.do("hide", operations.hide(history.edits, rows))
    assert not history.steps


def test_a_new_step_forgets_what_was_undone(edits, rows, other):
    history = History(edits)
    for name in ("hide", "fade"):
        history.do(name, OPERATIONS[name](history.edits, rows, other))
    history.undo()
    history.do("place", OPERATIONS["place"](history.edits, rows, other))
    assert history.labels == ["hide", "place"]
    history.go(0)
    same(history.edits, edits)
    history.go(9)
    assert history.position == 2


def test_only_the_latest_steps_are_kept(edits, rows):
    history = History(edits, limit=3)
    for i in range(5):
        history.do(f"fade {i}", operations.fade(history.edits, rows, i / 10))
    assert history.labels == ["fade 2", "fade 3", "fade 4"]
    while history.undo():
        pass
    torch.testing.assert_close(history.edits.opacity[rows], torch.full((10,), 0.1))
