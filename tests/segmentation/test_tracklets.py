import numpy as np
import pytest

from trase_ns.segmentation import mask_graph, tracklets
from trase_ns.segmentation.mask_graph import objects_from_masks
from trase_ns.segmentation.overlaps import mask_overlaps
from trase_ns.segmentation.refine import Lifted
from trase_ns.segmentation.tracklets import join_blocks

NAMES = ("arm", "hand", "book", "cup")


def best(lifted: Lifted, wanted: np.ndarray) -> float:
    """Return the IoU of the object that fits best."""
    return max((len(np.intersect1d(m, wanted)) / len(np.union1d(m, wanted)) for m in lifted.members), default=0.0)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 40 masks, as a scene of this size has few."""
    monkeypatch.setattr(mask_graph, "join_blocks", lambda weights, cut: join_blocks(weights, cut, block=40))


@pytest.fixture
def compared(monkeypatch):
    """The number of masks of each comparison of all with all."""
    counts = []

    def counting(weights):
        counts.append(len(weights.frame_of_mask))
        return mask_overlaps(weights)

    monkeypatch.setattr(tracklets, "mask_overlaps", counting)
    monkeypatch.setattr(mask_graph, "mask_overlaps", counting)
    return counts


def add_noisy_frames(tabletop, count: int, seed: int = 0) -> None:
    """Add frames in which masks are missing, ragged or merged, each with one that shows no object."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        names = [name for name in NAMES if generator.random() > 0.25]
        if generator.random() < 0.1 and {"book", "cup"} <= set(names):
            names = [n for n in names if n not in ("book", "cup")] + ["book+cup"]
        tabletop.objects["noise"] = generator.choice(400, 30, replace=False)
        tabletop.add(*names, "noise", ragged=0.03)


def test_a_video_of_one_block_is_left_as_it_is(tabletop):
    add_noisy_frames(tabletop, 10)
    weights = tabletop.weights()
    joined = join_blocks(weights, 0.4)
    assert joined.weights is weights
    assert joined.sizes.tolist() == [1] * len(weights.frame_of_mask)


def test_a_tracklet_is_the_mean_of_its_masks(tabletop):
    """The book with a corner that one of its two masks leaves out, and a third frame that has no mask of it."""
    book, rest = tabletop.objects["book"], np.arange(300, 400)
    visible = [tabletop.visible() for _ in range(3)]
    tabletop.world.add_frame(visible[0], [tabletop.share(book[:90]), tabletop.share(rest)])
    tabletop.world.add_frame(visible[1], [tabletop.share(book), tabletop.share(rest)])
    tabletop.world.add_frame(visible[2], [tabletop.share(rest)])
    joined = join_blocks(tabletop.weights(), 0.6, block=4)
    assert [masks.tolist() for masks in joined.masks] == [[1, 3, 4], [0, 2]]
    assert joined.weights.frame_of_mask.tolist() == [0, 0]
    mean = np.mean(visible, axis=0)
    np.testing.assert_allclose(joined.weights.visibility.toarray()[0], mean, rtol=1e-5)

    seen = visible[0] + visible[1]
    covered = np.where(np.isin(np.arange(400), book[90:]), visible[1], seen) * np.isin(np.arange(400), book)
    expected = mean * np.divide(covered, seen, out=np.zeros(400, np.float32), where=seen > 0)
    expected[expected < 0.1] = 0
    np.testing.assert_allclose(joined.weights.inside.toarray()[1], expected, rtol=1e-4)
    assert 0 < (covered < seen).sum() < 400


def test_every_mask_is_in_one_tracklet_at_most_and_spans_are_short_enough(tabletop):
    add_noisy_frames(tabletop, 120)
    weights = tabletop.weights()
    joined = join_blocks(weights, 0.4, block=40)
    masks = np.concatenate(joined.masks)
    assert len(masks) == len(np.unique(masks))
    assert len(joined.masks) <= 40
    assert len(masks) > 0.7 * (weights.inside.shape[0] - 120)  # all but noise, one mask a frame, and some strays


@pytest.mark.parametrize("seed", range(3))
def test_blocks_find_what_comparing_all_masks_finds(tabletop, small_blocks, seed):
    add_noisy_frames(tabletop, 100, seed)
    lifted = objects_from_masks(tabletop.weights())
    for name in NAMES:
        assert best(lifted, tabletop.objects[name]) > 0.97, name


def test_comparisons_grow_with_the_masks_and_not_with_their_square(tabletop, small_blocks, compared):
    """Pairs are bounded by the squares of the masks that are compared at a time: about two blocks for each mask."""
    by_mask = []
    for frames in (30, 30, 60, 120):  # added up: 30, 60, 120, 240
        add_noisy_frames(tabletop, frames, seed=frames)
        compared.clear()
        objects_from_masks(tabletop.weights())
        assert max(compared) <= 60
        by_mask.append(sum(count**2 for count in compared) / len(tabletop.weights().frame_of_mask))
    assert max(by_mask) < 2.5 * 40
    assert by_mask[-1] < 0.1 * len(tabletop.weights().frame_of_mask)


def test_an_object_that_is_hidden_for_blocks_is_one_object(tabletop, small_blocks):
    """The book is gone for 60 frames, several blocks, and comes back; so does its front half alone."""
    book = tabletop.objects["book"]
    for i in range(120):
        visible = tabletop.visible()
        hidden = 30 <= i < 90
        if hidden:
            visible[book[: 120 if i < 60 else 60]] = 0
        names = ("cup", "arm") if 30 <= i < 60 else ("cup", "arm", "book")
        tabletop.world.add_frame(visible, [tabletop.share(tabletop.objects[name]) for name in names])
    lifted = objects_from_masks(tabletop.weights())
    assert len(lifted.members) == 3
    assert best(lifted, book) == 1.0


def test_an_object_that_enters_after_many_blocks_is_found(tabletop, small_blocks):
    """The cup is there in the last eight of 200 frames alone, of some 900 masks."""
    for i in range(200):
        tabletop.objects["noise"] = tabletop.generator.choice(400, 30, replace=False)
        tabletop.add("arm", "hand", "book", *(["cup"] if i >= 192 else []), "noise")
    assert best(objects_from_masks(tabletop.weights()), tabletop.objects["cup"]) == 1.0


def test_more_masks_in_a_frame_than_in_a_block(tabletop):
    """Spans have two frames at least, so that every level is shorter; as many go on as a frame has masks."""
    for _ in range(9):
        tabletop.add(*NAMES)
    joined = join_blocks(tabletop.weights(), 0.4, block=3)
    assert joined.weights.visibility.shape[0] == 1
    assert joined.sizes.tolist() == [9, 9, 9, 9]


def test_frames_without_masks_do_no_harm(tabletop, small_blocks):
    for i in range(60):
        tabletop.add(*(NAMES if i % 20 < 12 else ()))
    lifted = objects_from_masks(tabletop.weights())
    assert len(lifted.members) == 4
    assert all(best(lifted, tabletop.objects[name]) == 1.0 for name in NAMES)
