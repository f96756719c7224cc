import threading
from dataclasses import replace

import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.render import render_view
from trase_ns.viewer.controller import Counts, SegmentationController


@pytest.fixture
def controller(balls):
    return SegmentationController(lambda: balls.scene(), lambda: balls.segmentation)


def selected(controller):
    mask = controller.selection()
    return set() if mask is None else set(mask.nonzero().flatten().tolist())


RED, BLUE = set(range(60)), set(range(60, 100))


def test_nothing_is_selected_at_first(controller):
    assert controller.selection() is None
    assert controller.counts() == Counts(0, 100, 0)


def test_a_click_selects_the_object_under_it(controller, camera, spots):
    left, right, _ = spots
    controller.click(camera, *left)
    assert selected(controller) == RED
    assert controller.counts() == Counts(60, 100, 1)
    controller.clear()
    controller.click(camera, *right)
    assert selected(controller) == BLUE


def test_a_click_selects_what_is_there_at_its_time(controller, camera, spots):
    controller.click(camera.at(1.0), *spots[0])
    assert selected(controller) == BLUE


def test_clicks_at_times_that_were_seen_evaluate_no_motion(balls, camera, spots):
    scene = balls.scene().detach()
    controller = SegmentationController(lambda: scene, lambda: balls.segmentation)
    controller.click(camera, *spots[0])
    controller.click(camera.at(1.0), *spots[0])
    controller.click(camera, *spots[1], subtract=True)
    assert scene.field.times == [0.0, 1.0]
    assert selected(controller) == RED
    scene.means[:, 0] += 2.0  # in place, as a training step does
    controller.clear()
    with pytest.raises(UserError, match="on nothing"):
        controller.click(camera, *spots[0])


def test_clicks_add_up_and_subtract(controller, camera, spots):
    left, right, _ = spots
    controller.click(camera, *left)
    controller.click(camera, *right)
    assert selected(controller) == RED | BLUE
    assert controller.counts().objects == 2
    controller.click(camera, *left, subtract=True)
    assert selected(controller) == BLUE


def test_clear_keeps_the_threshold(controller, camera, spots):
    controller.set_similarity(0.25)
    controller.click(camera, *spots[0])
    controller.clear()
    assert controller.selection() is None
    assert controller.state.prompts == ()
    assert controller.state.similarity == 0.25


@pytest.mark.parametrize(("x", "y"), [(-1, 5), (96, 5), (5, 64), (float("nan"), 5), (5, float("inf"))])
def test_a_click_outside_is_refused_and_changes_nothing(controller, camera, spots, x, y):
    controller.click(camera, *spots[0])
    with pytest.raises(UserError, match="outside the picture of 96 x 64"):
        controller.click(camera, x, y)
    assert selected(controller) == RED


def test_a_click_on_nothing_says_so_and_changes_nothing(controller, camera, spots):
    controller.click(camera, *spots[0])
    with pytest.raises(UserError):
        controller.click(camera, *spots[2])
    assert selected(controller) == RED
    assert len(controller.state.prompts) == 1


def test_a_click_that_changes_nothing_says_so_and_is_forgotten(controller, camera, spots):
    left, right, _ = spots
    controller.click(camera, *left)
    for x, y, subtract in [(*left, False), (*right, True)]:
        with pytest.raises(UserError, match="changes nothing"):
            controller.click(camera, x, y, subtract)
    controller.click(camera, *right)  # the subtracting click there left no trace
    assert selected(controller) == RED | BLUE


def test_subtracting_all_is_refused(controller, camera, spots):
    controller.click(camera, *spots[0])
    with pytest.raises(UserError, match="nothing is left"):
        controller.click(camera, *spots[0], subtract=True)
    assert selected(controller) == RED


def test_subtracting_from_nothing_says_so(controller, camera, spots):
    with pytest.raises(UserError, match="nothing is selected yet"):
        controller.click(camera, *spots[0], subtract=True)


def test_unknown_granularity_is_refused(controller, camera, spots):
    with pytest.raises(UserError, match="granularity 'finest'"):
        controller.click(camera, *spots[0], granularity="finest")


def test_before_there_are_objects_a_click_selects_by_features(balls, camera, spots):
    controller = SegmentationController(balls.scene, lambda: None)
    controller.click(camera, *spots[0])
    assert selected(controller) == RED
    assert controller.counts().objects == 0
    assert "feature" in controller.state.message


def test_before_there_are_features_a_click_says_when_objects_come(balls, camera, spots):
    scene = balls.scene()
    blank = replace(scene, features=torch.zeros_like(scene.features))
    controller = SegmentationController(lambda: blank, lambda: None)
    with pytest.raises(UserError, match="no objects yet"):
        controller.click(camera, *spots[0])


def test_threshold_drops_gaussians_unlike_their_object(balls, camera, spots):
    scene = balls.scene()
    features = scene.features.clone()
    features[:10] = torch.tensor([0.0, 0, 0, 0, 0, 0, 0, 1])  # ten red Gaussians with a feature of their own
    controller = SegmentationController(lambda: replace(scene, features=features), lambda: balls.segmentation)
    controller.click(camera, *spots[0])
    assert RED - set(range(10)) <= selected(controller)
    before = controller.counts().gaussians
    controller.set_similarity(0.9)
    assert selected(controller) == RED - set(range(10))
    controller.set_similarity(0.0)
    assert controller.counts().gaussians == before == 60


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_threshold_that_is_no_number_is_refused(controller, value):
    before = controller.state.similarity
    with pytest.raises(UserError, match="use a number from 0 to 1"):
        controller.set_similarity(value)
    assert controller.state.similarity == before


