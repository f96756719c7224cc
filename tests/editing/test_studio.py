"""Selecting, editing and undoing, without a window."""

import threading
from dataclasses import replace
from functools import partial

import pytest
import torch

from trase_ns.editing import operations
from trase_ns.editing.session import SessionFolder
from trase_ns.editing.studio import Counts, Studio
from trase_ns.errors import UserError
from trase_ns.scene.similarity import Similarity


@pytest.fixture
def studio(balls):
    return Studio(lambda: balls.scene(), lambda: balls.segmentation)


def selected(studio):
    mask = studio.selection()
    return set() if mask is None else set(mask.nonzero().flatten().tolist())


RED, BLUE = set(range(60)), set(range(60, 100))


def test_nothing_is_selected_at_first(studio):
    assert studio.selection() is None
    assert studio.counts() == Counts(0, 100, 0)


def test_a_click_selects_the_object_under_it(studio, camera, spots):
    left, right, _ = spots
    studio.click(camera, *left)
    assert selected(studio) == RED
    assert studio.counts() == Counts(60, 100, 1)
    studio.clear()
    studio.click(camera, *right)
    assert selected(studio) == BLUE


def test_a_click_selects_what_is_there_at_its_time(studio, camera, spots):
    studio.click(camera.at(1.0), *spots[0])
    assert selected(studio) == BLUE


def test_clicks_at_times_that_were_seen_evaluate_no_motion(balls, camera, spots):
    scene = balls.scene().detach()
    studio = Studio(lambda: scene, lambda: balls.segmentation)
    studio.click(camera, *spots[0])
    studio.click(camera.at(1.0), *spots[0])
    studio.click(camera, *spots[1], subtract=True)
    assert scene.field.times == [0.0, 1.0]
    assert selected(studio) == RED
    scene.means[:, 0] += 2.0  # in place, as a training step does
    studio.clear()
    with pytest.raises(UserError, match="on nothing"):
        studio.click(camera, *spots[0])


def test_clicks_at_ever_new_times_evaluate_each_once(balls, camera, spots):
    scene = balls.scene().detach()
    studio = Studio(lambda: scene, lambda: balls.segmentation)
    times = [i / 50 for i in range(8)]  # more than are kept
    studio.click(camera.at(times[0]), *spots[0])
    studio.click(camera.at(times[1]), *spots[1])
    studio.click(camera.at(times[2]), *spots[0], subtract=True)
    for time in times[3:]:
        with pytest.raises(UserError, match="changes nothing"):
            studio.click(camera.at(time), *spots[1])
    assert selected(studio) == BLUE
    assert scene.field.times == times


def test_clicks_and_looks_evaluate_no_motion_where_something_was_moved(balls, camera, spots):
    scene = balls.scene().detach()
    studio = Studio(lambda: scene, lambda: balls.segmentation)
    studio.click(camera, *spots[0])
    studio.edit("move", partial(operations.place, similarity=Similarity.identity()))
    moved = studio.moments.at(studio.scene(), 0.0)
    scene.field.times.clear()
    studio.edit("paint", partial(operations.recolor, color=(0.0, 1.0, 0.0)))
    painted = studio.moments.at(studio.scene(), 0.0)
    studio.click(camera, *spots[1])
    studio.edit("hide", operations.hide)
    hidden = studio.moments.at(studio.scene(), 0.0)
    studio.undo()
    assert torch.equal(studio.moments.at(studio.scene(), 0.0).opacities, painted.opacities)
    assert scene.field.times == []
    assert moved.means is painted.means is hidden.means
    assert not torch.equal(moved.sh, painted.sh)
    assert not hidden.opacities.any()


def test_clicks_add_up_and_subtract(studio, camera, spots):
    left, right, _ = spots
    studio.click(camera, *left)
    studio.click(camera, *right)
    assert selected(studio) == RED | BLUE
    assert studio.counts().objects == 2
    studio.click(camera, *left, subtract=True)
    assert selected(studio) == BLUE


