"""Damaged data sets in the layouts of others: one UserError that names the file and says what to do."""

import json
import math
import shutil

import numpy as np
import pytest

from trase_ns.capture import load_capture, load_image
from trase_ns.errors import UserError


def edit(path, change):
    """Edit a JSON file in place."""
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))


def edit_array(path, change):
    """Edit an .npy in place."""
    values = np.load(path)
    np.save(path, values if (changed := change(values)) is None else changed)


def refuses(root, message, **options):
    with pytest.raises(UserError, match=message) as error:
        load_capture(root, **options)
    assert str(root) in str(error.value)


CAMERA = "camera/000003.json"

NERFIES = {
    "no camera": (lambda r: (r / CAMERA).unlink(), r"camera/000003\.json is missing"),
    "camera is no JSON": (lambda r: (r / CAMERA).write_text("{"), r"000003\.json is not valid JSON"),
    "camera is a list": (lambda r: (r / CAMERA).write_text("[]"), r"000003\.json must hold a JSON object"),
    "no orientation": (lambda r: edit(r / CAMERA, lambda c: c.pop("orientation") and None), "no 'orientation'"),
    "no focal length": (lambda r: edit(r / CAMERA, lambda c: c.pop("focal_length") and None), "no 'focal_length'"),
    "focal length huge": (
        lambda r: edit(r / CAMERA, lambda c: c.update(focal_length=10**400)),
        "'focal_length' must be a finite number, but is '1000",
    ),
    "focal length 0": (lambda r: edit(r / CAMERA, lambda c: c.update(focal_length=0)), "must be above 0"),
    "orientation is small": (lambda r: edit(r / CAMERA, lambda c: c.update(orientation=[[1]])), "3 x 3 numbers"),
    "orientation is ragged": (
        lambda r: edit(r / CAMERA, lambda c: c.update(orientation=[[1], [1, 2]])),
        "3 x 3 numbers",
    ),
    "orientation is scaled": (
        lambda r: edit(r / CAMERA, lambda c: c.update(orientation=np.diag([2.0, 2, 2]).tolist())),
        r"000003\.json: the pose is not rigid",
    ),
    "orientation is mirrored": (
        lambda r: edit(r / CAMERA, lambda c: c.update(orientation=np.diag([1.0, 1, -1]).tolist())),
        r"000003\.json: the pose is a reflection",
    ),
    "position is NaN": (
        lambda r: edit(r / CAMERA, lambda c: c.update(position=[0, math.nan, 0])),
        r"000003\.json: 'position' has NaN",
    ),
    "skew": (lambda r: edit(r / CAMERA, lambda c: c.update(skew=0.3)), r"000003\.json has a skew"),
    "image size": (lambda r: edit(r / CAMERA, lambda c: c.update(image_size=[100, 72])), "is 48 x 36 pixels, but"),
    "distortion": (
        lambda r: edit(r / CAMERA, lambda c: c.update(radial_distortion=[1])),
        "'radial_distortion' must be 3",
    ),
    "no picture": (lambda r: (r / "rgb/2x/000003.png").unlink(), "frame 000003: its image .* is missing"),
    "picture is text": (lambda r: (r / "rgb/2x/000003.png").write_text("x"), r"000003\.png cannot be read"),
    "no pictures": (lambda r: shutil.rmtree(r / "rgb"), "has no folder of pictures such as 2x"),
    "no scene": (lambda r: (r / "scene.json").unlink(), r"scene\.json is missing"),
    "scale 0": (lambda r: edit(r / "scene.json", lambda c: c.update(scale=0)), r"scene\.json: scale must be above 0"),
    "scale is NaN": (lambda r: edit(r / "scene.json", lambda c: c.update(scale=math.nan)), "'scale' must be a finite"),
    "near after far": (lambda r: edit(r / "scene.json", lambda c: c.update(near=3)), "0 <= near < far"),
    "no center": (lambda r: edit(r / "scene.json", lambda c: c.pop("center") and None), "no 'center'"),
    "no metadata": (lambda r: (r / "metadata.json").unlink(), r"metadata\.json is missing"),
    "frame without metadata": (
        lambda r: edit(r / "metadata.json", lambda c: c.pop("000003") and None),
        r"metadata\.json has no frame '000003'",
    ),
    "no time": (
        lambda r: edit(r / "metadata.json", lambda c: c.update({"000003": {}})),
        "frame 000003 has no 'warp_id'",
    ),
    "early time": (
        lambda r: edit(r / "metadata.json", lambda c: c["000003"].update(time_id=-1)),
        r"frame 000003: 'time_id' is -1",
    ),
    "time is NaN": (
        lambda r: edit(r / "metadata.json", lambda c: c["000003"].update(time_id=math.nan)),
        "frame 000003: 'time_id' must be a finite number",
    ),
    "one time": (
        lambda r: edit(r / "metadata.json", lambda c: [v.update(time_id=4) for v in c.values()] and None),
        "all frames are of the same time",
    ),
    "times out of order": (
        lambda r: edit(r / "dataset.json", lambda c: c["ids"].reverse()),
        r"dataset\.json: 'ids' are out of order: '0000.*sort them by time",
    ),
    "no ids": (lambda r: edit(r / "dataset.json", lambda c: c.pop("ids") and None), "'ids' must be a list"),
    "ids twice": (lambda r: edit(r / "dataset.json", lambda c: c["ids"].append("000003")), "names a frame twice"),
    "ids with folders": (
        lambda r: edit(r / "dataset.json", lambda c: c.update(ids=["../../x"])),
        "must hold plain names",
    ),
    "points of two numbers": (lambda r: np.save(r / "points.npy", np.zeros((4, 2))), r"points\.npy must be N x 3"),
    "pickled points": (
        lambda r: np.save(r / "points.npy", np.array([{}], dtype=object), allow_pickle=True),
        r"points\.npy cannot be read",
    ),
    "truncated points": (
        lambda r: (r / "points.npy").write_bytes((r / "points.npy").read_bytes()[:150]),
        r"points\.npy cannot be read",
    ),
}


