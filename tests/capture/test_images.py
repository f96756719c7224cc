from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from trase_ns.capture import Frame, load_image
from trase_ns.errors import UserError


@pytest.fixture
def frame(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.png"
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    return Frame("a", path, np.eye(4), 10.0, 10.0, 20.0, 15.0, 40, 30, 0.0, "train")


def test_loads_pixels(frame):
    pixels = load_image(frame)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(frame.image_path)))


def test_truncated(frame):
    content = frame.image_path.read_bytes()
    frame.image_path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.png cannot be read .*truncated"):
        load_image(frame)


def test_other_size(frame):
    with pytest.raises(UserError, match=r"a\.png is 40 x 30 pixels, but its camera is for 41 x 30"):
        load_image(replace(frame, width=41))


def test_missing(frame):
    frame.image_path.unlink()
    with pytest.raises(UserError, match=r"a\.png is missing"):
        load_image(frame)


def test_grey_sixteen_bits_and_palette(frame):
    Image.fromarray(np.full((30, 40), 0x8034, dtype=np.uint16)).save(frame.image_path)
    np.testing.assert_array_equal(load_image(frame), np.full((30, 40, 3), 0x80))
    Image.new("P", (40, 30), 3).save(frame.image_path)
    assert load_image(frame).shape == (30, 40, 3)


def test_decompression_bomb(frame, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(UserError, match="decompression bomb"):
        load_image(frame)