def test_clear_keeps_the_threshold(studio, camera, spots):
    studio.set_similarity(0.25)
    studio.click(camera, *spots[0])
    studio.clear()
    assert studio.selection() is None
    assert studio.similarity == 0.25


@pytest.mark.parametrize(("x", "y"), [(-1, 5), (96, 5), (5, 64), (float("nan"), 5), (5, float("inf"))])
def test_a_click_outside_is_refused_and_changes_nothing(studio, camera, spots, x, y):
    studio.click(camera, *spots[0])
    with pytest.raises(UserError, match="outside the picture of 96 x 64"):
        studio.click(camera, x, y)
    assert selected(studio) == RED


def test_a_click_on_nothing_says_so_and_changes_nothing(studio, camera, spots):
    studio.click(camera, *spots[0])
    with pytest.raises(UserError):
        studio.click(camera, *spots[2])
    assert selected(studio) == RED
    assert studio.steps == ["click"]


def test_a_click_that_changes_nothing_says_so_and_is_forgotten(studio, camera, spots):
    left, right, _ = spots
    studio.click(camera, *left)
    for x, y, subtract in [(*left, False), (*right, True)]:
        with pytest.raises(UserError, match="changes nothing"):
            studio.click(camera, x, y, subtract)
    studio.click(camera, *right)  # the subtracting click there left no trace
    assert selected(studio) == RED | BLUE


def test_subtracting_all_is_refused(studio, camera, spots):
    studio.click(camera, *spots[0])
    with pytest.raises(UserError, match="nothing is left"):
        studio.click(camera, *spots[0], subtract=True)
    assert selected(studio) == RED


def test_subtracting_from_nothing_says_so(studio, camera, spots):
    with pytest.raises(UserError, match="nothing is selected yet"):
        studio.click(camera, *spots[0], subtract=True)


def test_unknown_granularity_is_refused(studio, camera, spots):
    with pytest.raises(UserError, match="granularity 'finest'"):
        studio.click(camera, *spots[0], granularity="finest")


def test_before_there_are_objects_a_click_selects_by_features(balls, camera, spots):
    studio = Studio(balls.scene, lambda: None)
    studio.click(camera, *spots[0])
    assert selected(studio) == RED
    assert studio.counts().objects == 0
    assert "feature" in studio.message


def test_before_there_are_features_a_click_says_when_objects_come(balls, camera, spots):
    scene = balls.scene()
    blank = replace(scene, features=torch.zeros_like(scene.features))
    studio = Studio(lambda: blank, lambda: None)
    with pytest.raises(UserError, match="no objects yet"):
        studio.click(camera, *spots[0])


def test_threshold_drops_gaussians_unlike_their_object(balls, camera, spots):
    scene = balls.scene()
    features = scene.features.clone()
    features[:10] = torch.tensor([0.0, 0, 0, 0, 0, 0, 0, 1])  # ten red Gaussians with a feature of their own
    studio = Studio(lambda: replace(scene, features=features), lambda: balls.segmentation)
    studio.click(camera, *spots[0])
    assert RED - set(range(10)) <= selected(studio)
    before = studio.counts().gaussians
    studio.set_similarity(0.9)
    assert selected(studio) == RED - set(range(10))
    studio.set_similarity(0.0)
    assert studio.counts().gaussians == before == 60


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_threshold_that_is_no_number_is_refused(studio, value):
    before = studio.similarity
    with pytest.raises(UserError, match="use a number from 0 to 1"):
        studio.set_similarity(value)
    assert studio.similarity == before


@pytest.mark.parametrize(("value", "kept"), [(-3, 0.0), (7, 1.0), (0.3, 0.3)])
def test_a_threshold_out_of_range_is_brought_into_it(studio, value, kept):
    studio.set_similarity(value)
    assert studio.similarity == kept