@pytest.mark.parametrize(("damage", "message"), NERFIES.values(), ids=NERFIES.keys())
def test_nerfies(layouts, tmp_path, damage, message):
    root = layouts.write_nerfies(tmp_path / "scene")
    load_capture(root)
    damage(root)
    refuses(root, message)


def test_nerfies_frame_in_both_splits(layouts, tmp_path):
    root = layouts.write_nerfies(tmp_path / "scene", validation=True)
    edit(root / "dataset.json", lambda c: c["train_ids"].append("000002"))
    refuses(root, "'000002' is in train_ids and in val_ids")


DYCHECK = {
    "names missing": (lambda c: c.pop("frame_names") and None, r"train\.json: 'frame_names' must be a list"),
    "wrong count": (lambda c: c["time_ids"].pop() and None, r"train\.json has 7 frame_names, but 6 time_ids"),
    "unknown frame": (lambda c: c["frame_names"].__setitem__(0, "0_00099"), r"no frame '0_00099'"),
}


@pytest.mark.parametrize(("damage", "message"), DYCHECK.values(), ids=DYCHECK.keys())
def test_dycheck(layouts, tmp_path, damage, message):
    root = layouts.write_dycheck(tmp_path / "scene")
    edit(root / "splits" / "train.json", damage)
    refuses(root, message)


def set_row(row, column, value):
    return lambda values: values.__setitem__((row, column), value)


POSES = {
    "too few rows": (lambda v: v[:-1], r"poses_bounds\.npy has \d+ poses, but"),
    "too few columns": (lambda v: v[:, :15], "must be N x 17 numbers, but is .* x 15"),
    "empty": (lambda v: v[:0], "must be N x 17 numbers"),
    "text": (lambda v: v.astype(str), r"poses_bounds\.npy cannot be read \(it does not hold numbers\)"),
    "NaN": (set_row(1, 3, np.nan), "row 1 has NaN"),
    "infinite depth": (set_row(1, 16, np.inf), "row 1 has NaN or infinite"),
    "no rotation": (set_row(1, 0, 3.0), "row 1: the pose is not rigid"),
    "no height": (set_row(1, 4, 0.0), "row 1: height, width and focal length must be above 0"),
    "depths": (set_row(1, 15, 20.0), "row 1: the depths must be 0 < near < far"),
    "another shape": (lambda v: v.__setitem__((slice(None), 4), 128.0), "another shape: restore the image"),
}


@pytest.mark.parametrize(("change", "message"), POSES.values(), ids=POSES.keys())
@pytest.mark.parametrize("layout", ["llff", "neu3d"])
def test_poses_bounds(layouts, tmp_path, layout, change, message):
    root = getattr(layouts, f"write_{layout}")(tmp_path)
    load_capture(root)
    edit_array(root / "poses_bounds.npy", change)
    refuses(root, message)