@pytest.mark.parametrize(("value", "kept"), [(-3, 0.0), (7, 1.0), (0.3, 0.3)])
def test_a_threshold_out_of_range_is_brought_into_it(controller, value, kept):
    controller.set_similarity(value)
    assert controller.state.similarity == kept


def test_observers_hear_of_each_change_until_they_leave(controller, camera, spots):
    heard = []
    leave = controller.subscribe(lambda: heard.append(controller.counts().gaussians))
    controller.click(camera, *spots[0])
    controller.clear()
    leave()
    controller.click(camera, *spots[0])
    assert heard == [60, 0]


@pytest.mark.parametrize(
    "keep", [range(50, 100), [*range(100), 3, 4], [*range(1, 100), 0]], ids=["fewer", "more", "same"]
)
def test_densification_drops_the_selection_and_says_so(controller, balls, camera, spots, keep):
    controller.click(camera, *spots[0])
    balls.densify(list(keep))
    assert controller.selection() is None
    assert controller.counts() == Counts(0, len(list(keep)), 0)
    heard = []
    controller.subscribe(lambda: heard.append(controller.state.message))
    controller.refresh()
    controller.refresh()
    assert heard == ["Training changed the Gaussians: the selection was dropped, click again."]


def test_training_in_place_keeps_the_selection(controller, balls, camera, spots):
    controller.click(camera, *spots[0])
    with torch.no_grad():
        balls.means += 0.01
    controller.refresh()
    assert selected(controller) == RED


def test_objects_of_another_number_of_gaussians_are_refused(controller, balls, camera, spots):
    balls.densify(range(5, 100))
    with pytest.raises(UserError, match="earlier state"):
        controller.click(camera, *spots[0])


def test_a_click_after_densification_forgets_the_clicks_before(controller, balls, camera, spots):
    controller.click(camera, *spots[0])
    balls.densify(range(100))
    controller.click(camera, *spots[1])
    assert selected(controller) == BLUE


def test_many_threads_leave_one_consistent_state(controller, balls, camera, spots):
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

    gaussians = balls.scene().at(0.0)
    rgb = torch.zeros(64, 96, 3)
    actions = [
        lambda: controller.click(camera, *left),
        lambda: controller.click(camera, *right),
        lambda: controller.set_similarity(0.1),
        lambda: controller.pictures(gaussians, camera, rgb),
        controller.refresh,
    ]
    threads = [threading.Thread(target=work, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(refused) == 8  # of ten clicks those that change nothing
    assert all("changes nothing" in message for message in refused)
    assert len(controller.state.prompts) == 2
    assert selected(controller) == RED | BLUE


def pixel(picture, spot):
    return picture[int(spot[1]), int(spot[0])]


def test_pictures_show_objects_and_selection(controller, balls, camera, spots):
    left, right, nowhere = spots
    gaussians = balls.scene().at(0.0)
    rgb = render_view(gaussians, camera).color.detach().clamp(0, 1)
    pictures = controller.pictures(gaussians, camera, rgb)
    palette = balls.segmentation.palette
    torch.testing.assert_close(pixel(pictures["segments"], left), palette[0], atol=0.05, rtol=0)
    torch.testing.assert_close(pixel(pictures["segments"], right), palette[1], atol=0.05, rtol=0)
    assert torch.equal(pictures["selection"], rgb)

    controller.click(camera, *left)
    picture = controller.pictures(gaussians, camera, rgb)["selection"]
    overlay = controller.overlay
    tinted = torch.lerp(pixel(rgb, left), torch.tensor(overlay.tint), overlay.strength)
    torch.testing.assert_close(pixel(picture, left), tinted, atol=0.05, rtol=0)
    torch.testing.assert_close(pixel(picture, right), pixel(rgb, right) * overlay.dim, atol=0.02, rtol=0)


def test_pictures_of_some_gaussians(controller, balls, camera, spots):
    gaussians = balls.scene().at(0.0)
    keep = torch.arange(100) >= 60
    controller.click(camera, *spots[0])
    pictures = controller.pictures(gaussians.subset(keep), camera, torch.zeros(64, 96, 3), keep)
    torch.testing.assert_close(pixel(pictures["segments"], spots[1]), balls.segmentation.palette[1], atol=0.05, rtol=0)
    assert pictures["selection"].abs().max() == 0  # the selected ball is not among them


def test_pictures_without_objects_are_grey(balls, camera):
    controller = SegmentationController(balls.scene, lambda: None)
    rgb = torch.rand(64, 96, 3)
    pictures = controller.pictures(balls.scene().at(0.0), camera, rgb)
    assert torch.equal(pictures["segments"], rgb.mean(-1, keepdim=True).expand(64, 96, 3))
    assert torch.equal(pictures["selection"], rgb)


def test_pictures_while_the_objects_are_of_an_earlier_scene(controller, balls, camera, spots):
    controller.click(camera, *spots[0])
    balls.densify(range(5, 100))
    rgb = torch.rand(64, 96, 3)
    pictures = controller.pictures(balls.scene().at(0.0), camera, rgb)
    assert torch.equal(pictures["selection"], rgb)
    assert torch.equal(pictures["segments"], rgb.mean(-1, keepdim=True).expand(64, 96, 3))