def test_observers_hear_of_each_change_until_they_leave(studio, camera, spots):
    heard = []
    leave = studio.subscribe(lambda: heard.append(studio.counts().gaussians))
    studio.click(camera, *spots[0])
    studio.clear()
    leave()
    studio.click(camera, *spots[0])
    assert heard == [60, 0]


@pytest.mark.parametrize(
    "keep", [range(50, 100), [*range(100), 3, 4], [*range(1, 100), 0]], ids=["fewer", "more", "same"]
)
def test_densification_drops_the_selection_and_says_so(studio, balls, camera, spots, keep):
    studio.click(camera, *spots[0])
    balls.densify(list(keep))
    assert studio.selection() is None
    assert studio.counts() == Counts(0, len(list(keep)), 0)
    heard = []
    studio.subscribe(lambda: heard.append(studio.message))
    studio.refresh()
    studio.refresh()
    assert heard == ["Training changed the Gaussians: selection and edits were dropped."]


def test_training_in_place_keeps_the_selection(studio, balls, camera, spots):
    studio.click(camera, *spots[0])
    with torch.no_grad():
        balls.means += 0.01
    studio.refresh()
    assert selected(studio) == RED


def test_objects_of_another_number_of_gaussians_are_refused(studio, balls, camera, spots):
    balls.densify(range(5, 100))
    with pytest.raises(UserError, match="earlier state"):
        studio.click(camera, *spots[0])


def test_a_click_after_densification_forgets_the_clicks_before(studio, balls, camera, spots):
    studio.click(camera, *spots[0])
    balls.densify(range(100))
    studio.click(camera, *spots[1])
    assert selected(studio) == BLUE


def test_many_threads_leave_one_consistent_state(studio, balls, camera, spots):
    left, right, _ = spots
    refused, problems = [], []

    def work(action):
        for _ in range(5):
            try:
                action()
            except UserError as error:
                refused.append(str(error))
            except Exception as error:
                problems.append(error)

    actions = [
        lambda: studio.click(camera, *left),
        lambda: studio.click(camera, *right),
        lambda: studio.set_similarity(0.1),
        lambda: (studio.scene(), studio.selection(), studio.segmentation(), studio.counts()),
        studio.refresh,
    ]
    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(refused) == 8  # of ten clicks those that change nothing
    assert all("changes nothing" in message for message in refused)
    assert studio.steps == ["click", "click"]
    assert selected(studio) == RED | BLUE


# Editing


def test_an_edit_is_of_the_selection_and_is_undone(studio, balls, camera, spots):
    trained = balls.scene().at(0.0)
    studio.click(camera, *spots[0])
    studio.edit("remove", operations.hide)
    assert studio.counts() == Counts(0, 40, 0)
    assert not studio.scene().at(0.0).opacities[:60].any()
    with pytest.raises(UserError, match="on nothing"):
        studio.click(camera, *spots[0])
    assert studio.undo() == "remove"
    assert selected(studio) == RED
    torch.testing.assert_close(studio.scene().at(0.0).opacities, trained.opacities)
    assert studio.redo() == "remove"
    assert studio.undo() == "remove"
    assert studio.undo() == "click"
    assert selected(studio) == set()
    with pytest.raises(UserError, match="nothing to undo"):
        studio.undo()


def test_an_edit_without_a_selection_says_so(studio):
    with pytest.raises(UserError, match="remove: nothing is selected"):
        studio.edit("remove", operations.hide)
    assert studio.steps == []


def test_an_edit_is_of_what_the_filter_leaves(balls, camera, spots):
    scene = balls.scene()
    features = scene.features.clone()
    features[:10] = torch.tensor([0.0, 0, 0, 0, 0, 0, 0, 1])
    studio = Studio(lambda: replace(scene, features=features), lambda: balls.segmentation)
    studio.click(camera, *spots[0])
    studio.set_similarity(0.9)
    studio.edit("remove", operations.hide)
    assert studio.edits.hidden.nonzero().flatten().tolist() == list(range(10, 60))


