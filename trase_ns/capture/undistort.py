"""From the picture that a lens made to the one a pinhole would have made."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from trase_ns.capture.frame import Distortion, Frame


def pinhole(frame: Frame) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy in pixels of the undistorted picture of `frame`, which keeps its size."""
    if not is_distorted(frame):
        return frame.fx, frame.fy, frame.cx, frame.cy
    K = _new_intrinsics(_key(frame))
    return float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])


def undistort(picture: np.ndarray, frame: Frame, nearest: bool = False) -> np.ndarray:
    """Undistort a picture of `frame`.

    Args:
        picture: [H, W] or [H, W, C] at the frame's size.
        frame: gives the intrinsics and the distortion.
        nearest: take the nearest pixel (for masks) instead of interpolating.

    Returns:
        A picture of the same shape and dtype; the input itself where the frame has no distortion.
    """
    if not is_distorted(frame):
        return picture
    import cv2

    horizontal, vertical = _maps(_key(frame))
    return cv2.remap(picture, horizontal, vertical, cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR)


def is_distorted(frame: Frame) -> bool:
    """Whether the lens of `frame` distorts."""
    return frame.distortion is not None and any(value != 0 for value in frame.distortion)


def _key(frame: Frame) -> tuple:
    assert frame.distortion is not None
    return (frame.fx, frame.fy, frame.cx, frame.cy, frame.width, frame.height, frame.fisheye, frame.distortion)


def _coefficients(fisheye: bool, lens: Distortion) -> np.ndarray:
    """Return the coefficients in the order of OpenCV's model."""
    return np.array([lens.k1, lens.k2, lens.k3, lens.k4] if fisheye else [*lens, 0.0, 0.0])


def _opencv(key: tuple) -> tuple[np.ndarray, np.ndarray, tuple[int, int], bool]:
    """Return intrinsics, coefficients, size and whether it is a fisheye lens, as OpenCV has them."""
    fx, fy, cx, cy, width, height, fisheye, lens = key
    # OpenCV puts the centre of the first pixel at (0, 0), we at (0.5, 0.5).
    K = np.array([[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]])
    return K, _coefficients(fisheye, lens), (width, height), fisheye


@lru_cache(maxsize=4096)
def _new_intrinsics(key: tuple) -> np.ndarray:
    """Intrinsics of the undistorted picture of a lens."""
    import cv2

    K, coefficients, size, fisheye = _opencv(key)
    if fisheye:
        new_K = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(K, coefficients, size, np.eye(3), balance=0)
    else:
        new_K, _ = cv2.getOptimalNewCameraMatrix(K, coefficients, size, 0)
    new_K = np.array(new_K)
    new_K[:2, 2] += 0.5
    return new_K


@lru_cache(maxsize=8)
def _maps(key: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The two look-up maps for a lens, which are as large as its pictures."""
    import cv2

    K, coefficients, size, fisheye = _opencv(key)
    new_K = _new_intrinsics(key) - np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
    init = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
    horizontal, vertical = init(K, coefficients, np.eye(3), new_K, size, cv2.CV_32FC1)
    return horizontal, vertical


def undistort_point(x: float, y: float, frame: Frame) -> tuple[float, float]:
    """Return where the point (x right, y down, in pixels) of the picture of `frame` is in the undistorted one."""
    if not is_distorted(frame):
        return x, y
    import cv2

    assert frame.distortion is not None
    K = np.array([[frame.fx, 0, frame.cx], [0, frame.fy, frame.cy], [0, 0, 1]])
    fx, fy, cx, cy = pinhole(frame)
    new_K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    undistort_points = cv2.fisheye.undistortPoints if frame.fisheye else cv2.undistortPoints
    point = np.array([[[x, y]]], dtype=np.float64)
    moved = undistort_points(point, K, _coefficients(frame.fisheye, frame.distortion), P=new_K)
    return float(moved[0, 0, 0]), float(moved[0, 0, 1])
