"""Data sets in the layouts of others: cameras, times and splits against readers written from the formats alone."""

import json
import shutil
from itertools import pairwise

import cv2
import numpy as np
import pytest

from trase_ns.capture import load_capture, load_image
from trase_ns.capture.videos import decode_videos
from trase_ns.errors import UserError

POINTS = np.random.default_rng(3).normal(0, 0.6, (40, 3))


def project(frame, points):
    """Pixels [P, 2] of points [P, 3] of the capture's world, by OpenCV."""
    rotation = frame.c2w[:3, :3].T * np.array([[1.0], [-1.0], [-1.0]])
    vector, _ = cv2.Rodrigues(rotation)
    translation = -rotation @ frame.c2w[:3, 3]
    K = np.array([[frame.fx, 0, frame.cx], [0, frame.fy, frame.cy], [0, 0, 1]])
    lens = frame.distortion or (0.0,) * 6
    if frame.fisheye:
        k = np.array([lens[0], lens[1], lens[4], lens[5]])
        pixels, _ = cv2.fisheye.projectPoints(points[:, None], vector, translation, K, k)
    else:
        pixels, _ = cv2.projectPoints(points[:, None], vector, translation, K, np.array([*lens[:5]]))
    return pixels[:, 0]


def agree(frame, points, expected):
    np.testing.assert_allclose(project(frame, points), expected, atol=1e-4)


def by_nerfies(camera, factor, points):
    """Pixels of points of the world of a Nerfies camera file, by the format's own model."""
    local = (points - camera["position"]) @ np.array(camera["orientation"]).T
    x, y = local[:, 0] / local[:, 2], local[:, 1] / local[:, 2]
    k, p = camera["radial_distortion"], camera["tangential_distortion"]
    r = x**2 + y**2
    radial = 1 + r * (k[0] + r * (k[1] + r * k[2]))
    u = x * radial + 2 * p[0] * x * y + p[1] * (r + 2 * x**2)
    v = y * radial + 2 * p[1] * x * y + p[0] * (r + 2 * y**2)
    focal, centre = camera["focal_length"], camera["principal_point"]
    pixels = np.stack([focal * u + centre[0], focal * camera["pixel_aspect_ratio"] * v + centre[1]], axis=1)
    return pixels / factor


def splits(capture):
    return {split: [frame.name for frame in capture.split(split)] for split in ("train", "test")}


def test_nerfies_cameras(layouts, tmp_path):
    root = layouts.write_nerfies(tmp_path / "vrig" / "scene", validation=True)
    capture = load_capture(root)
    assert splits(capture)["test"] == ["000002", "000004", "000006", "000008", "000010", "000012"]
    assert len(splits(capture)["train"]) == 6
    for frame in capture.frames:
        camera = json.loads((root / "camera" / f"{frame.name}.json").read_text())
        agree(frame, POINTS * 0.25, by_nerfies(camera, 2, POINTS + [7.0, -3.0, 1.0]))
        assert (frame.width, frame.height) == (48, 36)
    assert capture.frames[0].time == 0
    assert capture.frames[4].time == pytest.approx(2 / 5)  # time_id, not warp_id
    assert capture.frames[-1].time == 1
    assert capture.bounds == (0.2, 1.8)
    np.testing.assert_allclose(capture.seed_points, (np.load(root / "points.npy") - [7, -3, 1]) / 4, atol=1e-6)


def test_image_scales(layouts, tmp_path):
    root = layouts.write_nerfies(tmp_path / "scene", scales=(1, 4))
    assert load_capture(root).frames[0].width == 96
    frame = load_capture(root, image_scale=4).frames[0]
    assert (frame.width, frame.fx) == (24, 90 / 4)
    with pytest.raises(UserError, match=r"no 2x: its factors are 1, 4"):
        load_capture(root, image_scale=2)


