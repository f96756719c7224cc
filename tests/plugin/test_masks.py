"""Feature maps of distorted pictures are undistorted like the pictures themselves."""

from pathlib import Path

import numpy as np
import pytest

from trase_ns.capture.frame import Distortion, Frame
from trase_ns.capture.undistort import undistort
from trase_ns.plugin.masks import pinhole_map

WIDTH, HEIGHT = 160, 120


def frame(distortion):
    return Frame("a", Path("a.png"), np.eye(4), 120.0, 118.0, 79.0, 61.0, WIDTH, HEIGHT, 0.0, "train", distortion)


def smooth(width, height, channels):
    """A map whose channels are different waves over the picture."""
    y, x = np.mgrid[:height, :width] + 0.5
    waves = [np.sin(3 * (k + 1) * x / width) + np.cos((k + 2) * y / height) for k in range(channels)]
    return np.stack(waves, axis=-1).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_a_map_bends_like_its_picture(channels):
    lens = frame(Distortion(k1=-0.2, k2=0.05, p1=0.002, p2=-0.003))
    whole = np.stack([undistort(part, lens) for part in smooth(WIDTH, HEIGHT, channels).transpose(2, 0, 1)], axis=-1)
    expected = whole.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, channels).mean(axis=(1, 3))
    original = smooth(WIDTH // 4, HEIGHT // 4, channels)
    actual = pinhole_map(original, lens)
    assert actual.shape == original.shape
    inner = np.s_[1:-1, 1:-1]
    assert np.abs(actual - expected)[inner].max() < np.abs(original - expected)[inner].max() / 3


def test_without_distortion_a_map_stays_as_it_is():
    values = smooth(8, 6, 5)
    assert pinhole_map(values, frame(None)) is values
