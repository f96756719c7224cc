"""Pictures and films on disk: as they were given, and whole or absent."""

import os

import numpy as np
import pytest
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.evaluation.picture_files import picture_names, write_film, write_pictures


def blocks(count, height=30, width=41):
    """Pictures with one bright half that comes down, in colours that a film can tell."""
    for i in range(count):
        picture = np.full((height, width, 3), 40, np.uint8)
        picture[: height * (i + 1) // count] = (220, 60, 60)
        yield picture


def test_pictures_are_read_back_as_they_were(tmp_path):
    generator = np.random.default_rng(0)
    pictures = [
        generator.integers(0, 256, (4, 6, 3), dtype=np.uint8),
        generator.integers(0, 256, (4, 6, 4), dtype=np.uint8),
        generator.integers(0, 256, (4, 6), dtype=np.uint8),
        generator.integers(0, 65536, (4, 6), dtype=np.uint16),
    ]
    files = write_pictures(pictures, ["a", "cam/b", "c", "d"], tmp_path / "new" / "folder")
    assert [file.relative_to(tmp_path / "new" / "folder").as_posix() for file in files] == [
        "a.png",
        "cam/b.png",
        "c.png",
        "d.png",
    ]
    for file, picture in zip(files, pictures):
        np.testing.assert_array_equal(np.asarray(Image.open(file)), picture)


def test_a_failure_in_the_middle_leaves_nothing(tmp_path):
    def broken():
        yield from blocks(2)
        raise UserError("out of paint")

    with pytest.raises(UserError, match="paint"):
        write_pictures(broken(), picture_names(3), tmp_path / "new")
    with pytest.raises(UserError, match="paint"):
        write_film(broken(), tmp_path / "film.mp4")
    assert os.listdir(tmp_path) == []


def test_nothing_is_replaced_unless_asked_and_old_numbered_pictures_go(tmp_path):
    write_pictures(blocks(3), picture_names(3), tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        write_pictures(blocks(1), picture_names(1), tmp_path)
    assert len(list(tmp_path.glob("*.png"))) == 3
    write_pictures(blocks(1), picture_names(1), tmp_path, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["frame0001.png", "notes.txt"]
    film = tmp_path / "film.mp4"
    film.write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        write_film(blocks(2), film)
    assert film.read_text() == "mine"


@pytest.mark.parametrize(("height", "width"), [(30, 41), (33, 40)])
def test_a_film_shows_its_pictures_in_order(tmp_path, height, width):
    import imageio

    path = tmp_path / "folder" / "film.mp4"
    assert write_film(blocks(6, height, width), path, fps=5) == 6
    reader = imageio.get_reader(path)
    shown = [reader.get_data(i) for i in range(reader.count_frames())]
    assert reader.get_meta_data()["fps"] == 5
    assert len(shown) == 6
    for picture, given in zip(shown, blocks(6, height, width)):
        assert picture.shape == (height + height % 2, width + width % 2, 3)
        difference = np.abs(picture[:height, :width].astype(int) - given)
        assert difference.mean() < 6


def test_a_film_of_masks(tmp_path):
    import imageio

    masks = [np.full((16, 16), value, np.uint8) for value in (0, 255)]
    write_film(masks, tmp_path / "film.mp4")
    means = [frame.mean() for frame in imageio.get_reader(tmp_path / "film.mp4")]
    assert means == pytest.approx([0, 255], abs=4)