@pytest.mark.parametrize(("parent", "validation"), [("vrig", False), ("interp", True), ("misc", True)])
def test_hypernerf_split_of_one_camera(layouts, tmp_path, parent, validation):
    root = layouts.write_nerfies(tmp_path / parent / "scene", validation=validation)
    expected = {"train": ["000001", "000005", "000009"], "test": ["000003", "000007", "000011"]}
    assert splits(load_capture(root)) == expected
    assert splits(load_capture(root, format="hypernerf")) == expected


def test_real_nerfies_cameras(layouts, assets, tmp_path):
    root = tmp_path / "paper-windmill"
    shutil.copytree(assets / "nerfies_cameras", root)
    dataset = json.loads((root / "dataset.json").read_text())
    for name in dataset["ids"]:
        layouts.write_image(root / "rgb" / "2x" / f"{name}.png", 360, 480)
    scene = json.loads((root / "scene.json").read_text())
    centre, scale = np.array(scene["center"]), scene["scale"]
    capture = load_capture(root)
    assert len(capture.split("train")) == 18
    assert len(capture.split("test")) == 7
    for frame in capture.frames:
        camera = json.loads((root / "camera" / f"{frame.name}.json").read_text())
        forward = np.array(camera["orientation"])[2]
        points = camera["position"] + forward * 3 + POINTS
        agree(frame, (points - centre) * scale, by_nerfies(camera, 2, points))
        assert frame.time == pytest.approx(int(frame.name.split("_")[1]) / 272)


def test_dycheck(layouts, tmp_path):
    root = layouts.write_dycheck(tmp_path / "wheel")
    capture = load_capture(root)
    assert splits(capture)["test"] == ["1_00001", "1_00003", "1_00005"]
    assert [frame.time for frame in capture.split("test")] == pytest.approx([1 / 6, 3 / 6, 5 / 6])
    assert load_image(capture.frames[0]).shape == (36, 48, 4)
    for frame in capture.frames:
        camera = json.loads((root / "camera" / f"{frame.name}.json").read_text())
        agree(frame, POINTS * 0.25, by_nerfies(camera, 2, POINTS + [7.0, -3.0, 1.0]))


def test_dycheck_versions_of_other_data_sets(layouts, tmp_path):
    root = layouts.write_dycheck(tmp_path / "broom")
    layouts.write_json(root / "splits" / "train_mono.json", {"frame_names": ["0_00000", "0_00002"]})
    (root / "splits" / "train.json").unlink()
    (root / "splits" / "val.json").rename(root / "splits" / "val_mono.json")
    assert splits(load_capture(root))["train"] == ["0_00000", "0_00002"]
    assert len(load_capture(root).split("test")) == 3


def test_dycheck_with_one_camera_holds_out_every_eighth(layouts, tmp_path):
    root = layouts.write_dycheck(tmp_path / "backpack", validation=False)
    assert splits(load_capture(root, eval_every=3))["test"] == ["0_00000", "0_00003", "0_00006"]
    shutil.rmtree(root / "splits")
    assert len(load_capture(root).split("train")) == 6


def by_llff(row, points, scale):
    """Pixels of points by LLFF's row itself: down, right, backwards."""
    matrix = row[:15].reshape(3, 5)
    down, right, back = ((points - matrix[:, 3]) @ matrix[:, :3]).T
    height, width, focal = matrix[:, 4]
    return np.stack([focal * right / -back + width / 2, focal * down / -back + height / 2], axis=1) * scale


def test_llff(layouts, tmp_path):
    root = layouts.write_llff(tmp_path)
    capture = load_capture(root)
    rows = np.load(root / "poses_bounds.npy")
    assert splits(capture)["test"] == ["00000", "00008"]
    assert [frame.time for frame in capture.frames] == pytest.approx(np.arange(10) / 9)
    for frame, row in zip(capture.frames, rows, strict=True):
        agree(frame, POINTS, by_llff(row, POINTS, 0.5))
    assert capture.bounds == pytest.approx((1.95, 9.0))


