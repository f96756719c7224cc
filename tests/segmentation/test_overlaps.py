import numpy as np

from trase_ns.learning.uplift import MaskWeights
from trase_ns.segmentation.overlaps import NEGLIGIBLE, mask_overlaps


def literal_iou(inside, visibility, frames, a, b):
    """The definition, mask by mask."""
    v_f, v_g = visibility[frames[a]], visibility[frames[b]]
    weight = np.minimum(v_f, v_g)
    share_a = np.divide(inside[a], v_f, out=np.zeros_like(v_f), where=v_f > 0)
    share_b = np.divide(inside[b], v_g, out=np.zeros_like(v_g), where=v_g > 0)
    intersection = (weight * share_a * share_b).sum()
    union = (weight * share_a).sum() + (weight * share_b).sum() - intersection
    return intersection / union if union > 0 else 0.0


def test_overlaps_follow_their_definition_in_any_order_of_masks(tabletop):
    for _ in range(5):
        tabletop.add("arm", "hand", "book", "book+cup", ragged=0.2)
    weights = tabletop.weights()
    order = np.random.default_rng(1).permutation(len(weights.frame_of_mask))
    weights = MaskWeights(weights.inside[order], weights.visibility, weights.frame_of_mask[order])
    inside, visibility = weights.inside.toarray(), weights.visibility.toarray()

    overlaps = mask_overlaps(weights)
    iou = overlaps.iou.toarray()
    count = len(order)
    expected = np.array(
        [[literal_iou(inside, visibility, weights.frame_of_mask, a, b) for b in range(count)] for a in range(count)]
    )
    expected[expected < NEGLIGIBLE] = 0
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(iou, expected, atol=1e-5)
    assert (iou == iou.T).all()
    assert len(np.unique(iou)) > count

    for a in (0, 3):
        for frame in range(5):
            own = visibility[weights.frame_of_mask[a]]
            both = np.minimum(own, visibility[frame])
            share = np.divide(inside[a], own, out=np.zeros_like(own), where=own > 0)
            np.testing.assert_allclose(overlaps.seen[a, frame], (both * share).sum() / inside[a].sum(), rtol=1e-5)
            if frame == weights.frame_of_mask[a]:
                assert overlaps.seen[a, frame] == np.float32(1)


def test_what_only_one_frame_sees_does_not_count(tabletop):
    book = tabletop.objects["book"]
    whole, part = np.zeros(400, np.float32), np.zeros(400, np.float32)
    whole[book], part[book[:30]] = 1, 2
    share = tabletop.share(book)
    tabletop.world.add_frame(whole, [share])
    tabletop.world.add_frame(part, [share])
    overlaps = mask_overlaps(tabletop.weights())
    assert overlaps.iou[0, 1] == 1
    np.testing.assert_allclose(overlaps.seen, [[1, 30 / 120], [0.5, 1]])


def test_frames_that_see_nothing_in_common_have_no_overlap(tabletop):
    for index in (np.arange(10), np.arange(10, 20)):
        tabletop.world.add_frame(tabletop.share(index), [tabletop.share(index)])
    overlaps = mask_overlaps(tabletop.weights())
    assert overlaps.iou.nnz == 0
    np.testing.assert_allclose(overlaps.seen, np.eye(2))
