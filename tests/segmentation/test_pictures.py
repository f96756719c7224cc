import torch
from balls import balls, camera, spots  # noqa: F401 - fixtures

from trase_ns.render import render_view
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.pictures import (
    NO_OBJECT,
    Overlay,
    segment_colours,
    segmentation_pictures,
    selection_overlay,
)


def test_each_gaussian_has_the_colour_of_its_object_and_grey_without_one():
    segmentation = Segmentation.from_members([torch.tensor([0, 1, 2]), torch.tensor([4])], 6)
    colours = segment_colours(segmentation, 6)
    assert colours.shape == (6, 3)
    assert torch.equal(colours[0], segmentation.palette[0])
    assert torch.equal(colours[2], segmentation.palette[0])
    assert torch.equal(colours[4], segmentation.palette[1])
    for none in (3, 5):
        assert colours[none].tolist() == list(NO_OBJECT)


def test_without_any_object_all_is_grey():
    colours = segment_colours(Segmentation.from_members([], 3), 3)
    assert colours.tolist() == [list(NO_OBJECT)] * 3


def test_a_segmentation_of_another_scene_has_no_colours():
    assert segment_colours(Segmentation.from_members([torch.arange(3)], 6), 7) is None


def test_overlay_tints_what_is_selected_and_dims_the_rest():
    rgb = torch.full((1, 3, 3), 0.5)
    weight = torch.tensor([0.0, 1.0, 0.5])[None, :, None]
    overlay = Overlay(tint=(1.0, 0.0, 0.0), strength=0.5, dim=0.2)
    out, selected, half = selection_overlay(rgb, weight, overlay)[0]
    torch.testing.assert_close(out, torch.tensor([0.1, 0.1, 0.1]))
    torch.testing.assert_close(selected, torch.tensor([0.75, 0.25, 0.25]))
    torch.testing.assert_close(half, (out + selected) / 2)


def test_overlay_stays_in_range():
    rgb = torch.rand(4, 4, 3) * 3 - 1
    weight = torch.rand(4, 4, 1) * 3 - 1
    picture = selection_overlay(rgb, weight)
    assert picture.min() >= 0
    assert picture.max() <= 1


def pixel(picture, spot):
    return picture[int(spot[1]), int(spot[0])]


def test_pictures_show_objects_and_selection(balls, camera, spots):  # noqa: F811
    left, right, _ = spots
    gaussians = balls.scene().at(0.0)
    rgb = render_view(gaussians, camera).color.detach().clamp(0, 1)
    palette = balls.segmentation.palette
    pictures = segmentation_pictures(gaussians, camera, rgb, balls.segmentation, None)
    torch.testing.assert_close(pixel(pictures["segments"], left), palette[0], atol=0.05, rtol=0)
    torch.testing.assert_close(pixel(pictures["segments"], right), palette[1], atol=0.05, rtol=0)
    assert torch.equal(pictures["selection"], rgb)

    picture = segmentation_pictures(gaussians, camera, rgb, balls.segmentation, torch.arange(100) < 60)["selection"]
    overlay = Overlay()
    tinted = torch.lerp(pixel(rgb, left), torch.tensor(overlay.tint), overlay.strength)
    torch.testing.assert_close(pixel(picture, left), tinted, atol=0.05, rtol=0)
    torch.testing.assert_close(pixel(picture, right), pixel(rgb, right) * overlay.dim, atol=0.02, rtol=0)


def test_pictures_of_some_gaussians(balls, camera, spots):  # noqa: F811
    keep = torch.arange(100) >= 60
    gaussians, rgb = balls.scene().at(0.0).subset(keep), torch.zeros(64, 96, 3)
    pictures = segmentation_pictures(gaussians, camera, rgb, balls.segmentation, torch.arange(100) < 60, keep)
    torch.testing.assert_close(pixel(pictures["segments"], spots[1]), balls.segmentation.palette[1], atol=0.05, rtol=0)
    assert pictures["selection"].abs().max() == 0  # the selected ball is not among them


def test_a_selection_without_objects_is_shown_on_grey(balls, camera, spots):  # noqa: F811
    rgb = torch.rand(64, 96, 3)
    pictures = segmentation_pictures(balls.scene().at(0.0), camera, rgb, None, torch.arange(100) < 60)
    assert torch.equal(pictures["segments"], rgb.mean(-1, keepdim=True).expand(64, 96, 3))
    assert not torch.equal(pictures["selection"], rgb)


def test_pictures_while_the_objects_are_of_an_earlier_scene(balls, camera):  # noqa: F811
    rgb = torch.rand(64, 96, 3)
    old = Segmentation.from_members([torch.arange(3)], 105)
    pictures = segmentation_pictures(balls.scene().at(0.0), camera, rgb, old, torch.zeros(105, dtype=torch.bool))
    assert torch.equal(pictures["selection"], rgb)
    assert torch.equal(pictures["segments"], rgb.mean(-1, keepdim=True).expand(64, 96, 3))
