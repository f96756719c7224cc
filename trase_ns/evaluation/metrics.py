"""How well a predicted mask agrees with the ground truth."""

from __future__ import annotations

import numpy as np


def iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the intersection over union of two masks.

    Two empty masks agree: 1. (TRASE's own program gives 0 for an empty union, which punishes a selection that is
    rightly absent from a frame.)

    Args:
        prediction: bool [H, W].
        truth: bool [H, W].

    Raises:
        ValueError: the shapes differ.
    """
    _check(prediction, truth)
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def pixel_accuracy(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of pixels where two masks are the same, of the whole picture.

    Args:
        prediction: bool [H, W].
        truth: bool [H, W].

    Raises:
        ValueError: the shapes differ or are not boolean.
    """
    _check(prediction, truth)
    return float(np.mean(prediction == truth))


def mean_score(scores: list[list[float]]) -> float:
    """Return the mean over objects of the mean over frames: every object counts the same.

    Args:
        scores: for each object the scores of its frames, none of them empty.

    Raises:
        ValueError: there is no object, or an object without frames.
    """
    if not scores or not all(scores):
        raise ValueError("a mean needs at least one object, and one frame for each object")
    return float(np.mean([np.mean(frames) for frames in scores]))


def _check(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape:
        raise ValueError(f"masks differ in shape: {prediction.shape} and {truth.shape}")
    if prediction.dtype != bool or truth.dtype != bool:
        raise ValueError(f"masks must be boolean, not {prediction.dtype} and {truth.dtype}")
