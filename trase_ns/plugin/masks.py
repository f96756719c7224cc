"""Masks of a distorted picture, as the pinhole cameras of the training see them."""

from __future__ import annotations

import numpy as np

from trase_ns.capture.frame import Frame
from trase_ns.capture.undistort import is_distorted, undistort
from trase_ns.masks import MaskSet


def pinhole_masks(masks: MaskSet, frame: Frame) -> MaskSet:
    """Undistort the masks of `frame`; without distortion they are returned as they are.

    Args:
        masks: masks of the picture as it was taken, at its size or a smaller one.
        frame: the lens.
    """
    if not is_distorted(frame) or not len(masks):
        return masks
    dense = masks.resized(frame.height, frame.width)
    straight = np.stack([undistort(mask.astype(np.uint8), frame, nearest=True).astype(bool) for mask in dense])
    return MaskSet.from_dense(masks.frame, straight, masks.scores)
