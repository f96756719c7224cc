import json

import numpy as np
import pytest
from pycocotools import mask as coco

from trase_ns.errors import UserError
from trase_ns.masks import MaskSet, open_masks
from trase_ns.masks.coco import read_coco, write_coco


def make_masks(count=3):
    rng = np.random.default_rng(0)
    return MaskSet.from_dense("a", rng.random((count, 20, 30)) < 0.4, rng.random(count))


def test_round_trip(tmp_path):
    masks = make_masks()
    write_coco(masks, tmp_path / "a.json")
    again = read_coco(tmp_path / "a.json", "a")
    assert (again.rles, again.height, again.width) == (masks.rles, 20, 30)
    np.testing.assert_allclose(again.scores, masks.scores)
    record = json.loads((tmp_path / "a.json").read_text())[1]
    assert record["area"] == masks.dense()[1].sum()
    assert coco.decode(record["segmentation"]).sum() == record["area"]


def test_uncompressed_counts_and_no_score(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"segmentation": {"size": [2, 3], "counts": [2, 3, 1]}}]))
    masks = read_coco(tmp_path / "a.json", "a")
    np.testing.assert_array_equal(masks.dense()[0], [[0, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(masks.scores, [1])


def test_no_masks(tmp_path):
    (tmp_path / "a.json").write_text("[]")
    masks = read_coco(tmp_path / "a.json", "a")
    assert len(masks) == 0
    masks.check_size(640, 480, "a.json")


def test_real_masks(assets):
    folder = assets / "hand_books" / "masks"
    source = open_masks(folder, [path.stem for path in folder.glob("*.json")])
    assert len(source) == 86
    masks = source.load("image000001", image_size=(512, 384))
    records = json.loads((folder / "image000001.json").read_text())
    np.testing.assert_array_equal(masks.areas, [record["area"] for record in records])
    dense = coco.decode([record["segmentation"] for record in records]).transpose(2, 0, 1)
    np.testing.assert_array_equal(masks.dense(), dense)


BAD = {
    "truncated": ('[{"segmentation": {"size": [2', "not valid JSON"),
    "text": ('"masks"', "must be a JSON list"),
    "records are text": ('["a"]', "mask 0 is no COCO-RLE"),
    "no segmentation": ('[{"area": 3}]', "mask 0 is no COCO-RLE"),
    "polygon": ('[{"segmentation": [[1, 2, 3, 4]]}]', "mask 0 is no COCO-RLE"),
    "size": ('[{"segmentation": {"size": "ab", "counts": "1"}}]', "mask 0 is no COCO-RLE"),
    "counts": ('[{"segmentation": {"size": [2, 3], "counts": "zz"}}]', "mask 0 is no COCO-RLE"),
    "huge": ('[{"segmentation": {"size": [1e300, 3], "counts": [1]}}]', "mask 0 is no COCO-RLE"),
    "nan": ('[{"predicted_iou": NaN, "segmentation": {"size": [2, 3], "counts": [6]}}]', "mask 0 is no COCO-RLE"),
    "sizes": (
        '[{"segmentation": {"size": [2, 3], "counts": [2, 4]}}, {"segmentation": {"size": [3, 2], "counts": [2, 4]}}]',
        "masks of different sizes",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=rf"a\.json.*{message}"):
        read_coco(tmp_path / "a.json", "a")


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"a\.json"):
        read_coco(tmp_path / "a.json", "a")
