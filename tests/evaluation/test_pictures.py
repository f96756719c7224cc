import numpy as np
from PIL import Image

from trase_ns.evaluation import pictures

GREY = np.full((20, 30, 3), 100, np.uint8)


def test_errors_are_told_apart():
    prediction, truth = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    prediction[0, :2], truth[0, 1:3] = True, True
    picture = pictures.errors(GREY, prediction, truth)
    extra, agreed, missed, neither = picture[0, :4].astype(int)
    assert extra.argmax() == 0
    assert agreed.argmax() == 1
    assert missed.argmax() == 2
    assert len(set(neither)) == 1
    assert neither[0] < 100


def test_comparison_shows_four_panels_and_the_clicks_in_the_first():
    mask = np.zeros((20, 30), bool)
    picture = pictures.comparison(GREY, mask, mask, [pictures.Mark(15, 10)])
    assert picture.shape == (20, 4 * 30 + 3 * pictures.GAP, 3)
    first, second = picture[:, :30], picture[:, 30 + pictures.GAP : 60 + pictures.GAP]
    assert (first[6:15, 11:20] != GREY[6:15, 11:20]).any()
    np.testing.assert_array_equal(second, GREY)


def test_contact_sheet_holds_every_tile(tmp_path):
    colors = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    tiles = [("tile", np.full((20, 30, 3), color, np.uint8)) for color in colors]
    sheet = pictures.contact_sheet([("first", tiles[:2]), ("second", tiles[2:]), ("none", [])], tile_width=60)
    for color in colors:
        assert (sheet == np.array(color)).all(axis=2).sum() == 60 * 40
    pictures.save(sheet, tmp_path / "sheet.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), sheet)