def test_what_was_moved_is_clicked_where_it_is(studio, camera, spots):
    left, right, nowhere = spots
    studio.click(camera, *left)
    up = torch.tensor([0.0, -0.7, 0.0])  # y is down in the picture
    map_ = Similarity.about(studio.centre(0.0), torch.eye(3), torch.tensor([0.5, 0.0, 0.0]) + up)
    studio.edit("move", lambda edits, rows: operations.place(edits, rows, map_))
    studio.clear()
    studio.click(camera, *nowhere)
    assert selected(studio) == RED
    with pytest.raises(UserError, match="on nothing"):
        studio.click(camera, *left)


def test_a_copy_is_an_object_that_clicks_find(studio, camera, spots):
    studio.click(camera, *spots[0])
    studio.edit("copy", lambda edits, rows: operations.duplicate(edits, rows, "twin"))
    map_ = Similarity.about(torch.zeros(3), torch.eye(3), torch.tensor([0.5, -0.7, 0.0]))
    studio.edit("move", lambda edits, rows: operations.place(edits, rows, map_))
    studio.clear()
    studio.click(camera, *spots[2])
    assert selected(studio) == set(range(100, 160))
    assert [entry.name for entry in studio.objects] == ["object 0", "object 1", "twin"]
    studio.click(camera, *spots[0])
    assert selected(studio) == RED | set(range(100, 160))
    assert studio.counts() == Counts(120, 160, 2)


def test_edits_follow_training_and_never_write_to_it(studio, balls, camera, spots):
    studio.click(camera, *spots[0])
    studio.edit("fade", lambda edits, rows: operations.fade(edits, rows, 0.5))
    before = studio.scene().at(0.0).means
    with torch.no_grad():
        balls.means += 0.25
    torch.testing.assert_close(studio.scene().at(0.0).means, before + 0.25, atol=1e-6, rtol=0)
    torch.testing.assert_close(balls.scene().at(0.0).opacities, torch.sigmoid(torch.full((100,), 3.0)))


def test_densification_that_says_where_gaussians_come_from_keeps_everything(studio, balls, camera, spots):
    studio.click(camera, *spots[0])
    studio.edit("fade", lambda edits, rows: operations.fade(edits, rows, 0.5))
    origin = [*range(5, 100), 7, 99]
    balls.densify(origin)
    studio.refresh(torch.tensor(origin))
    assert selected(studio) == {*range(55), 95}
    assert (studio.scene().at(0.0).opacities < 0.5).nonzero().flatten().tolist() == [*range(55), 95]


def test_edits_of_another_number_of_gaussians_are_not_followed(studio, balls):
    balls.densify([*range(100), *range(30)])  # a checkpoint of more Gaussians is loaded,
    origin = [*range(130), 120]
    balls.densify(origin)  # and the next step densifies
    studio.refresh(torch.tensor(origin), before=130)
    assert studio.edits.trained == 131
    assert studio.counts() == Counts(0, 131, 0)


def test_the_scene_is_made_once_for_the_same_edits(balls, camera, spots):
    trained = balls.scene()
    studio = Studio(lambda: trained, lambda: balls.segmentation)
    studio.click(camera, *spots[0])
    studio.edit("remove", operations.hide)
    assert studio.scene() is studio.scene()


# Selecting by the list and by tools


def test_objects_of_the_list_are_selected_hidden_and_shown(studio):
    studio.select_object(1)
    assert selected(studio) == BLUE
    studio.select_object(0)
    assert selected(studio) == RED | BLUE
    studio.select_object(1, "subtract")
    assert selected(studio) == RED
    studio.select_object(1, "replace")
    assert selected(studio) == BLUE
    studio.set_visible(1, False)
    assert (studio.visible(0), studio.visible(1)) == (True, False)
    assert studio.counts() == Counts(0, 60, 0)
    studio.show_all()
    assert selected(studio) == BLUE
    with pytest.raises(UserError, match="no object 2"):
        studio.select_object(2)