def test_poses_bounds_pickled_or_broken(layouts, tmp_path):
    root = layouts.write_llff(tmp_path)
    np.save(root / "poses_bounds.npy", np.array([{}], dtype=object), allow_pickle=True)
    refuses(root, r"poses_bounds\.npy cannot be read")
    (root / "poses_bounds.npy").write_bytes(b"\x93NUMPY")
    refuses(root, r"poses_bounds\.npy cannot be read")


def test_llff_without_images(layouts, tmp_path):
    root = layouts.write_llff(tmp_path)
    refuses(root, "no images_4x: its factors are 2", image_scale=4)
    (root / "images_2" / "00003.png").unlink()
    refuses(root, "has 10 poses, but .*images_2 has 9 images")


IMAGE = "images_2x/cam02/0002.png"

RIG = {
    "picture missing": (
        lambda r: (r / IMAGE).unlink(),
        "cam02 has 3 pictures and cam00 4; number 2 is in only one of them",
    ),
    "picture is text": (lambda r: (r / IMAGE).write_text("x"), r"0002\.png cannot be read"),
    "picture without number": (lambda r: (r / IMAGE).rename(r / "images_2x/cam02/last.png"), "must end in the number"),
    "two of a moment": (lambda r: shutil.copy(r / IMAGE, r / "images_2x/cam02/x2.png"), "are of the same moment"),
    "camera missing": (lambda r: (r / "cam02.mp4").unlink(), "has 3 poses, but .* has 2 cameras"),
    "camera not decoded": (lambda r: shutil.rmtree(r / "images_2x/cam02"), "pictures of cam02 are still in its video"),
}


@pytest.mark.parametrize(("damage", "message"), RIG.values(), ids=RIG.keys())
def test_neu3d(layouts, tmp_path, damage, message):
    root = layouts.write_neu3d(tmp_path)
    damage(root)
    refuses(root, message)


def test_moments_that_are_not_there(layouts, tmp_path):
    root = layouts.write_neu3d(tmp_path)
    refuses(root, "cam00 has 0 pictures numbered 50 to 99", moments=(50, 100))
    with pytest.raises(UserError, match="moments must be two numbers such as 0 50"):
        load_capture(root, moments=(5, 5))


MODELS = {
    "object": (lambda m: {"cameras": m}, "must hold a JSON list"),
    "one camera": (lambda m: m[:1], "has 1 camera: two are needed"),
    "no name": (lambda m: m[0].pop("name") and None, "camera 0 has no 'name'"),
    "name is a path": (lambda m: m[0].update(name="../x"), "camera 0 has no 'name'"),
    "twice": (lambda m: m[0].update(name="camera_0001"), "two cameras of the same name"),
    "unknown camera": (lambda m: m[0].update(name="camera_0009"), "no pictures of the camera camera_0009"),
    "no position": (lambda m: m[0].pop("position") and None, "camera_0003 has no 'position'"),
    "orientation is a matrix": (
        lambda m: m[0].update(orientation=np.eye(3).tolist()),
        "'orientation' must be 3 numbers",
    ),
    "orientation is NaN": (lambda m: m[0].update(orientation=[0, 0, math.nan]), "camera_0003: 'orientation' has NaN"),
    "orientation is huge": (lambda m: m[0].update(orientation=[0, 1e308, 0]), "camera_0003: the pose is not rigid"),
    "no lens": (lambda m: m[0].pop("radial_distortion") and None, "camera_0003 has no 'radial_distortion'"),
    "panorama": (lambda m: m[0].update(projection_type="equirectangular"), "'equirectangular' is not supported"),
    "focal length": (lambda m: m[0].update(focal_length=-5), "must be above 0"),
    "another shape": (lambda m: m[0].update(height=128), "another shape"),
}


@pytest.mark.parametrize(("change", "message"), MODELS.values(), ids=MODELS.keys())
def test_immersive(layouts, tmp_path, change, message):
    root = layouts.write_immersive(tmp_path)
    edit(root / "models.json", change)
    refuses(root, message)


def edit_line(number, change):
    def damage(root):
        path = root / "cameras_parameters.txt"
        lines = path.read_text().splitlines()
        lines[number] = " ".join(change(lines[number].split()))
        path.write_text("\n".join(lines))

    return damage


