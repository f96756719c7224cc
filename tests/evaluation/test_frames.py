"""Lens distortion: masks, pictures and clicks reach the pinhole camera in the same way."""

import numpy as np
import pytest

from trase_ns.capture.frame import Distortion, Frame
from trase_ns.evaluation.frames import pinhole_mask, pinhole_picture, pinhole_point


def frame(distortion=None, fisheye=False, path=None):
    return Frame("a", path, np.eye(4), 100.0, 105.0, 83.0, 58.0, 160, 120, 0.0, "train", distortion, fisheye)


LENSES = [
    frame(Distortion(k1=-0.2, k2=0.05, p1=0.003, p2=-0.002, k3=0.01)),
    frame(Distortion(0.06, 0.01), fisheye=True),
]


@pytest.mark.parametrize("lens", LENSES, ids=["perspective", "fisheye"])
@pytest.mark.parametrize("centre", [(80, 60), (30, 25), (120, 90)])
def test_a_click_in_a_mask_stays_in_it(lens, centre):
    y, x = np.mgrid[:120, :160] + 0.5
    mask = np.hypot(x - centre[0], y - centre[1]) < 8
    straight = pinhole_mask(mask, lens)
    rows, columns = np.nonzero(straight)
    x, y = pinhole_point(centre[0] / 160, centre[1] / 120, lens)
    assert x * 160 == pytest.approx(columns.mean() + 0.5, abs=0.6)
    assert y * 120 == pytest.approx(rows.mean() + 0.5, abs=0.6)
    assert abs(x * 160 - centre[0]) + abs(y * 120 - centre[1]) > 0.3 or centre == (80, 60)


def test_masks_of_half_the_size_keep_it():
    mask = np.zeros((60, 80), bool)
    mask[20:40, 10:70] = True
    assert pinhole_mask(mask, LENSES[0]).shape == (60, 80)
    assert pinhole_mask(mask, LENSES[0]).sum() != mask.sum()


def test_without_a_lens_nothing_moves():
    mask = np.random.default_rng(0).random((60, 80)) > 0.5
    assert pinhole_mask(mask, frame()) is mask
    assert pinhole_point(0.25, 0.75, frame()) == pytest.approx((0.25, 0.75))


@pytest.mark.parametrize("point", [(0, 0), (1, 1), (0, 1), (1, 0)])
def test_corners_stay_in_the_picture(point):
    for lens in [frame(), *LENSES]:
        x, y = pinhole_point(*point, lens)
        assert 0 <= x * 160 < 160
        assert 0 <= y * 120 < 120


def test_pictures_come_at_the_size_asked_for_on_black(tmp_path):
    from PIL import Image

    pixels = np.full((120, 160, 4), 200, np.uint8)
    pixels[:, :80, 3] = 0
    pixels[:, 80:, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = pinhole_picture(frame(path=tmp_path / "a.png"), 80, 60)
    assert picture.shape == (60, 80, 3)
    assert picture.dtype == np.uint8
    assert (picture[:, :40] == 0).all()
    assert (picture[:, 40:] == 200).all()
