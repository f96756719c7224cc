"""Metrics against scikit-learn and torchmetrics, which others keep."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, jaccard_score
from torchmetrics.functional.classification import binary_accuracy, binary_jaccard_index

from trase_ns.evaluation.metrics import iou, mean_score, pixel_accuracy


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


def test_what_cannot_be_scored_is_refused():
    mask = np.zeros((4, 5), bool)
    with pytest.raises(ValueError, match="shape"):
        iou(mask, mask.T)
    with pytest.raises(ValueError, match="boolean"):
        pixel_accuracy(mask, mask.astype(np.uint8))
    with pytest.raises(ValueError, match="at least one"):
        mean_score([])
    with pytest.raises(ValueError, match="at least one"):
        mean_score([[1.0], []])