def test_all_none_and_invert(studio):
    studio.select_object(0)
    studio.invert()
    assert selected(studio) == BLUE
    studio.select_all()
    assert selected(studio) == RED | BLUE
    studio.clear()
    assert selected(studio) == set()


def test_a_part_that_is_split_off_becomes_an_object(studio, camera, spots):
    studio.select("tool", torch.arange(100) < 20)
    studio.split_selection("cap")
    assert [(o.name, len(o)) for o in studio.objects] == [("object 0", 40), ("object 1", 40), ("cap", 20)]
    studio.undo()
    studio.select("tool", torch.arange(100) < 80)
    studio.split_selection()
    assert [(o.name, len(o)) for o in studio.objects] == [("object 0", 60), ("object 1", 40), ("object 2", 80)]


# The session


def test_a_session_is_found_again(balls, camera, spots, tmp_path):
    def open_studio():
        studio = Studio(balls.scene, lambda: balls.segmentation)
        studio.folder = SessionFolder(tmp_path / "session", balls.scene)
        return studio, studio.restore()

    studio, message = open_studio()
    assert message == ""
    studio.click(camera, *spots[0])
    studio.change("name", lambda edits: operations.rename(edits, 0, "red ball"))
    studio.edit("remove", operations.hide)
    studio.set_similarity(0.25)
    studio.view = {"time": 0.5}
    assert studio.save() == tmp_path / "session" / "session.json"
    again, message = open_studio()
    assert message == ""
    assert again.steps == ["click", "name", "remove"]
    assert (again.similarity, again.view, again.objects[0].name) == (0.25, {"time": 0.5}, "red ball")
    assert again.counts() == Counts(0, 40, 0)
    again.undo()
    assert selected(again) == RED
    again.clear()
    again.click(camera, *spots[1])
    assert selected(again) == BLUE


def test_a_session_of_other_gaussians_begins_anew_and_keeps_the_old(balls, camera, spots, tmp_path):
    studio = Studio(balls.scene, lambda: balls.segmentation, folder=SessionFolder(tmp_path / "session", balls.scene))
    studio.select_object(0)
    studio.save()
    balls.densify(range(100))
    with torch.no_grad():
        balls.means += 0.1
    later = Studio(balls.scene, lambda: balls.segmentation, folder=SessionFolder(tmp_path / "session", balls.scene))
    assert "belongs to another state" in later.restore()
    assert later.selection() is None
    assert (tmp_path / "session-refused-1" / "session.json").is_file()


@pytest.mark.parametrize("change", ["edit", "edit_live"])
def test_observers_may_wait_for_others_who_use_the_studio(studio, camera, spots, change):
    studio.click(camera, *spots[0])
    waited = []

    def observe():
        if not waited:
            waited.append(threading.Thread(target=studio.clear, daemon=True))
            waited[0].start()
            waited[0].join(20.0)

    studio.subscribe(observe)
    arguments = ("fade", "fade") if change == "edit_live" else ("fade",)
    getattr(studio, change)(*arguments, lambda edits, rows: operations.fade(edits, rows, 0.5))
    assert not waited[0].is_alive(), "the observer waits under the studio's lock"


def test_live_edits_with_one_key_are_one_step(studio, camera, spots):
    studio.click(camera, *spots[0])

    def fade(opacity, key="slider"):
        studio.edit_live(key, "fade", lambda edits, rows: operations.fade(edits, rows, opacity))

    fade(0.5)
    fade(0.2)
    assert studio.steps == ["click", "fade"]
    assert float(studio.edits.opacity.min()) == pytest.approx(0.2)
    with pytest.raises(UserError):
        fade(float("nan"))
    assert float(studio.edits.opacity.min()) == pytest.approx(0.2)
    fade(0.3, key="another")
    assert studio.steps == ["click", "fade", "fade"]
    studio.undo()
    studio.undo()
    assert float(studio.edits.opacity.min()) == 1.0
