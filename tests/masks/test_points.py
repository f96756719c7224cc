import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.masks.points import PointSegmenter, load_point_segmenter


def test_of_sams_masks_the_wanted_one_is_taken(small_sam):
    from segment_anything import SamPredictor

    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    points = np.array([[30.5, 20.5], [40.5, 22.0]])
    predictor = SamPredictor(small_sam)
    predictor.set_image(picture)
    masks, scores, _ = predictor.predict(points, np.ones(2, int), multimask_output=True)
    assert len({mask.tobytes() for mask in masks}) == 3
    segmenter = PointSegmenter(small_sam)
    segmenter.look(picture)
    np.testing.assert_array_equal(segmenter(points), masks[scores.argmax()])
    some = [mask for mask in masks if mask.any()]
    assert len(some) >= 2
    for mask in some:
        like = mask.copy()
        like[20, 30] ^= True
        np.testing.assert_array_equal(segmenter(points, like), mask)


def test_missing_weights(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pt do not exist"):
        load_point_segmenter("mobile", tmp_path / "nowhere.pt")
