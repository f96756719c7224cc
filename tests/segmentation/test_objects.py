import io

import pytest
import torch

from trase_ns.segmentation.objects import Segmentation, distinct_colors


def nested(support=(0.9, 0.85, 0.9)) -> Segmentation:
    """An arm 0..9 with its hand 6..9, and a book 12..14, over 16 Gaussians."""
    members = [torch.tensor([12, 13, 14]), torch.arange(10), torch.tensor([9, 8, 7, 6])]
    book, arm, hand = support
    return Segmentation.from_members(
        members,
        16,
        support=torch.tensor([book, arm, hand]),
        features=torch.eye(16)[:, :4] + 0.1,
        summary={"method": "masks", "seconds": 0.5},
    )


def test_objects_are_numbered_by_size_and_keep_their_members():
    segmentation = nested()
    assert len(segmentation) == 3
    assert segmentation.sizes.tolist() == [10, 4, 3]
    assert segmentation.members(0).nonzero().flatten().tolist() == list(range(10))
    assert segmentation.members(1).nonzero().flatten().tolist() == [6, 7, 8, 9]
    assert segmentation.support.tolist() == pytest.approx([0.85, 0.9, 0.9])


def test_an_object_inside_another_has_it_as_parent():
    assert nested().parents.tolist() == [-1, 0, -1]


def test_the_smallest_enclosing_object_is_the_parent_even_if_a_bit_sticks_out():
    finger = torch.tensor([8, 9, 7, 6, 11])  # four of five in the hand and in the arm
    members = [torch.arange(11), torch.tensor([4, 5, 6, 7, 8, 9]), finger, torch.tensor([10, 12, 13])]
    assert Segmentation.from_members(members, 16).parents.tolist() == [-1, 0, 1, -1]


def test_equal_objects_do_not_become_parents_of_each_other():
    assert Segmentation.from_members([torch.arange(4), torch.arange(4)], 4).parents.tolist() == [-1, 0]


def test_labels_take_the_largest_of_the_well_supported_objects():
    assert nested().labels.tolist() == [0] * 10 + [-1, -1] + [2, 2, 2] + [-1]
    rare_arm = nested(support=(0.9, 0.3, 0.9))
    assert rare_arm.labels.tolist() == [0] * 6 + [1] * 4 + [-1, -1] + [2, 2, 2] + [-1]


@pytest.mark.parametrize("make", [nested, lambda: nested((0.9, 0.3, 0.9)), lambda: composed(), lambda: composed(0.5)])
def test_labels_agree_with_natural(make):
    segmentation = make()
    for gaussian in range(16):
        holders = [i for i in range(len(segmentation)) if segmentation.members(i)[gaussian]]
        expected = segmentation.natural(torch.tensor(holders)) if holders else -1
        assert int(segmentation.labels[gaussian]) == expected


def composed(sleeve=0.8) -> Segmentation:
    """An arm 0..9 that is a hand 6..9 and a sleeve 0..5, and a book 12..14 with a picture 12, 13."""
    members = [
        torch.arange(10),
        torch.arange(6, 10),
        torch.arange(6),
        torch.tensor([12, 13, 14]),
        torch.tensor([12, 13]),
    ]
    return Segmentation.from_members(members, 16, support=torch.tensor([0.9, 0.8, sleeve, 0.9, 0.9]))


def test_where_an_object_is_the_sum_of_its_parts_the_part_is_natural():
    segmentation = composed()
    assert segmentation.sizes.tolist() == [10, 6, 4, 3, 2]
    assert segmentation.natural(torch.tensor([0, 2])) == 2
    assert segmentation.natural(torch.tensor([0])) == 0
    assert segmentation.labels.tolist() == [1] * 6 + [2] * 4 + [-1, -1, 3, 3, 3, -1]


def test_a_part_that_masks_show_less_often_does_not_break_up_the_whole():
    segmentation = composed(sleeve=0.5)
    assert segmentation.natural(torch.tensor([0, 2])) == 0
    assert segmentation.labels.tolist() == [0] * 10 + [-1, -1, 3, 3, 3, -1]


def test_extreme_passes_over_what_is_hardly_supported():
    segmentation = nested(support=(0.9, 0.3, 0.9))
    assert segmentation.extreme(torch.tensor([0, 1]), largest=True) == 1
    segmentation = nested(support=(0.9, 0.8, 0.9))
    assert segmentation.extreme(torch.tensor([0, 1]), largest=True) == 0
    assert segmentation.extreme(torch.tensor([0, 1]), largest=False) == 1


def test_coverage_sums_weights_over_members():
    weights = torch.zeros(16)
    weights[[5, 9, 13]] = torch.tensor([0.25, 0.5, 0.125])
    assert nested().coverage(weights).tolist() == [0.75, 0.5, 0.125]


def test_on_its_device_it_stays_what_it_is_with_all_that_it_keeps():
    segmentation = nested()
    assert segmentation.to("cpu") is segmentation
    assert segmentation.to("meta").indices.is_meta


def test_centres_are_normalised_means_of_normalised_features():
    segmentation = nested()
    features = torch.nn.functional.normalize(torch.eye(16)[:, :4] + 0.1, dim=1)
    expected = torch.nn.functional.normalize(features[:10].mean(0), dim=0)
    assert segmentation.centres is not None
    torch.testing.assert_close(segmentation.centres[0], expected)


def test_the_state_survives_a_safe_checkpoint():
    segmentation = nested()
    file = io.BytesIO()
    torch.save(segmentation.to_state(), file)
    file.seek(0)
    loaded = Segmentation.from_state(torch.load(file, weights_only=True))
    assert loaded.summary == segmentation.summary
    for name in ("indptr", "indices", "labels", "parents", "support", "centres"):
        assert torch.equal(getattr(loaded, name), getattr(segmentation, name)), name


def test_a_foreign_state_is_refused():
    with pytest.raises(ValueError, match="indptr"):
        Segmentation.from_state({"labels": torch.zeros(3)})


def test_without_objects_everything_is_empty():
    segmentation = Segmentation.from_members([], 5, features=torch.rand(5, 2))
    assert len(segmentation) == 0
    assert segmentation.labels.tolist() == [-1] * 5
    assert segmentation.palette.shape == (0, 3)
    assert segmentation.coverage(torch.ones(5)).shape == (0,)
    assert len(Segmentation.from_state(segmentation.to_state())) == 0
    assert len(segmentation.subset(torch.tensor([True, False, True, False, False]))) == 0


def test_subset_renumbers_gaussians_and_drops_lost_objects():
    mask = torch.zeros(16, dtype=torch.bool)
    mask[[6, 7, 8, 9, 12]] = True  # the hand, four of ten of the arm, one of three of the book
    subset = nested().subset(mask)
    assert subset.gaussians == 5
    assert len(subset) == 1
    assert subset.members(0).tolist() == [True] * 4 + [False]
    assert subset.labels.tolist() == [0, 0, 0, 0, -1]
    assert subset.centres is not None
    torch.testing.assert_close(subset.centres, nested().centres[1:2])  # type: ignore[index]


def test_colours_are_distinct_and_do_not_depend_on_the_count():
    colors = distinct_colors(60)
    assert torch.equal(colors[:20], distinct_colors(20))
    assert torch.cdist(colors[:24], colors[:24]).fill_diagonal_(1).min() > 0.08
    assert (colors[1:] - colors[:-1]).norm(dim=1).min() > 0.4