def test_neu3d(layouts, tmp_path):
    root = layouts.write_neu3d(tmp_path)
    capture = load_capture(root)
    rows = np.load(root / "poses_bounds.npy")
    assert [frame.name for frame in capture.split("test")] == [f"cam00/{moment:04d}" for moment in range(4)]
    assert {frame.name[:5] for frame in capture.split("train")} == {"cam02", "cam03"}
    for frame in capture.frames:
        row = rows[["cam00", "cam02", "cam03"].index(frame.name[:5])]
        agree(frame, POINTS, by_llff(row, POINTS, 0.5))
        assert frame.time == pytest.approx(int(frame.name[-4:]) / 3)
    capture = load_capture(root, moments=(1, 3))
    assert [(frame.name, frame.time) for frame in capture.split("test")] == [("cam00/0001", 0), ("cam00/0002", 1)]


@pytest.mark.parametrize("place", ["images/{camera}/{moment}.png", "{camera}/images/{moment}.png", "{camera}_{moment}"])
def test_places_of_decoded_pictures(layouts, tmp_path, place):
    root = layouts.write_neu3d(tmp_path, videos=False)
    for image in sorted((root / "images_2x").rglob("*.png")):
        target = root / place.format(camera=image.parent.name, moment=image.stem)
        if "/" not in place:
            target = root / "images" / f"{target.name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        image.rename(target)
    shutil.rmtree(root / "images_2x")
    capture = load_capture(root)
    assert len(capture.split("train")) == 8
    assert len(capture.split("test")) == 4


def test_immersive(layouts, tmp_path):
    root = layouts.write_immersive(tmp_path)
    capture = load_capture(root)
    models = {model["name"]: model for model in json.loads((root / "models.json").read_text())}
    assert {frame.name.split("/")[0] for frame in capture.split("test")} == {"camera_0001"}
    for frame in capture.frames:
        model = models[frame.name.split("/")[0]]
        # Rodrigues' formula and the lens r = f theta (1 + k1 theta^2 + k2 theta^4).
        angle = np.linalg.norm(model["orientation"])
        axis = np.array(model["orientation"]) / angle
        rays = POINTS - model["position"]
        local = rays * np.cos(angle) + np.cross(axis, rays) * np.sin(angle)
        local += np.outer(rays @ axis, axis) * (1 - np.cos(angle))
        radius = np.hypot(local[:, 0], local[:, 1])
        theta = np.arctan2(radius, local[:, 2])
        k1, k2, _ = model["radial_distortion"]
        bent = model["focal_length"] * theta * (1 + k1 * theta**2 + k2 * theta**4)
        agree(frame, POINTS, (local[:, :2] / radius[:, None] * bent[:, None] + model["principal_point"]) / 2)
        assert frame.fisheye
    assert [frame.time for frame in capture.split("test")] == [0, 0.5, 1]


def test_technicolor(layouts, tmp_path):
    root = layouts.write_technicolor(tmp_path)
    capture = load_capture(root)
    lines = (root / "cameras_parameters.txt").read_text().splitlines()[1:]
    assert len(capture.split("train")) == 9
    for frame in capture.frames:
        moment, camera = map(int, frame.name.split("_")[2:])
        focal, cx, cy, aspect, _, w, x, y, z, *translation = map(float, lines[camera].split())
        turned = POINTS + 2 * np.cross([x, y, z], np.cross([x, y, z], POINTS) + w * POINTS)  # q p q*
        local = turned + translation
        pixels = local[:, :2] / local[:, 2:] * [focal, focal * aspect] + [cx, cy]
        agree(frame, POINTS, pixels / 8)
        assert frame.time == (moment - 151) / 2
        assert frame.split == ("train" if camera else "test")


