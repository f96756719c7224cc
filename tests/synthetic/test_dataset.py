"""A built-in scene on disk is a complete data set, the same for the same seed, and whole or absent."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.capture.load import load_capture
from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import load_benchmark, read_mask
from trase_ns.masks.source import open_masks
from trase_ns.scene.camera import Camera
from trase_ns.synthetic.dataset import make_scene, open_scene

SMALL = {"frames": 4, "width": 96, "height": 72, "held_out": 2, "points": 200}


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_scene(tmp_path_factory.mktemp("made") / "scene", seed=3, **SMALL)


@pytest.fixture(scope="module")
def capture(data):
    return load_capture(data)


def camera_of(frame) -> Camera:
    pose = torch.as_tensor(np.asarray(frame.c2w))
    return Camera.from_opengl(pose, frame.fx, frame.fy, frame.cx, frame.cy, frame.width, frame.height, frame.time)


def test_same_seed_same_bytes_other_seed_others(data, tmp_path):
    first, again = contents(data), contents(make_scene(tmp_path / "again", seed=3, **SMALL))
    assert first == again
    other = contents(make_scene(tmp_path / "other", seed=4, **SMALL))
    assert all(first[name] != other[name] for name in first if name.startswith(("images/", "masks/")))


def test_loads_as_a_capture(capture):
    train = [frame for frame in capture.frames if frame.split == "train"]
    held_out = [frame for frame in capture.frames if frame.split != "train"]
    assert [frame.time for frame in train] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert len(held_out) == 2
    for frame in held_out:
        assert min(abs(frame.time - other.time) for other in train) == pytest.approx(1 / 6)
        assert min(np.abs(frame.c2w - other.c2w).max() for other in train) > 0.05
    assert {(frame.width, frame.height) for frame in capture.frames} == {(96, 72)}


def test_pictures_and_masks_are_the_scene_that_open_scene_gives(data, capture):
    scene = open_scene(data)
    for frame in capture.frames:
        picture = scene.render(camera_of(frame))
        assert np.array_equal(np.asarray(Image.open(data / "images" / f"{frame.name}.png")), picture.rgb)
        for name in ("robot", "jelly", "ball", "crate", "vase"):
            path = data / "benchmark" / name / f"{frame.name}.png"
            if path.exists():
                assert frame.split != "train"
                assert np.array_equal(read_mask(path), picture.objects == scene.objects[name])


def test_prompts_lie_inside_their_objects(data, capture):
    scene, frames = open_scene(data), {f"{frame.name}.png": frame for frame in capture.frames}
    benchmark = load_benchmark(data / "benchmark")
    assert [entry.name for entry in benchmark.objects] == ["robot", "jelly", "ball", "crate", "vase"]
    for entry in benchmark.objects:
        assert entry.masks
        parts = set()
        for click in entry.clicks:
            frame = frames[click.frame]
            assert frame.split == "train"
            picture = scene.render(camera_of(frame))
            x, y = int(click.x * frame.width), int(click.y * frame.height)
            assert (picture.objects[y - 1 : y + 2, x - 1 : x + 2] == scene.objects[entry.name]).all()
            parts.add(int(picture.parts[y, x]))
        assert parts == {part for part, owner in scene.parents.items() if owner == scene.objects[entry.name]}


def test_training_frames_have_masks_and_held_out_ones_have_none(data, capture):
    masks = open_masks(data / "masks", [frame.name for frame in capture.frames])
    assert set(masks.frames()) == {frame.name for frame in capture.frames if frame.split == "train"}
    scene = open_scene(data)
    for frame in capture.frames:
        if frame.split == "train":
            found = masks.load(frame.name, (frame.width, frame.height))
            picture = scene.render(camera_of(frame))
            assert len(found) >= 2
            for mask in found.dense():
                owner = np.bincount(picture.objects[mask]).argmax()
                assert (picture.objects[mask] == owner).mean() > 0.5


def test_seed_points_lie_on_surfaces_mostly_at_rest(data, capture):
    scene = open_scene(data)
    points = np.asarray(capture.seed_points, dtype=np.float64)
    assert points.shape == (200, 3)
    moving = np.array([False, *(part.moves for part in scene.parts)])
    near, resting = [], []
    for frame in capture.frames:
        picture = scene.render(camera_of(frame))
        camera = camera_of(frame)
        local = points @ camera.viewmat[:3, :3].double().numpy().T + camera.viewmat[:3, 3].double().numpy()
        pixels = local @ camera.K.double().numpy().T
        x, y = np.floor(pixels[:, :2] / pixels[:, 2:]).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < 96) & (y < 72) & (pixels[:, 2] > 0)
        error = np.full(len(points), np.inf)
        error[inside] = np.abs(picture.depth[y[inside], x[inside]] - local[inside, 2])
        near.append(error)
        part = picture.parts[y[error < 0.1], x[error < 0.1]]
        resting.append((~moving[part]).mean())
    assert (np.min(near, axis=0) < 0.1).mean() > 0.95
    assert np.mean(resting) > 0.7


def test_several_cameras_see_each_moment(tmp_path):
    capture = load_capture(make_scene(tmp_path / "rig", cameras="several", rig=3, **{**SMALL, "frames": 2}))
    train = [frame for frame in capture.frames if frame.split == "train"]
    for time in (0.0, 1.0):
        poses = [frame.c2w for frame in train if frame.time == time]
        assert len(poses) == 3
        assert np.abs(poses[0] - poses[2]).max() > 1
    first = {frame.time: frame.c2w for frame in train if "cam00" in frame.name}
    assert np.array_equal(first[0.0], first[1.0])


@pytest.fixture(scope="module")
def relay(tmp_path_factory) -> Path:
    return make_scene(
        tmp_path_factory.mktemp("relay") / "scene",
        scene="thrown",
        cameras="relay",
        rig=8,
        frames=6,
        held_out=6,
        width=128,
        height=96,
        points=400,
    )


def test_relay_films_each_moment_with_another_quarter_of_the_rig(relay):
    train = [frame for frame in load_capture(relay).frames if frame.split == "train"]
    times = sorted({frame.time for frame in train})
    assert times == pytest.approx(np.linspace(0, 1, 6))
    for moment, time in enumerate(times):
        filmed = {frame.name.split("_")[1] for frame in train if frame.time == time}
        assert filmed == {f"cam{camera:02d}" for camera in range(8) if camera % 4 == moment % 4}
    poses = {frame.name.split("_")[1]: [] for frame in train}
    for frame in train:
        poses[frame.name.split("_")[1]].append(frame.c2w)
    assert all(np.array_equal(pose, same[0]) for same in poses.values() for pose in same)


def test_relay_holds_out_new_poses_at_every_trained_moment_with_every_object(relay):
    capture = load_capture(relay)
    train = [frame for frame in capture.frames if frame.split == "train"]
    held_out = [frame for frame in capture.frames if frame.split != "train"]
    assert [frame.time for frame in held_out] == sorted({frame.time for frame in train})
    for frame in held_out:
        assert min(np.linalg.norm(frame.c2w[:3, 3] - other.c2w[:3, 3]) for other in train) > 0.2
    assert len({tuple(frame.c2w[:3, 3]) for frame in held_out}) > 3
    benchmark = load_benchmark(relay / "benchmark")
    assert [entry.name for entry in benchmark.objects] == ["ball", "apple", "box", "bar", "vase"]
    assert {len(entry.masks) for entry in benchmark.objects} == {6}


def test_relay_finds_seed_points_at_one_moment(relay):
    capture, scene = load_capture(relay), open_scene(relay)
    points = np.asarray(capture.seed_points, dtype=np.float64)
    times = sorted({frame.time for frame in capture.frames})
    for part in scene.parts:
        if part.moves:
            near = [np.linalg.norm(part.vertices(t)[:, None] - points, axis=-1).min(axis=0) < 0.05 for t in times]
            assert near[3].any(), part.name
            assert near[3].sum() == max(map(sum, near)), part.name


def test_same_scene_is_reused_and_anything_else_is_kept(data, tmp_path):
    before = (data / "transforms.json").stat().st_mtime_ns
    assert make_scene(data, seed=3, **SMALL) == data
    assert (data / "transforms.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="is not empty"):
        make_scene(data, seed=4, **SMALL)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        make_scene(tmp_path, **SMALL)
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(UserError, match="No space left"):
        make_scene(tmp_path / "scene", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 1}, "frames must be at least 2"),
        ({"cameras": "one"}, "cameras must be"),
        ({"scene": "x"}, "choose"),
        ({"cameras": "relay", "rig": 3}, "rig must be at least 4"),
    ],
)
def test_wrong_parameters(tmp_path, wrong, message):
    with pytest.raises(UserError, match=message):
        make_scene(tmp_path / "scene", **wrong)


def test_open_scene_wants_a_scene(tmp_path):
    (tmp_path / "scene.json").write_text(json.dumps({"parameters": {"scene": "other"}}))
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match="make_scene"):
            open_scene(folder)
