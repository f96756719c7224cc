import numpy as np
import pytest

from trase_ns.segmentation.refine import Lifted, drop_duplicates, lift, refine


def test_lift_takes_the_gaussians_with_the_largest_iou(tabletop):
    """All prefixes by falling share are tried one by one; the best is what lift takes."""
    for _ in range(6):
        tabletop.add("book", ragged=0.3)
    weights = tabletop.weights()
    confidence = np.linspace(0.5, 1, 6)
    covered = weights.inside.toarray().T @ confidence
    total = weights.visibility.toarray().T @ confidence
    share = np.divide(covered, total, out=np.zeros(400), where=total > 0)

    def soft_iou(threshold):
        taken = share >= threshold
        return covered[taken].sum() / (covered.sum() + (total - covered)[taken].sum())

    best = max(share[share > 0], key=soft_iou)
    lifted = lift(weights.inside, weights.frame_of_mask, confidence, weights.visibility)
    assert lifted.tolist() == np.flatnonzero(share >= best).tolist()
    assert 0.3 < best < 0.5
    assert soft_iou(best) / (1 + soft_iou(best)) == pytest.approx(best, abs=0.05)


def test_lift_of_no_masks_is_empty(tabletop):
    tabletop.add("book")
    weights = tabletop.weights()
    assert len(lift(weights.inside[:0], np.zeros(0, np.int64), np.zeros(0), weights.visibility)) == 0


def test_frames_without_a_mask_of_the_object_have_no_say(tabletop):
    cup = tabletop.objects["cup"]
    for i in range(10):
        tabletop.add("arm", *(["cup"] if i < 3 else []))
    lifted = refine(tabletop.weights(), [cup[5:]])
    assert lifted.members[0].tolist() == cup.tolist()
    assert lifted.support[0] == pytest.approx(0.3 * 55 / 60, abs=0.03)


def test_a_mask_that_fits_badly_has_no_say(tabletop):
    book = tabletop.objects["book"]
    for i in range(10):
        tabletop.world.add_frame(tabletop.visible(), [tabletop.share(book if i < 4 else book[:50])])
    lifted = refine(tabletop.weights(), [book])
    assert lifted.members[0].tolist() == book.tolist()


def test_a_rough_object_gets_the_masks_border(tabletop):
    for _ in range(10):
        tabletop.add("arm", "hand", "book", "cup")
    rough = np.r_[tabletop.objects["book"][10:], tabletop.objects["cup"][:20]]
    lifted = refine(tabletop.weights(), [rough])
    assert lifted.members[0].tolist() == tabletop.objects["book"].tolist()


def test_parts_are_joined_where_no_mask_shows_the_whole(tabletop):
    book = tabletop.objects["book"]
    tabletop.objects.update(left=book[:70], right=book[70:])
    for _ in range(10):
        tabletop.add("left", "right", "cup")
    lifted = refine(tabletop.weights(), [book[5:-5]])
    assert lifted.members[0].tolist() == book.tolist()
    assert lifted.support[0] > 0.9


def test_what_several_parts_cover_counts_once(tabletop):
    book = tabletop.objects["book"]
    for _ in range(10):
        tabletop.world.add_frame(tabletop.visible(), [tabletop.share(book[:70]), tabletop.share(book[30:])])
    lifted = refine(tabletop.weights(), [book])
    assert lifted.members[0].tolist() == book.tolist()
    assert lifted.support[0] == pytest.approx(1.0, abs=1e-4)


def test_an_object_that_no_mask_shows_is_empty(tabletop):
    for _ in range(10):
        tabletop.add("arm")
    lifted = refine(tabletop.weights(), [tabletop.objects["cup"]])
    assert len(lifted.members[0]) == 0
    assert lifted.support[0] == 0


def test_of_duplicates_the_better_supported_is_kept():
    members = [np.arange(100), np.arange(0, 95), np.arange(200, 220), np.arange(60)]
    kept = drop_duplicates(Lifted(members, np.array([0.7, 0.8, 0.1, 0.9], np.float32)), np.ones(400, np.float32))
    assert [len(m) for m in kept.members] == [95, 20, 60]
    assert kept.support.tolist() == pytest.approx([0.8, 0.1, 0.9])


def test_what_is_hardly_ever_seen_does_not_tell_duplicates_apart():
    importance = np.ones(400, np.float32)
    importance[50:100] = 0.001
    members = [np.arange(100), np.arange(50)]
    kept = drop_duplicates(Lifted(members, np.array([0.7, 0.8], np.float32)), importance)
    assert [len(m) for m in kept.members] == [50]
