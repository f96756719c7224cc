"""Metrics against scikit-learn, torchmetrics and OpenCV, which others keep, and against values by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, jaccard_score
from torchmetrics.functional.classification import binary_accuracy, binary_jaccard_index

from trase_ns.evaluation.metrics import boundary_iou, flicker, floaters, iou, mean_score, pixel_accuracy


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_sklearn_and_torchmetrics(share, seed):
    random = np.random.default_rng(seed)
    truth = random.random((17, 23)) < share
    prediction = truth ^ (random.random((17, 23)) < 0.2)
    assert iou(prediction, truth) == pytest.approx(jaccard_score(truth.ravel(), prediction.ravel()))
    assert pixel_accuracy(prediction, truth) == pytest.approx(accuracy_score(truth.ravel(), prediction.ravel()))
    tensors = torch.from_numpy(prediction).int(), torch.from_numpy(truth).int()
    assert iou(prediction, truth) == pytest.approx(float(binary_jaccard_index(*tensors)))
    assert pixel_accuracy(prediction, truth) == pytest.approx(float(binary_accuracy(*tensors)))


def test_two_empty_masks_agree_and_one_empty_mask_does_not():
    empty, full = np.zeros((4, 5), bool), np.ones((4, 5), bool)
    assert iou(empty, empty) == 1
    assert pixel_accuracy(empty, empty) == 1
    assert iou(empty, full) == iou(full, empty) == 0
    assert iou(full, full) == 1


def test_every_object_counts_the_same_however_many_frames_it_has():
    assert mean_score([[1.0, 1.0, 1.0], [0.0]]) == 0.5


def published_border(mask: np.ndarray, ratio: float = 0.02) -> np.ndarray:
    """`mask_to_boundary` of the program that goes with the Boundary IoU paper."""
    cv2 = pytest.importorskip("cv2")
    height, width = mask.shape
    dilation = max(1, int(round(ratio * np.sqrt(height**2 + width**2))))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=dilation)
    return mask & ~eroded[1 : height + 1, 1 : width + 1].astype(bool)


@pytest.mark.parametrize("shape", [(30, 20), (120, 160), (240, 320)])
@pytest.mark.parametrize("seed", range(3))
def test_boundary_iou_agrees_with_the_published_program(shape, seed):
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    truth = gaussian_filter(random.standard_normal(shape), 5) > 0
    prediction = np.roll(truth, (2, 1), axis=(0, 1)) | (gaussian_filter(random.standard_normal(shape), 8) > 0.05)
    expected = jaccard_score(published_border(truth).ravel(), published_border(prediction).ravel())
    assert boundary_iou(prediction, truth) == pytest.approx(expected)
    assert 0 < expected < 1


def test_boundary_iou_by_hand():
    # The diagonal of 30 x 40 is 50: the border is one pixel wide.
    truth, smaller = np.zeros((30, 40), bool), np.zeros((30, 40), bool)
    truth[5:15, 10:20] = True
    assert boundary_iou(truth, truth) == 1
    smaller[6:14, 11:19] = True  # its border lies within, where the other has none
    assert boundary_iou(smaller, truth) == 0
    assert iou(smaller, truth) == 0.64
    smaller[5:15, 10:19] = True  # a column less: 34 border pixels to 36, of which 26 and the two ends agree
    assert boundary_iou(smaller, truth) == pytest.approx(26 / 44)
    whole = np.ones((30, 40), bool)  # has its border along the picture's
    assert boundary_iou(whole, truth) == 0
    assert boundary_iou(~whole, ~whole) == 1
    assert boundary_iou(~whole, truth) == 0
    # Five pixels wide the border takes all of it.
    assert boundary_iou(smaller, truth, width=0.1) == iou(smaller, truth)


def test_floaters_by_hand():
    # 5 % of the diagonal of 60 x 80 are five pixels.
    truth, prediction = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    truth[20:30, 20:30] = True
    assert floaters(prediction, truth) == 0
    assert floaters(truth, truth) == 0
    prediction[20:30, 20:30] = True
    prediction[25, 30:37] = True  # the last two of them are six and seven pixels away
    assert floaters(prediction, truth) == pytest.approx(2 / 107)
    assert floaters(prediction, truth, distance=0.01) == pytest.approx(6 / 107)
    assert floaters(prediction, np.zeros_like(truth)) == 1
    assert floaters(np.zeros_like(truth), np.zeros_like(truth)) == 0


def test_flicker_by_hand():
    assert flicker([0, 1, 2], [0.9, 0.5, 0.6]) == pytest.approx(0.25)
    assert flicker([2, 0, 1], [0.6, 0.9, 0.5]) == pytest.approx(0.25)
    assert flicker([0, 0.5, 1], [0.7, 0.7, 0.7]) == 0
    assert flicker([0.3], [0.7]) == 0
    # Two cameras: what differs between them at the same time does not flicker.
    assert flicker([0, 0, 1, 1], [1.0, 0.0, 0.9, 0.3]) == pytest.approx(0.1)
    with pytest.raises(ValueError, match="a time for each score"):
        flicker([0, 1], [1.0])
    with pytest.raises(ValueError, match="one at least"):
        flicker([], [])


def test_what_cannot_be_scored_is_refused():
    mask = np.zeros((4, 5), bool)
    with pytest.raises(ValueError, match="shape"):
        iou(mask, mask.T)
    with pytest.raises(ValueError, match="shape"):
        boundary_iou(mask, mask.T)
    with pytest.raises(ValueError, match="shape"):
        floaters(mask, mask.T)
    with pytest.raises(ValueError, match="boolean"):
        pixel_accuracy(mask, mask.astype(np.uint8))
    with pytest.raises(ValueError, match="at least one"):
        mean_score([])
    with pytest.raises(ValueError, match="at least one"):
        mean_score([[1.0], []])
