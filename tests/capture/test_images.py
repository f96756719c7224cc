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


def test_any_picture_is_read_upright_and_over_black(tmp_path):
    from trase_ns.capture.images import read_picture

    image = Image.new("RGBA", (4, 2), (255, 0, 0, 255))
    image.putpixel((0, 0), (255, 255, 255, 0))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.shape == (2, 4, 3)
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[1, 3].tolist() == [1, 0, 0]
    turned = image.convert("RGB").getexif()
    turned[0x0112] = 6  # a quarter turn
    image.convert("RGB").save(tmp_path / "b.jpg", exif=turned)
    assert read_picture(tmp_path / "b.jpg").shape == (4, 2, 3)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_said(tmp_path, content):
    from trase_ns.capture.images import read_picture

    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a picture"):
        read_picture(tmp_path / "a.png")
    with pytest.raises(UserError, match="there is no picture"):
        read_picture(tmp_path)
