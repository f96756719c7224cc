from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trase_ns.capture import Frame
from trase_ns.errors import UserError
from trase_ns.masks.imports import find_imports, read_masks


def make_frames(*names):
    return [Frame(name, Path(f"{name}.png"), np.eye(4), 9.0, 9.0, 4.0, 3.0, 8, 6, 0.0, "train") for name in names]


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def labels(dtype=np.uint8):
    image = np.zeros((6, 8), dtype)
    image[:2, :3] = 7
    image[4:, 2:] = 200 if dtype == np.uint8 else 60_000
    return image


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_image(tmp_path, dtype):
    image = labels(dtype)
    save(tmp_path / "cam0/a.png", image)
    masks = read_masks("cam0/a", find_imports(tmp_path, make_frames("cam0/a", "cam0/b"))["cam0/a"])
    values = [value for value in np.unique(image) if value]
    np.testing.assert_array_equal(masks.dense(), [image == value for value in values])
    assert masks.frame == "cam0/a"


def test_palette_image_counts_indices(tmp_path):
    image = Image.new("P", (8, 6))
    image.putdata((labels() > 0).astype(np.uint8).ravel())
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(tmp_path / "a.png")
    masks = read_masks("a", find_imports(tmp_path, make_frames("a"))["a"])
    np.testing.assert_array_equal(masks.dense(), [labels() > 0])


@pytest.mark.parametrize("pattern", ["a/{}.png", "a_{}.png"])
@pytest.mark.parametrize("white", [1, 255])
def test_binary_images(tmp_path, pattern, white):
    first, second = labels() == 7, labels() == 200
    save(tmp_path / pattern.format(1), (first * white).astype(np.uint8))
    save(tmp_path / pattern.format(2), np.repeat((second * white).astype(np.uint8)[..., None], 3, 2))
    save(tmp_path / pattern.format(3), np.zeros((6, 8), np.uint8))
    masks = read_masks("a", find_imports(tmp_path, make_frames("a"))["a"])
    np.testing.assert_array_equal(masks.dense(), [first, second])


def test_single_numbered_image_is_binary_not_labels(tmp_path):
    save(tmp_path / "a_1.png", labels())
    masks = read_masks("a", find_imports(tmp_path, make_frames("a"))["a"])
    np.testing.assert_array_equal(masks.dense(), [labels() == 200])


def test_frame_name_with_number_is_not_a_mask_of_another_frame(tmp_path):
    save(tmp_path / "a_1.png", labels())
    found = find_imports(tmp_path, make_frames("a", "a_1", "a_2"))
    assert list(found) == ["a_1"]
    assert len(read_masks("a_1", found["a_1"])) == 2


@pytest.mark.parametrize("name", ["masks", "arr_0"])
def test_npz(tmp_path, name):
    dense = np.random.default_rng(0).random((3, 6, 8)) < 0.5
    np.savez_compressed(tmp_path / "a.npz", **{name: dense})
    np.testing.assert_array_equal(read_masks("a", [tmp_path / "a.npz"]).dense(), dense)
    np.savez_compressed(tmp_path / "a.npz", **{name: labels().astype(np.int32)})
    assert len(read_masks("a", [tmp_path / "a.npz"])) == 2


def test_no_objects(tmp_path):
    save(tmp_path / "a.png", np.zeros((6, 8), np.uint8))
    assert len(read_masks("a", [tmp_path / "a.png"])) == 0


def test_bad_npz_is_named(tmp_path):
    path = tmp_path / "a.npz"
    for content, message in [
        ({"masks": np.ones((2, 6, 8))}, r"must be \[M, H, W\] bool or \[H, W\] integers, but is \[2, 6, 8\] float64"),
        ({"x": np.ones(2), "y": np.ones(2)}, "no array 'masks'"),
        ({"masks": np.array([{}], dtype=object)}, "damaged"),
    ]:
        np.savez(path, **content)
        with pytest.raises(UserError, match=rf"a\.npz.*{message}"):
            read_masks("a", [path])
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"a\.npz is damaged"):
        read_masks("a", [path])


def test_bad_png_is_named(tmp_path):
    path = tmp_path / "a.png"
    save(path, np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8))
    with pytest.raises(UserError, match=r"a\.png is a colour picture"):
        read_masks("a", [path])
    save(path, np.random.default_rng(0).integers(0, 255, (60, 80), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"a\.png cannot be read"):
        read_masks("a", [path])


def test_sizes_within_a_frame_must_agree(tmp_path):
    save(tmp_path / "a_1.png", np.full((6, 8), 255, np.uint8))
    save(tmp_path / "a_2.png", np.full((8, 6), 255, np.uint8))
    with pytest.raises(UserError, match=r"a_1\.png: masks of a differ in size.*correct the masks of frame a"):
        read_masks("a", find_imports(tmp_path, make_frames("a"))["a"])


def test_nothing_named_after_a_frame(tmp_path):
    save(tmp_path / "other.png", labels())
    with pytest.raises(UserError, match=r"no masks named after the frames: expected for example a\.json"):
        find_imports(tmp_path, make_frames("a"))
    with pytest.raises(UserError, match="does not exist: correct --import-from"):
        find_imports(tmp_path / "nowhere", make_frames("a"))
