"""COCO data sets, read by COCO's own program."""

import json

import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.masks.coco_dataset import CocoFrame, write_coco_dataset


def test_cocos_own_program_reads_the_masks(tmp_path):
    from pycocotools.coco import COCO

    generator = np.random.default_rng(0)
    dense = generator.random((3, 20, 30)) < 0.3
    box = np.zeros((20, 30), bool)
    box[4:9, 10:22] = True
    frames = [
        CocoFrame("a.png", 30, 20, 0.0, [(0, dense[0]), (2, dense[1])]),
        CocoFrame("b.png", 30, 20, 0.5, []),
        CocoFrame("cam/c.png", 30, 20, 1.0, [(2, dense[2]), (1, box)]),
    ]
    path = tmp_path / "new" / "masks.json"
    assert write_coco_dataset(iter(frames), ["arm", "the ✋ hand", "book"], path) == 4
    data = COCO(str(path))
    assert [data.cats[i]["name"] for i in (1, 2, 3)] == ["arm", "the ✋ hand", "book"]
    assert [image["file_name"] for image in data.dataset["images"]] == ["a.png", "b.png", "cam/c.png"]
    assert [image["time"] for image in data.dataset["images"]] == [0.0, 0.5, 1.0]
    for image, frame in zip(data.dataset["images"], frames):
        found = data.loadAnns(data.getAnnIds(imgIds=[image["id"]]))
        assert [annotation["category_id"] - 1 for annotation in found] == [category for category, _ in frame.masks]
        for annotation, (_, mask) in zip(found, frame.masks):
            np.testing.assert_array_equal(data.annToMask(annotation), mask)
            assert annotation["area"] == mask.sum()
    assert data.loadAnns(data.getAnnIds(catIds=[2]))[0]["bbox"] == [10, 4, 12, 5]
    assert json.loads(path.read_text())["annotations"][0]["iscrowd"] == 0


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write .*masks.json"):
        write_coco_dataset([], [], tmp_path / "file" / "masks.json")
