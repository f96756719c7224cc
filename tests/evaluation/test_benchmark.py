import json

import numpy as np
import pytest
from PIL import Image

from trase_ns.evaluation.benchmark import Click, load_benchmark, read_mask

MASK = np.random.default_rng(3).random((12, 20)) > 0.6


def test_reads_what_the_format_says(tmp_path):
    document = {
        "version": 1,
        "made_by": "someone",
        "objects": [
            {
                "name": "hand",
                "colour": "red",
                "prompts": [
                    {"frame": "image000009.png", "x": 0.41, "y": 0, "note": "left"},
                    {"frame": "image000012", "x": 1, "y": 0.5, "positive": False, "granularity": "fine"},
                ],
                "masks": "masks of the hand",
            }
        ],
    }
    for name in ("image000017.png", "cam01/0003.png"):
        path = tmp_path / "masks of the hand" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(MASK).save(path)
    (tmp_path / "benchmark.json").write_text(json.dumps(document))
    (hand,) = load_benchmark(tmp_path).objects
    assert hand.clicks == (
        Click("image000009.png", 0.41, 0.0, True, None),
        Click("image000012", 1.0, 0.5, False, "fine"),
    )
    assert set(hand.masks) == {"image000017", "cam01/0003"}
    assert hand.masks["cam01/0003"] == tmp_path / "masks of the hand" / "cam01" / "0003.png"


def pictures():
    yield "bool", Image.fromarray(MASK)
    yield "0/1", Image.fromarray(MASK.astype(np.uint8))
    yield "0/255", Image.fromarray(MASK.astype(np.uint8) * 255)
    yield "16 bit", Image.fromarray(MASK.astype(np.uint16) * 65535)
    yield "rgb", Image.fromarray(np.repeat(MASK[..., None], 3, axis=2).astype(np.uint8) * 255)
    palette = Image.fromarray(MASK.astype(np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 128, 0, 0])  # dark red: a palette's index counts, not its colour
    yield "palette", palette


@pytest.mark.parametrize(("kind", "picture"), pictures(), ids=[kind for kind, _ in pictures()])
def test_all_usual_kinds_of_mask_read_alike(tmp_path, kind, picture):
    picture.save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, MASK)


def test_smoothed_borders_are_cut_at_half_and_empty_masks_are_empty(tmp_path):
    Image.fromarray(np.array([[0, 100, 127, 128, 200, 255]], np.uint8)).save(tmp_path / "smooth.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "smooth.png"), [[False, False, False, True, True, True]])
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / "empty.png")
    assert not read_mask(tmp_path / "empty.png").any()
