"""Sheets show each method's errors on each frame; the chart shows all scores."""

import numpy as np
import pytest
from PIL import Image

from trase_ns.bench.pictures import write_chart, write_sheets
from trase_ns.evaluation import pictures

SHAPE = (60, 80)


@pytest.fixture
def folder(tmp_path, results):
    """Pictures as a run writes them: trase is right, the other one selects all."""
    truth = np.zeros(SHAPE, bool)
    truth[20:40, 20:60] = True
    image = np.full((*SHAPE, 3), 100, np.uint8)
    for scene in results["scenes"]:
        for method, entry in scene["methods"].items():
            for scored in entry.get("objects", ()):
                prediction = truth if method == "trase" else np.ones(SHAPE, bool)
                path = tmp_path / scene["name"] / method / scored["frames"][0]["picture"]
                pictures.save(pictures.comparison(image, prediction, truth), path)
    return tmp_path


def coloured(sheet, color):
    """How many pixels are about of this colour at the strength of error pictures."""
    wanted = 0.7 * np.asarray(color) + 0.3 * 60
    return int((np.abs(sheet.astype(float) - wanted).max(axis=-1) < 12).sum())


def test_panels_come_apart_as_they_were_joined():
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    mask = image[..., 0] > 128
    joined = pictures.comparison(image, mask, ~mask)
    panels = pictures.panels_of(joined)
    assert [panel.shape for panel in panels] == [image.shape] * 4
    assert np.array_equal(panels[0], image)
    assert np.array_equal(panels[3], pictures.errors(image, mask, ~mask))


def test_a_sheet_for_every_object_with_a_row_for_every_method(results, folder, tmp_path):
    files = write_sheets(results, folder, tmp_path / "sheets")
    names = [path.relative_to(tmp_path / "sheets").as_posix() for path in files]
    assert names == ["box_1/box.jpg", "box_1/lid.jpg", "ball/ball.jpg"]
    box, ball = (np.asarray(Image.open(path)) for path in (files[0], files[2]))
    assert ball.shape[0] > box.shape[0]  # a method more: one failed on the box
    for sheet, wrong in ((box, 1), (ball, 2)):
        agreed, extra = coloured(sheet, pictures.AGREED), coloured(sheet, pictures.EXTRA)
        right = 200 * 150 / 6  # a sixth of a tile is the object
        assert agreed == pytest.approx((1 + wrong) * right, rel=0.15)
        assert extra == pytest.approx(wrong * 5 * right, rel=0.15)


def test_pictures_that_are_gone_are_left_out(results, folder, tmp_path):
    for path in (folder / "box_1" / "trase").rglob("*.png"):
        path.write_bytes(b"no picture")
    files = write_sheets(results, folder, tmp_path / "sheets")
    assert len(files) == 3
    assert coloured(np.asarray(Image.open(files[0])), pictures.EXTRA) > 0


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_chart_is_the_same_for_the_same_results(results, tmp_path, kind):
    for name in ("a", "b"):
        write_chart(results, tmp_path / f"{name}.{kind}")
    a, b = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("a", "b"))
    assert len(a) > 1000
    assert kind == "svg" or a == b
    if kind == "svg":
        assert b"trase-cgc" in a


def test_without_scores_there_is_no_chart(results, tmp_path):
    for scene in results["scenes"]:
        scene["methods"] = dict.fromkeys(results["methods"], {"error": "x"})
    write_chart(results, tmp_path / "chart.png")
    assert not (tmp_path / "chart.png").exists()
