"""The layout of the published Mask-Benchmark is read as a benchmark whose click lies inside."""

import numpy as np
import pytest
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import read_mask
from trase_ns.evaluation.mask_benchmark import is_mask_benchmark, load_mask_benchmark
from trase_ns.evaluation.scoring import evaluate
from trase_ns.render import render_view

HELD_OUT = ["cam00/0000", "cam00/0004", "cam00/0008"]


def write(scene, masks, kind=np.uint8):
    (scene / "gt_masks").mkdir(parents=True)
    for name, mask in masks.items():
        Image.fromarray(mask.astype(kind)).save(scene / "gt_masks" / f"{name}.png")
    return scene


def square(size, top=4, left=6):
    mask = np.zeros((30, 40), bool)
    mask[top : top + size, left : left + size] = True
    return mask


@pytest.mark.parametrize("kind", [np.uint8, bool])  # 0 and 1 of eight bits, or of one
def test_numbers_are_places_among_the_held_out_frames(tmp_path, kind):
    masks = {"00000": square(5), "00001": square(9), "00002": square(3)}
    scene = write(tmp_path / "sear_steak", masks, kind)
    assert is_mask_benchmark(scene)
    benchmark = load_mask_benchmark(scene, HELD_OUT)
    (entry,) = benchmark.objects
    assert entry.name == "sear_steak"
    assert list(entry.masks) == HELD_OUT
    for name, mask in zip(HELD_OUT, masks.values()):
        assert np.array_equal(read_mask(entry.masks[name]), mask)
    # The middle of the largest square: row 8, column 10.
    (click,) = entry.clicks
    assert (click.frame, click.positive) == ("cam00/0004", True)
    assert (click.x, click.y) == (10.5 / 40, 8.5 / 30)


def test_names_of_frames_and_some_empty_masks_are_understood(tmp_path):
    scene = write(tmp_path / "s", {"0008": square(5), "cam": square(0)})
    (entry,) = load_mask_benchmark(scene, [*HELD_OUT, "cam"]).objects
    assert entry.masks == {"cam00/0008": scene / "gt_masks/0008.png", "cam": scene / "gt_masks/cam.png"}
    assert entry.clicks[0].frame == "cam00/0008"


def test_a_folder_with_clicks_of_its_own_is_not_one(tmp_path):
    scene = write(tmp_path / "s", {"00000": square(5)})
    (scene / "benchmark.json").write_text("{}")
    assert not is_mask_benchmark(scene)
    assert not is_mask_benchmark(tmp_path)


@pytest.mark.parametrize(
    ("masks", "says"),
    [
        ({}, "no PNG"),
        ({"00003": square(5)}, "00003.png fits none of the 3 held-out frames"),
        ({"other": square(5)}, "other.png fits none"),
        ({"00000": square(0)}, "all masks .* are empty"),
        ({"00002": square(5), "0008": square(5)}, "00002.png and 0008.png are both of frame 'cam00/0008'"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, masks, says):
    with pytest.raises(UserError, match=says):
        load_mask_benchmark(write(tmp_path / "s", masks), HELD_OUT)


def test_it_is_scored_as_any_other(run, straight_camera, tmp_path):
    front = run.segmentation.members(0)
    white = front.float()[:, None].expand(-1, 3)
    shown = render_view(run.scene.at(1.0), straight_camera.at(1.0), colors=white).color[..., 0] >= 0.5
    scene = write(tmp_path / "balls", {"00000": shown.numpy()})
    results = evaluate(run, load_mask_benchmark(scene, ["image4"]), tmp_path / "out")
    assert results["miou"] == pytest.approx(1)
    assert results["objects"][0]["gaussians"] == int(front.sum())
