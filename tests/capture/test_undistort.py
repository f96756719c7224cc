"""Undistorted pictures are what a pinhole would have made."""

from pathlib import Path

import numpy as np
import pytest

from trase_ns.capture.frame import Distortion, Frame
from trase_ns.capture.undistort import is_distorted, pinhole, undistort

WIDTH, HEIGHT, FX, FY, CX, CY = 160, 120, 120.0, 118.0, 79.0, 61.0


def frame(distortion=None, fisheye=False):
    return Frame("a", Path("a.png"), np.eye(4), FX, FY, CX, CY, WIDTH, HEIGHT, 0.0, "train", distortion, fisheye)


def spots(picture):
    """Centres of the bright spots, weighted, in pixels with the first centre at 0.5."""
    from scipy import ndimage

    labels, count = ndimage.label(picture > 60)
    return np.array(ndimage.center_of_mass(picture, labels, range(1, count + 1)))[:, ::-1] + 0.5


def picture_of(pixels):
    """A picture with a soft spot at each place [P, 2]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    picture = np.zeros((HEIGHT, WIDTH))
    for px, py in pixels:
        picture = np.maximum(picture, 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 6))
    return picture.astype(np.uint8)


RAYS = np.array([[-0.4, -0.3], [0.0, 0.0], [0.35, 0.1], [0.1, 0.35], [-0.2, 0.25]])


@pytest.mark.parametrize(
    ("distortion", "fisheye"),
    [(Distortion(k1=-0.2, k2=0.05, p1=0.002, p2=-0.003), False), (Distortion(k1=0.03, k2=-0.01), True)],
)
def test_spots_move_to_where_a_pinhole_sees_them(distortion, fisheye):
    x, y = RAYS.T
    r2 = x * x + y * y
    if fisheye:  # OpenCV's fisheye model
        r = np.sqrt(r2).clip(1e-9)
        theta = np.arctan(r)
        scale = theta * (1 + distortion.k1 * theta**2 + distortion.k2 * theta**4) / r
        u, v = x * scale, y * scale
    else:  # Brown's model
        radial = 1 + distortion.k1 * r2 + distortion.k2 * r2**2
        u = x * radial + 2 * distortion.p1 * x * y + distortion.p2 * (r2 + 2 * x * x)
        v = y * radial + distortion.p1 * (r2 + 2 * y * y) + 2 * distortion.p2 * x * y
    taken = picture_of(np.stack([FX * u + CX, FY * v + CY], axis=1))
    lens = frame(distortion, fisheye)
    straight = undistort(taken, lens)
    fx, fy, cx, cy = pinhole(lens)
    expected = np.stack([fx * x + cx, fy * y + cy], axis=1)
    found = spots(straight)
    assert len(found) == len(RAYS)
    for place in expected:
        assert np.linalg.norm(found - place, axis=1).min() < 0.3


def test_without_distortion_nothing_changes():
    picture = picture_of([(30, 40)])
    for lens in (frame(), frame(Distortion())):
        assert not is_distorted(lens)
        assert undistort(picture, lens) is picture
        assert pinhole(lens) == (FX, FY, CX, CY)
