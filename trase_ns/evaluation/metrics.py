"""How well a predicted mask agrees with the ground truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# Both as shares of the picture's diagonal.
BOUNDARY = 0.02
FAR = 0.05


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


def boundary_iou(prediction: np.ndarray, truth: np.ndarray, width: float = BOUNDARY) -> float:
    """Return the intersection over union of the inner borders of two masks (Cheng et al., Boundary IoU, CVPR 2021).

    The border of a mask is what an erosion by the width takes away; outside the picture nothing is inside. Two empty
    masks agree: 1.

    Args:
        prediction: bool [H, W].
        truth: bool [H, W].
        width: of the border, as a share of the picture's diagonal; at least one pixel is taken.

    Raises:
        ValueError: the shapes differ or are not boolean.
    """
    _check(prediction, truth)
    pixels = max(1, round(width * float(np.hypot(*truth.shape))))
    return iou(_border(prediction, pixels), _border(truth, pixels))


def floaters(prediction: np.ndarray, truth: np.ndarray, distance: float = FAR) -> float:
    """Return the share of the predicted pixels that are far from the object: 0 is best, 1 where nothing is near.

    An empty prediction has none.

    Args:
        prediction: bool [H, W].
        truth: bool [H, W].
        distance: from which on a pixel is far, as a share of the picture's diagonal.

    Raises:
        ValueError: the shapes differ or are not boolean.
    """
    from scipy.ndimage import distance_transform_edt

    _check(prediction, truth)
    if not prediction.any():
        return 0.0
    if not truth.any():
        return 1.0
    away = np.asarray(distance_transform_edt(~truth))[prediction]
    return float(np.mean(away > distance * np.hypot(*truth.shape)))


def flicker(times: Sequence[float], scores: Sequence[float]) -> float:
    """Return the mean absolute change of the score from a moment to the next: 0 for a score that stays.

    Frames of the same time, of several cameras, are averaged first. One moment does not flicker.

    Args:
        times: of the frames, in any order.
        scores: of the frames.

    Raises:
        ValueError: there are no frames, or not as many times as scores.
    """
    if not len(times) or len(times) != len(scores):
        raise ValueError(f"needs a time for each score, and one at least; there are {len(times)} and {len(scores)}")
    moments, inverse = np.unique(np.asarray(times), return_inverse=True)
    means = np.bincount(inverse, np.asarray(scores)) / np.bincount(inverse)
    return float(np.abs(np.diff(means)).mean()) if len(moments) > 1 else 0.0


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


def _border(mask: np.ndarray, pixels: int) -> np.ndarray:
    """The pixels of a mask that `pixels` erosions by a 3 x 3 square take away."""
    from scipy.ndimage import distance_transform_cdt

    depth = np.asarray(distance_transform_cdt(np.pad(mask, 1), metric="chessboard"))[1:-1, 1:-1]
    return mask & (depth <= pixels)


def _check(prediction: np.ndarray, truth: np.ndarray) -> None:
    if prediction.shape != truth.shape:
        raise ValueError(f"masks differ in shape: {prediction.shape} and {truth.shape}")
    if prediction.dtype != bool or truth.dtype != bool:
        raise ValueError(f"masks must be boolean, not {prediction.dtype} and {truth.dtype}")
