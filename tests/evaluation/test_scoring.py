"""Scores of a run made by hand, against masks whose agreement is known."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score

from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import load_benchmark
from trase_ns.evaluation.metrics import boundary_iou, floaters
from trase_ns.evaluation.scoring import evaluate, score, select_objects
from trase_ns.render import render_view
from trase_ns.segmentation.objects import Segmentation

FRONT = {"frame": "image0", "x": 0.5, "y": 0.5}
BACK = {"frame": "image0.png", "x": 0.3, "y": 0.5}


def visible(run, camera, time):
    """Exact masks of what is seen of the two balls: the larger share of each pixel, of half or more."""
    front = torch.arange(600) < 300
    color = torch.stack([front, ~front, front], dim=1).float()
    shares = render_view(run.scene.at(time), camera.at(time), colors=color).color.numpy()
    return shares[..., 0] >= 0.5, shares[..., 1] >= 0.5


def write_benchmark(folder, objects):
    """Write {name: (prompts, {frame: mask})}."""
    entries = []
    for name, (prompts, masks) in objects.items():
        (folder / name).mkdir(parents=True)
        for frame, mask in masks.items():
            Image.fromarray(mask).save(folder / name / f"{frame}.png")
        entries.append({"name": name, "prompts": prompts, "masks": name})
    (folder / "benchmark.json").write_text(json.dumps({"version": 1, "objects": entries}))
    return load_benchmark(folder)


@pytest.fixture
def exact(run, straight_camera):
    """Masks of the front and of the back ball by frame name."""
    pairs = {f"image{i}": visible(run, straight_camera, time) for i, time in enumerate((0.0, 0.25, 0.5, 0.75, 1.0))}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def test_exact_masks_score_one_at_every_time_and_write_everything(run, exact, tmp_path):
    front, back = exact
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT], front), "back": ([BACK], back)})
    results = evaluate(run, benchmark, tmp_path / "out")
    assert results["miou"] == pytest.approx(1)
    assert results["macc"] == pytest.approx(1)
    assert results["mbiou"] == pytest.approx(1)
    assert results["flicker"] == results["floaters"] == 0
    assert [o["gaussians"] for o in results["objects"]] == [300, 300]
    assert [o["selected_objects"] for o in results["objects"]] == [[0], [1]]
    assert [f["split"] for f in results["objects"][0]["frames"]] == ["train"] * 4 + ["test"]
    # The ball behind is hidden at time 0.5: masks are of what is seen.
    assert back["image2"].sum() < 0.2 * back["image0"].sum()

    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
    for entry in results["objects"]:
        for frame in entry["frames"]:
            with Image.open(tmp_path / "out" / frame["picture"]) as picture:
                assert picture.height == 72
                assert picture.width > 4 * 96
    with Image.open(tmp_path / "out" / "contact_sheet.jpg") as sheet:
        assert sheet.width > 6 * 200  # the clicked frame and five scored ones


def test_pictures_can_be_those_of_the_contact_sheet_alone(run, exact, tmp_path, monkeypatch):
    monkeypatch.setattr("trase_ns.evaluation.scoring.SHEET_COLUMNS", 2)
    front, _ = exact
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT], front)})
    selections = select_objects(run, benchmark)
    few, every = (score(run, benchmark, selections, tmp_path / str(b), all_pictures=b) for b in (False, True))
    assert few["miou"] == every["miou"]
    frames = few["objects"][0]["frames"]
    assert [frame["picture"] for frame in frames] == [
        "pictures/front/image0.png",
        None,
        None,
        None,
        "pictures/front/image4.png",
    ]
    assert len(list((tmp_path / "False").rglob("*.png"))) == 2
    assert len(list((tmp_path / "True").rglob("*.png"))) == 5


def test_scores_are_those_of_the_masks_that_were_compared(run, exact, tmp_path):
    front, _ = exact
    truths = {name: np.roll(mask, (3, 5 + i), axis=(0, 1)) for i, (name, mask) in enumerate(front.items())}
    results = evaluate(run, write_benchmark(tmp_path / "bench", {"front": ([FRONT], truths)}), tmp_path / "out")
    frames = results["objects"][0]["frames"]
    expected = [jaccard_score(truths[f["frame"]].ravel(), front[f["frame"]].ravel()) for f in frames]
    assert [f["iou"] for f in frames] == pytest.approx(expected)
    assert [f["accuracy"] for f in frames] == pytest.approx([np.mean(truths[n] == front[n]) for n in front])
    assert results["miou"] == pytest.approx(np.mean(expected))
    assert 0.1 < results["miou"] < 0.9
    borders = [boundary_iou(front[f["frame"]], truths[f["frame"]]) for f in frames]
    assert [f["boundary_iou"] for f in frames] == pytest.approx(borders)
    assert results["mbiou"] == results["objects"][0]["boundary_iou"] == pytest.approx(np.mean(borders))
    assert results["flicker"] == results["objects"][0]["flicker"] == pytest.approx(np.mean(np.abs(np.diff(expected))))
    assert [f["floaters"] for f in frames] == [floaters(front[f["frame"]], truths[f["frame"]]) for f in frames]
    # Only the last frame was not trained on.
    assert results["floaters"] == results["objects"][0]["floaters"] == frames[-1]["floaters"] > 0


def test_masks_of_half_the_size_are_scored_at_their_own(run, straight_camera, tmp_path):
    front, _ = visible(run, straight_camera.resized(48, 36), 0.0)
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT], {"image0": front})})
    results = evaluate(run, benchmark, tmp_path / "out")
    assert results["miou"] == pytest.approx(1)
    assert results["floaters"] is None  # in a view that was trained on, none can be told


def test_negative_clicks_count_and_a_miss_scores_as_nothing(run, exact, tmp_path):
    front, back = exact
    off = {"frame": "image0", "x": 0.02, "y": 0.02}
    both = [FRONT, BACK, {"frame": "image4", "x": 0.74, "y": 0.5, "positive": False}]
    benchmark = write_benchmark(tmp_path / "bench", {"front": (both, front), "missed": ([off], back)})
    kept, missed = evaluate(run, benchmark, tmp_path / "out")["objects"]
    assert kept["iou"] == pytest.approx(1)
    assert missed["gaussians"] == 0
    assert "nothing" in missed["notes"][0]
    assert missed["iou"] < 0.3


def test_a_click_on_the_far_border_is_in_the_picture(run, exact, tmp_path):
    corner = {"frame": "image0", "x": 1, "y": 1}
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT, corner], exact[0])})
    assert evaluate(run, benchmark, tmp_path / "out")["miou"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("prompts", "masks", "says"),
    [
        ([{**FRONT, "frame": "image77"}], {"image0": np.ones((72, 96), bool)}, "'front', prompt: .*image77"),
        ([FRONT], {"image77": np.ones((72, 96), bool)}, "'front', mask: .*image77"),
        ([FRONT], {"image0": np.ones((96, 72), bool)}, "image0.png has 72 x 96 .*96 x 72"),
    ],
)
def test_what_does_not_fit_the_run_is_named_before_anything_is_written(run, tmp_path, prompts, masks, says):
    benchmark = write_benchmark(tmp_path / "bench", {"front": (prompts, masks)})
    with pytest.raises(UserError, match=says):
        evaluate(run, benchmark, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_without_objects_is_told_what_to_do(run, exact, tmp_path):
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT], exact[0])})
    run.segmentation = None
    with pytest.raises(UserError, match="trase cluster"):
        evaluate(run, benchmark, tmp_path / "out")


def test_similarity_needs_features(run, exact, tmp_path):
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT], exact[0])})
    with pytest.raises(UserError, match="features"):
        evaluate(run, benchmark, tmp_path / "out", similarity=0.5)


def test_similarity_keeps_what_is_like_the_object(run, exact, tmp_path):
    features = torch.nn.functional.one_hot(torch.zeros(600, dtype=torch.int64), 4).float()
    features[:30] = torch.tensor([0.0, 1, 0, 0])
    object.__setattr__(run.scene, "features", features)
    front = torch.arange(600) < 300
    run.segmentation = Segmentation.from_members([front, ~front], 600, features=features)
    benchmark = write_benchmark(tmp_path / "bench", {"front": ([FRONT], exact[0])})
    results = evaluate(run, benchmark, tmp_path / "out", similarity=0.5)
    assert results["objects"][0]["gaussians"] == 270
    assert results["settings"]["similarity"] == 0.5
