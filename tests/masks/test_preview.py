import numpy as np
from PIL import Image

from trase_ns.masks import MaskSet
from trase_ns.masks.preview import overlay, write_preview


def test_paints_masks_and_nothing_else():
    image = np.full((20, 30, 3), 60, np.uint8)
    dense = np.zeros((2, 10, 15), bool)
    dense[0, 1:5, 1:5] = True
    dense[1, 6:9, 8:13] = True
    painted = overlay(image, MaskSet.from_dense("a", dense))
    inside = dense.any(0).repeat(2, 0).repeat(2, 1)
    assert (painted[~inside] == 60).all()
    assert (painted[inside] != 60).any(1).all()
    assert (painted[5, 5] != painted[14, 20]).any()


def test_no_masks(tmp_path):
    image = np.full((20, 30, 3), 60, np.uint8)
    write_preview(tmp_path / "preview.jpg", image, MaskSet.from_dense("a", np.zeros((0, 10, 15), bool)))
    assert np.abs(np.asarray(Image.open(tmp_path / "preview.jpg")).astype(int) - 60).max() <= 2
