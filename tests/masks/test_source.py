import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.masks import MaskSet, MaskStore, open_masks
from trase_ns.masks.coco import write_coco


def make_masks(frame, value=True):
    mask = np.zeros((6, 8), bool)
    mask[:3] = True
    return MaskSet.from_dense(frame, [mask if value else ~mask])


def test_takes_the_kind_that_covers_more_frames(tmp_path):
    names = ["a", "b", "c"]
    for name in names:
        write_coco(make_masks(name, False), tmp_path / f"{name}.json")
    store = MaskStore(tmp_path)
    store.save(make_masks("a"), {})
    assert open_masks(tmp_path, names).path("a").suffix == ".json"
    for name in names:
        store.save(make_masks(name), {})
    source = open_masks(tmp_path, names)
    assert source.path("a").suffix == ".npz"
    assert source.load("a").dense()[0, 0, 0]


def test_only_the_frames_asked_for(tmp_path):
    store = MaskStore(tmp_path)
    for name in "abc":
        store.save(make_masks(name), {})
    source = open_masks(tmp_path, ["c", "missing", "a"])
    assert source.frames() == ["c", "a"]
    assert "b" not in source
    assert "missing" not in source
    assert len(source) == 2


def test_size_is_checked_against_the_image(tmp_path):
    MaskStore(tmp_path).save(make_masks("a"), {})
    source = open_masks(tmp_path, ["a"])
    source.load("a", image_size=(16, 12))
    with pytest.raises(UserError, match=r"a\.npz: the masks of frame a are 8 x 6 pixels, but its image is 12 x 16"):
        source.load("a", image_size=(12, 16))


def test_no_masks_names_the_command(tmp_path):
    with pytest.raises(UserError, match=r"masks does not exist.*trase masks --data .*--import-from"):
        open_masks(tmp_path / "masks", ["a"])
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError, match="holds none of the frames' masks"):
        open_masks(tmp_path / "masks", ["a"])
