"""Masks and feature maps of a distorted picture, as the pinhole cameras of the training see them."""

from __future__ import annotations

from dataclasses import replace

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


def pinhole_map(values: np.ndarray, frame: Frame) -> np.ndarray:
    """Undistort a feature map of `frame`, at its own resolution; without distortion it is returned as it is.

    Args:
        values: [h, w, C] float32, of the picture as it was taken.
        frame: the lens.
    """
    if not is_distorted(frame):
        return values
    height, width, channels = values.shape
    x, y = width / frame.width, height / frame.height
    small = replace(
        frame, width=width, height=height, fx=frame.fx * x, fy=frame.fy * y, cx=frame.cx * x, cy=frame.cy * y
    )
    # OpenCV takes at most four channels.
    parts = [np.ascontiguousarray(values[..., i : i + 4]) for i in range(0, channels, 4)]
    return np.concatenate([undistort(part, small).reshape(height, width, -1) for part in parts], axis=2)
