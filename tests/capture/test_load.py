import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trase_ns.capture import load_capture, load_image
from trase_ns.errors import UserError

POSE = [[1.0, 0, 0, 0.5], [0, 0, -1, 0], [0, 1, 0, 2], [0, 0, 0, 1]]


def write_image(path: Path, size=(8, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 128 if mode == "L" else (10, 20, 30, 255)[: len(mode)]).save(path)


def write_capture(root: Path, names, count=None, **meta):
    """A valid transforms.json with one frame for each name."""
    for name in names:
        write_image(root / name)
    frames = [
        {"file_path": name, "time": index / max(1, len(names) - 1), "transform_matrix": POSE}
        for index, name in enumerate(names)
    ]
    content = {"w": 8, "h": 6, "fl_x": 7.0, "fl_y": 7.5, "cx": 4.0, "cy": 3.0, "frames": frames, **meta}
    (root / "transforms.json").write_text(json.dumps(content))
    return content


def change(root: Path, edit):
    """Edit the transforms.json in place."""
    path = root / "transforms.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path):
    write_capture(tmp_path, [f"images/{index:04d}.png" for index in range(10)])
    return tmp_path


def test_reads_frames_in_order(root):
    capture = load_capture(root)
    assert [frame.name for frame in capture.frames] == [f"{index:04d}" for index in range(10)]
    frame = capture.frames[3]
    assert (frame.fx, frame.fy, frame.cx, frame.cy, frame.width, frame.height) == (7.0, 7.5, 4.0, 3.0, 8, 6)
    assert frame.time == pytest.approx(1 / 3)
    assert frame.distortion is None
    np.testing.assert_array_equal(frame.c2w, POSE)
    assert load_capture(root / "transforms.json").frames[0].image_path == capture.frames[0].image_path


def test_every_eighth_frame_is_held_out(root):
    capture = load_capture(root)
    assert [frame.name for frame in capture.split("test")] == ["0000", "0008"]
    assert capture.split("val") == capture.split("test")
    assert len(capture.split("train")) == 8
    assert len(load_capture(root, eval_every=2).split("test")) == 5


def test_order_is_natural_not_alphabetic(tmp_path):
    write_capture(tmp_path, ["f10.png", "f9.png", "f1.png"])
    assert [frame.name for frame in load_capture(tmp_path).frames] == ["f1", "f9", "f10"]


def test_listed_splits_are_honoured(root):
    change(
        root,
        lambda c: c.update(
            train_filenames=["images/0001.png", "images/0002.png"],
            val_filenames=["./images/0003.png"],
            test_filenames=["images/0003.png", "images/0004.png"],
        ),
    )
    capture = load_capture(root)
    assert [f.name for f in capture.split("train")] == ["0001", "0002"]
    assert [f.name for f in capture.split("val")] == ["0003"]
    assert [f.name for f in capture.split("test")] == ["0003", "0004"]
    assert len(capture.frames) == 4


def test_only_a_test_list(root):
    change(root, lambda c: c.update(test_filenames=["images/0005.png"]))
    capture = load_capture(root)
    assert len(capture.split("train")) == 9
    assert [f.name for f in capture.split("val")] == ["0005"]


def test_listed_file_without_frame(root):
    change(root, lambda c: c.update(train_filenames=["images/0099.png"]))
    with pytest.raises(UserError, match=r"train_filenames.*images/0099\.png"):
        load_capture(root)


def test_cameras_share_times(tmp_path):
    names = [f"images/cam{camera}/{index:03d}.png" for camera in range(2) for index in range(4)]
    content = write_capture(tmp_path, names)
    for frame in content["frames"]:
        del frame["time"]
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    frames = load_capture(tmp_path, time_from_order=True).frames
    assert [frame.name for frame in frames[:5]] == ["cam0/000", "cam0/001", "cam0/002", "cam0/003", "cam1/000"]
    assert [frame.time for frame in frames] == pytest.approx([0, 1 / 3, 2 / 3, 1] * 2)


def test_time_from_order_with_one_folder_for_each_image(tmp_path):
    write_capture(tmp_path, [f"{index}/image.png" for index in (1, 2, 10)])
    frames = load_capture(tmp_path, time_from_order=True).frames
    assert [(frame.name, frame.time) for frame in frames] == [("1/image", 0), ("2/image", 0.5), ("10/image", 1)]


def test_intrinsics_of_a_frame_win(root):
    change(root, lambda c: c["frames"][2].update(fl_x=9.0, k1=0.1, p2=-0.02))
    frame = load_capture(root).frames[2]
    assert frame.fx == 9.0
    assert frame.distortion == (0.1, 0.0, 0.0, -0.02, 0.0, 0.0)


def test_fisheye_is_kept(root):
    change(root, lambda c: c.update(camera_model="OPENCV_FISHEYE", k3=0.3))
    frame = load_capture(root).frames[0]
    assert frame.fisheye
    assert frame.distortion.k3 == 0.3


def test_dnerf_layout(tmp_path):
    for split, count in (("train", 3), ("val", 1), ("test", 2)):
        frames = []
        for index in range(count):
            write_image(tmp_path / split / f"r_{index:03d}.png", mode="RGBA")
            frames.append({"file_path": f"./{split}/r_{index:03d}", "time": index / 3, "transform_matrix": POSE})
        meta = {"camera_angle_x": math.pi / 2, "frames": frames}
        (tmp_path / f"transforms_{split}.json").write_text(json.dumps(meta))
    capture = load_capture(tmp_path)
    assert {split: len(capture.split(split)) for split in ("train", "val", "test")} == {"train": 3, "val": 1, "test": 2}
    frame = capture.split("test")[1]
    assert frame.name == "test/r_001"
    assert (frame.fx, frame.fy, frame.cx, frame.cy) == pytest.approx((4, 4, 4, 3))
    assert load_image(frame).shape == (6, 8, 4)


def test_seeds(root):
    from plyfile import PlyData, PlyElement

    points = np.array(
        [(0, 1, 2, 255, 0, 9), (np.nan, 0, 0, 1, 1, 1)],
        dtype=[("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")],
    )
    PlyData([PlyElement.describe(points, "vertex")]).write(str(root / "points.ply"))
    change(root, lambda c: c.update(ply_file_path="points.ply"))
    capture = load_capture(root)
    np.testing.assert_array_equal(capture.seed_points, [[0, 1, 2]])
    np.testing.assert_array_equal(capture.seed_colors, [[255, 0, 9]])


def test_finds_a_frame_by_name(root):
    capture = load_capture(root)
    assert capture.frame("0003").name == capture.frame("0003.png").name == "0003"
    with pytest.raises(UserError, match=r"no frame is called '17'.*'0000' to '0009'"):
        capture.frame("17")


def test_frame_name_must_be_unique_when_short(tmp_path):
    write_capture(tmp_path, ["a/0.png", "b/0.png", "b/1.png"])
    capture = load_capture(tmp_path)
    assert capture.frame("a/0").name == "a/0"
    assert capture.frame("1").name == "b/1"
    with pytest.raises(UserError, match="not unique.*a/0, b/0"):
        capture.frame("0")


def test_real_capture(assets):
    capture = load_capture(assets / "hand_books")
    assert len(capture.frames) == 86
    assert [frame.name for frame in capture.split("test")][:2] == ["image000001", "image000009"]
    assert len(capture.split("test")) == 11
    assert capture.seed_points.shape == capture.seed_colors.shape == (2588, 3)


BAD_FRAMES = {
    "no time": (lambda f: f.pop("time"), "images/0004.png has no 'time'.*--time-from-order"),
    "time is text": (lambda f: f.update(time="now"), "images/0004.png: 'time' must be a finite number"),
    "time is NaN": (lambda f: f.update(time=math.nan), "images/0004.png: 'time' must be a finite number"),
    "time is late": (lambda f: f.update(time=1.5), r"images/0004.png: 'time' is 1.5, but must lie in \[0, 1\]"),
    "time is early": (lambda f: f.update(time=-0.1), r"images/0004.png: 'time' is -0.1"),
    "no pose": (lambda f: f.pop("transform_matrix"), "images/0004.png has no 'transform_matrix'"),
    "pose is NaN": (lambda f: f["transform_matrix"][1].__setitem__(2, math.nan), "images/0004.png: the pose has NaN"),
    "pose is scaled": (
        lambda f: f.update(transform_matrix=np.diag([2.0, 2, 2, 1]).tolist()),
        "images/0004.png: the pose is not rigid.*2, 2, 2",
    ),
    "pose is huge": (lambda f: f.update(transform_matrix=(np.eye(4) * 1e200).tolist()), "last row of the pose"),
    "pose is mirrored": (
        lambda f: f.update(transform_matrix=np.diag([1.0, 1, -1, 1]).tolist()),
        "images/0004.png: the pose is a reflection",
    ),
    "pose is ragged": (lambda f: f.update(transform_matrix=[[1], [2, 3]]), "must be 4 rows of 4 numbers"),
    "pose is small": (lambda f: f.update(transform_matrix=[[1, 0], [0, 1]]), "must be 4 x 4, but is 2 x 2"),
    "no path": (lambda f: f.pop("file_path"), "frame 4 has no 'file_path'"),
    "no image": (lambda f: f.update(file_path="images/9999.png"), "its image .*images/9999.png is missing"),
    "other size": (lambda f: f.update(w=16, h=12), "intrinsics are for 16 x 12 pixels, but the image is 8 x 6"),
    "no focal length": (lambda f: f.update(fl_x=None), "images/0004.png has no focal length"),
    "focal length 0": (lambda f: f.update(fl_x=0), "focal length must be above 0"),
    "panorama": (lambda f: f.update(camera_model="EQUIRECTANGULAR"), "camera model EQUIRECTANGULAR is not supported"),
    "same image": (lambda f: f.update(file_path="images/0003.png"), "2 frames are called '0003'"),
}


@pytest.mark.parametrize(("edit", "message"), BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frame_is_named(root, edit, message):
    change(root, lambda c: edit(c["frames"][4]))
    with pytest.raises(UserError, match=message):
        load_capture(root)


def test_two_images_of_one_name(root):
    write_image(root / "images/0003.jpg")
    change(root, lambda c: c["frames"][4].update(file_path="images/0003.jpg"))
    with pytest.raises(UserError, match="2 frames are called '0003'"):
        load_capture(root)


BAD_FILES = {
    "truncated": ('{"frames": [', "not valid JSON"),
    "list": ("[]", "must hold a JSON object"),
    "no frames": ("{}", "has no list 'frames'"),
    "empty": ('{"frames": []}', "has no frames"),
    "frame is text": ('{"frames": ["a"]}', "frame 0 has no 'file_path'"),
    "binary": ("\x00\x01", "not valid JSON"),
    "deep": ("[" * 100_000, "not valid JSON"),
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file(tmp_path, text, message):
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(UserError, match=message):
        load_capture(tmp_path)


def test_no_data_set(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_capture(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no transforms\.json .* and no transforms_train\.json"):
        load_capture(tmp_path)


def test_dnerf_without_evaluation(tmp_path):
    write_image(tmp_path / "train/r_000.png")
    meta = {"camera_angle_x": 1.0, "frames": [{"file_path": "train/r_000", "time": 0, "transform_matrix": POSE}]}
    (tmp_path / "transforms_train.json").write_text(json.dumps(meta))
    with pytest.raises(UserError, match=r"no transforms_test\.json"):
        load_capture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"ply\nformat ascii 1.0\nelement vertex 9999999999\n", b"\x00" * 50])
def test_broken_seeds(root, content):
    (root / "points.ply").write_bytes(content)
    change(root, lambda c: c.update(ply_file_path="points.ply"))
    with pytest.raises(UserError, match=r"points\.ply cannot be read"):
        load_capture(root)


def test_missing_seeds(root):
    change(root, lambda c: c.update(ply_file_path="points.ply"))
    with pytest.raises(UserError, match=r"points\.ply are missing"):
        load_capture(root)


def test_single_frame_cannot_be_trained_on(tmp_path):
    write_capture(tmp_path, ["a.png"])
    with pytest.raises(UserError, match="no train frames"):
        load_capture(tmp_path)


def test_unreadable_image(root):
    (root / "images/0004.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"images/0004\.png cannot be read"):
        load_capture(root)
