import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.text_support import TextSupport, membership, trimmed_mean


def test_trimmed_mean_of_equal_weights_leaves_out_both_ends():
    values = np.array([[0.0], [0.2], [0.5], [0.6], [1.0]])
    assert trimmed_mean(values, np.ones((5, 1)), 0.2) == pytest.approx((0.2 + 0.5 + 0.6) / 3)
    assert trimmed_mean(values[::-1], np.ones((5, 1)), 0.2) == pytest.approx((0.2 + 0.5 + 0.6) / 3)
    assert trimmed_mean(values, np.ones((5, 1)), 0.0) == pytest.approx(values.mean())


def test_trimmed_mean_takes_parts_of_what_lies_across_the_ends():
    values = np.array([[0.0, 3.0], [1.0, 5.0]])
    weights = np.array([[1.0, 0.0], [3.0, 2.0]])
    # Of the weight 4 the middle is 1 to 3, all of it of the second value; with a tenth it is 0.4 to 3.6.
    np.testing.assert_allclose(trimmed_mean(values, weights, 0.25), [1.0, 5.0])
    np.testing.assert_allclose(trimmed_mean(values, weights, 0.1), [2.6 / 3.2, 5.0])


def test_trimmed_mean_without_weight_is_zero():
    assert trimmed_mean(np.ones((3, 1)), np.zeros((3, 1)), 0.2) == 0


@pytest.fixture
def nested() -> Segmentation:
    """0: shelf 0-99; 1: book 0-39 in it; 2: cup 100-129; 3: picture 0-9 on the book."""
    return Segmentation.from_members([torch.arange(a, b) for a, b in ((0, 100), (0, 40), (100, 130), (0, 10))], 150)


def support(segmentation, support, agreement, found=4) -> TextSupport:
    return TextSupport("a", segmentation, torch.tensor(support), torch.tensor(agreement), found, 4)


def test_of_nested_objects_the_one_that_agrees_best_is_taken(nested):
    book = support(nested, [0.6, 0.9, 0.0, 1.0], [0.5, 0.9, 0.0, 0.2])
    selection = book.select(0.5)
    assert selection.objects == [1]
    assert selection.mask.nonzero().flatten().tolist() == list(range(40))
    picture = support(nested, [0.1, 0.3, 0.0, 1.0], [0.1, 0.3, 0.0, 0.9])
    assert picture.select(0.2).objects == [3]
    shelf = support(nested, [0.9, 0.9, 0.0, 0.9], [0.9, 0.4, 0.0, 0.2])
    assert shelf.select(0.5).objects == [0]


def test_a_whole_is_taken_with_a_part_that_has_the_share(nested):
    book = support(nested, [0.4, 0.48, 0.0, 0.52], [0.3, 0.48, 0.0, 0.1])
    assert book.select(0.5).objects == [1]
    assert book.select(0.53).objects == []
    cup_besides = support(nested, [0.4, 0.48, 0.47, 0.52], [0.3, 0.48, 0.47, 0.1])
    assert cup_besides.select(0.5).objects == [1]  # no part of the cup has the share
    far_below = support(nested, [0.4, 0.41, 0.0, 0.52], [0.3, 0.41, 0.0, 0.1])
    assert far_below.select(0.5).objects == [3]


def test_objects_that_lie_apart_are_all_taken_best_first(nested):
    selection = support(nested, [0.3, 0.9, 0.8, 0.9], [0.2, 0.4, 0.6, 0.1]).select(0.5)
    assert selection.objects == [2, 1]
    assert len(selection) == 70


def test_the_share_decides(nested):
    measured = support(nested, [0.0, 0.9, 0.4, 0.0], [0.0, 0.9, 0.4, 0.0])
    assert measured.select(0.4).objects == [1, 2]
    assert measured.select(0.41).objects == [1]
    assert measured.select(0.0).objects == [1, 2]  # what has no support at all is never meant
    empty = measured.select(0.95)
    assert empty.objects == []
    assert len(empty) == 0
    assert "the best has 90%" in empty.notes[0]


def test_single_gaussians():
    measured = TextSupport("a", None, torch.tensor([0.2, 0.5, 0.0, 1.0]), torch.zeros(4), 1, 1)
    assert measured.select(0.5).mask.tolist() == [False, True, False, True]
    assert measured.select(0.0).mask.tolist() == [True, True, False, True]


def test_notes_say_why_nothing_is_selected(nested):
    nothing = [0.0] * 4
    assert "in none of 4 views" in support(nested, nothing, nothing, found=0).select().notes[0]
    assert "on no object" in support(nested, nothing, nothing).select().notes[0]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), float("inf")])
def test_bad_shares(nested, share):
    with pytest.raises(UserError, match="share of support"):
        support(nested, [0.0] * 4, [0.0] * 4).select(share)


def test_membership(nested):
    dense = membership(nested).toarray()
    for index in range(len(nested)):
        np.testing.assert_array_equal(dense[index] > 0, nested.members(index).numpy())