@pytest.mark.parametrize("world_to_camera", [False, True])
def test_rig_as_transforms(layouts, tmp_path, world_to_camera):
    root = layouts.write_multiview(tmp_path, world_to_camera)
    capture = load_capture(root)
    for frame in capture.frames:
        rotation, position = layouts.cameras(3)[int(frame.name[3:5])]
        local = (POINTS - position) @ rotation.T
        agree(frame, POINTS, local[:, :2] / local[:, 2:] * [60, 61] + [32, 24])
        assert frame.time == pytest.approx(int(frame.name[-4:]) / 3)
    assert {frame.name[:5] for frame in capture.split("test")} == {"cam00"}
    assert capture.seed_points.shape == (300, 3)
    assert (capture.seed_colors[:, 1] == 200).all()


def test_moments_of_a_rig_as_transforms(layouts, tmp_path):
    root = layouts.write_multiview(tmp_path)
    for image in (root / "images_2x").glob("*_0003.png"):
        image.unlink()
    capture = load_capture(root, moments=(0, 3))
    assert sorted({frame.time for frame in capture.frames}) == [0, 0.5, 1]


def test_raw_rig_beside_its_transforms(layouts, tmp_path):
    """What was converted comes first; its points are of another world than the raw poses."""
    root = layouts.write_neu3d(tmp_path)
    layouts.write_multiview(root)
    assert load_capture(root).seed_points is not None
    raw = load_capture(root, format="neu3d")
    assert raw.seed_points is None
    assert raw.frames[0].name == "cam00/0000"


def test_videos_are_decoded_once(layouts, tmp_path):
    root = layouts.write_neu3d(tmp_path)
    shutil.rmtree(root / "images_2x")
    for video in root.glob("*.mp4"):
        layouts.write_video(video, size=(128, 96))
    with pytest.raises(UserError, match=r"cam00 are still in its video.*\n *trase frames --data"):
        load_capture(root)
    assert decode_videos(root, downscale=2, moments=(1, 4)) == 9
    image = root / "images_2x" / "cam02" / "0002.png"
    image.unlink()
    assert decode_videos(root, downscale=2, moments=(1, 4)) == 1
    capture = load_capture(root)
    assert len(capture.frames) == 9
    brightness = [load_image(frame).mean() for frame in capture.split("test")]
    assert brightness == pytest.approx([60, 100, 140], abs=4)
    assert all(b - a > 30 for a, b in pairwise(brightness))


def test_times_from_the_order_of_several_things(layouts, tmp_path):
    """What ns-process-data writes: frames with gaps, further sizes beside them, no times."""
    frames = []
    matrix = np.eye(4).tolist()
    for number in (1, 2, 4, 10):
        for folder, size in (("images", (64, 48)), ("images_2", (32, 24))):
            layouts.write_image(tmp_path / folder / f"frame_{number:05d}.png", *size)
        frames.insert(0, {"file_path": f"images/frame_{number:05d}.png", "transform_matrix": matrix, "colmap_im_id": 1})
    meta = {"w": 64, "h": 48, "fl_x": 50.0, "fl_y": 50.0, "cx": 32.0, "cy": 24.0, "k1": 0.01, "frames": frames}
    layouts.write_ply(tmp_path / "sparse_pc.ply", POINTS)
    meta |= {"camera_model": "OPENCV", "applied_transform": matrix[:3], "ply_file_path": "sparse_pc.ply"}
    layouts.write_json(tmp_path / "transforms.json", meta)
    capture = load_capture(tmp_path, time_from_order=True)
    assert [(frame.name, frame.time) for frame in capture.frames] == [
        ("frame_00001", 0),
        ("frame_00002", pytest.approx(1 / 3)),
        ("frame_00004", pytest.approx(2 / 3)),
        ("frame_00010", 1),
    ]
    assert len(capture.seed_points) == 40
    with pytest.raises(UserError, match="no 'time'.*--time-from-order"):
        load_capture(tmp_path)


def test_a_video_without_poses(layouts, tmp_path):
    video = layouts.write_video(tmp_path / "my.mp4")
    for data in (video, tmp_path):
        with pytest.raises(UserError, match=r"my\.mp4 is a video without camera poses.*\n *ns-process-data video"):
            load_capture(data)
