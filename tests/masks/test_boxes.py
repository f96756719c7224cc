import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.masks.boxes import BoxSegmenter, load_box_segmenter


def test_masks_are_those_of_sam_for_each_box(small_sam):
    from segment_anything import SamPredictor

    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    boxes = np.array([[4, 6, 30, 40], [20, 3, 60, 20.5]], np.float32)
    masks = BoxSegmenter(small_sam)(picture, boxes)
    assert masks.shape == (2, 48, 64)
    assert masks.dtype == bool
    predictor = SamPredictor(small_sam)
    predictor.set_image(picture)
    for mask, box in zip(masks, boxes):
        np.testing.assert_array_equal(mask, predictor.predict(box=box, multimask_output=False)[0][0])


def test_no_boxes(small_sam):
    picture = np.zeros((48, 64, 3), np.uint8)
    assert BoxSegmenter(small_sam)(picture, np.zeros((0, 4), np.float32)).shape == (0, 48, 64)


def test_missing_weights(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.pt do not exist"):
        load_box_segmenter("mobile", tmp_path / "nowhere.pt")


@pytest.mark.slow
def test_mobile_sam_finds_the_book_in_its_box(assets):
    """A drawn book before a plain ground: the mask of its box is the book."""
    picture = np.full((96, 128, 3), (200, 190, 170), np.uint8)
    picture[20:70, 30:90] = (180, 20, 20)
    truth = (picture == (180, 20, 20)).all(-1)
    segmenter = load_box_segmenter("vit_b", assets / "mobile_sam.pt")  # the model is recognised
    mask = segmenter(picture, np.array([[29, 19, 91, 71]], np.float32))[0]
    assert (mask & truth).sum() / (mask | truth).sum() > 0.9