TECHNICOLOR = {
    "camera missing": (edit_line(2, lambda words: []), "has 3 cameras, but the pictures .* are of 4"),
    "short row": (edit_line(2, lambda words: words[:-1]), "camera 01 must be 12 finite numbers, but has 11"),
    "text": (edit_line(2, lambda words: [*words[:-1], "x"]), "camera 01: .* must be 12 numbers"),
    "NaN": (edit_line(2, lambda words: [*words[:-1], "nan"]), "camera 01 must be 12 finite numbers"),
    "no rotation": (
        edit_line(2, lambda words: [*words[:5], "0.5", *words[6:8], "0", *words[9:]]),
        "quaternion has length",
    ),
    "focal length": (edit_line(2, lambda words: ["0", *words[1:]]), "camera 01: focal length and aspect"),
    "binary": (lambda r: (r / "cameras_parameters.txt").write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "picture missing": (lambda r: (r / "Birthday_undist_00152_01.png").unlink(), "camera 01 has 2 pictures"),
}


@pytest.mark.parametrize(("damage", "message"), TECHNICOLOR.values(), ids=TECHNICOLOR.keys())
def test_technicolor(layouts, tmp_path, damage, message):
    root = layouts.write_technicolor(tmp_path)
    load_capture(root)
    damage(root)
    refuses(root, message)


def test_a_truncated_picture_is_named(layouts, tmp_path):
    """One of the published Technicolor pictures is: its header is whole, its pixels are not."""
    root = layouts.write_technicolor(tmp_path)
    path = root / "Birthday_undist_00152_01.png"
    path.write_bytes(path.read_bytes()[:-200])
    frame = load_capture(root).frame("Birthday_undist_00152_01")
    with pytest.raises(UserError, match=r"00152_01\.png cannot be read .*truncated; replace it"):
        load_image(frame)


def set_times(**times):
    def change(content):
        for frame in content["frames"]:
            number = frame["file_path"][-4:]
            if frame["file_path"].startswith("images_2x/cam01") and f"t{number}" in times:
                frame["time"] = times[f"t{number}"]

    return change


MULTIVIEW = {
    "out of order": (set_times(t0001=1.4, t0002=0.2), r"out of order: frame cam01_0002\.png has time 0.2"),
    "a time twice": (set_times(t0002=0.5), r"out of order: frame cam01_0002\.png has time 0.5"),
    "early": (set_times(t0000=-1.0), "cam01_0000: 'time' is -1"),
    "NaN": (set_times(t0000=math.nan), "cam01_0000: 'time' must be a finite number"),
    "missing": (set_times(t0000=None), "cam01_0000 has no 'time'"),
    "scaled": (lambda c: c["frames"][0].update(transform_matrix=np.diag([2.0, 2, 2, 1]).tolist()), "not rigid"),
    "no focal length": (lambda c: c.pop("fl_x") and None, "has no focal length"),
    "no frames": (lambda c: c.update(frames=[]), "has no frames"),
    "no picture": (lambda c: c["frames"][0].update(file_path="images_2x/cam09_0000"), "its image .* is missing"),
}


@pytest.mark.parametrize(("change", "message"), MULTIVIEW.values(), ids=MULTIVIEW.keys())
def test_rig_as_transforms(layouts, tmp_path, change, message):
    root = layouts.write_multiview(tmp_path)
    edit(root / "transforms_train.json", change)
    refuses(root, message)


def test_rig_as_transforms_without_parts(layouts, tmp_path):
    root = layouts.write_multiview(tmp_path)
    refuses(root, "no frames numbered 90 to 99", moments=(90, 100))
    (root / "points3d.ply").write_bytes(b"ply\n")
    refuses(root, r"points3d\.ply cannot be read")
    (root / "transforms_test.json").unlink()
    refuses(root, r"no transforms_test\.json")
    (root / "transforms_train.json").unlink()
    refuses(root, r"transforms_train\.json is missing", format="multiview")


@pytest.mark.parametrize(
    "format", ["nerfies", "hypernerf", "dycheck", "llff", "neu3d", "immersive", "technicolor", "dnerf"]
)
def test_the_wrong_format(layouts, tmp_path, format):
    refuses(
        layouts.write_multiview(tmp_path, ply=False) if format != "dnerf" else tmp_path,
        "is missing|cannot be read",
        format=format,
    )


def test_broken_videos(layouts, tmp_path):
    from trase_ns.capture.videos import decode_videos

    with pytest.raises(UserError, match="has no videos"):
        decode_videos(tmp_path)
    video = layouts.write_video(tmp_path / "cam00.mp4")
    with pytest.raises(UserError, match=r"cam00\.mp4 has 5 pictures, too few"):
        decode_videos(tmp_path, moments=(0, 50))
    video.write_bytes(b"no video")
    with pytest.raises(UserError, match=r"cam00\.mp4 cannot be read"):
        decode_videos(tmp_path)
