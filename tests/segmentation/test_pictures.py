import torch

from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.pictures import NO_OBJECT, Overlay, segment_colours, selection_overlay


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
