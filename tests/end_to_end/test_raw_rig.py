"""From the videos of several cameras, as Neu3D publishes them, to a trained scene."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from trase_ns.synthetic import make_scene

pytestmark = pytest.mark.slow

CAMERAS, MOMENTS = 6, 8


@pytest.fixture
def rig(layouts, tmp_path):
    """The built-in rig as videos and poses_bounds.npy."""
    import cv2

    scene = make_scene(
        tmp_path / "scene", frames=MOMENTS, width=96, height=72, cameras="several", rig=CAMERAS, held_out=4, points=200
    )
    meta = json.loads((scene / "transforms.json").read_text())
    frames = sorted((f for f in meta["frames"] if f["file_path"] in meta["train_filenames"]), key=lambda f: f["time"])
    cameras = {}
    for frame in frames:
        cameras.setdefault(json.dumps(frame["transform_matrix"]), []).append(frame)
    assert [len(own) for own in cameras.values()] == [MOMENTS] * CAMERAS
    root, views = tmp_path / "rig", []
    root.mkdir()
    # Between its neighbours is where the held-out camera is best judged.
    for index, own in enumerate(sorted(cameras.values(), key=lambda own: own is not list(cameras.values())[2])):
        writer = cv2.VideoWriter(str(root / f"cam{index:02d}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 30, (96, 72))
        for frame in own:
            writer.write(np.asarray(Image.open(scene / frame["file_path"]).convert("RGB"))[:, :, ::-1])
        writer.release()
        c2w = np.array(own[0]["transform_matrix"])
        views.append((c2w[:3, :3].T * np.array([[1.0], [-1.0], [-1.0]]), c2w[:3, 3]))
    rows = layouts.poses_bounds(views, 72, 96, meta["fl_x"])
    rows[:, 14] = meta["fl_x"]
    rows[:, 15:] = [2.0, 7.0]
    np.save(root / "poses_bounds.npy", rows)
    return root


def test_from_videos_to_a_scene(rig, command, tmp_path, tiny_training):
    waiting = command("ns-train", "trase-neu3d", "--data", rig, fails=True).stdout
    assert "error: the pictures of cam00 are still in its video" in waiting
    assert f"trase frames --data {rig}" in " ".join(waiting.split())
    assert "wrote 48 pictures" in command("trase", "frames", "--data", rig).stdout

    options = [option for option in tiny_training if "feature-steps" not in option]
    command(
        *("ns-train", "trase-neu3d", "--data", rig, "--output-dir", tmp_path, "--timestamp", "run", *options),
        "--pipeline.model.feature-steps=0",
        "--pipeline.datamanager.window-until=0",
    )
    config = tmp_path / "rig" / "trase-neu3d" / "run" / "config.yml"
    command("ns-eval", "--load-config", config, "--output-path", tmp_path / "eval.json")
    assert json.loads((tmp_path / "eval.json").read_text())["results"]["psnr"] > 18.5
    shutil.rmtree(tmp_path / "rig")
