"""Each scene of the suite stresses what it says; the suite is whole data sets, the same for the same seed."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, distance_transform_edt
from scipy.spatial import cKDTree

from trase_ns.capture.load import load_capture
from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import load_benchmark
from trase_ns.masks.source import open_masks
from trase_ns.scene.camera import Camera
from trase_ns.synthetic import cameras
from trase_ns.synthetic.dataset import SCENES, open_scene
from trase_ns.synthetic.scenes.fast import MOMENTS, RADIUS
from trase_ns.synthetic.scenes.late import BALL_ENTERS, CRATE_ENTERS
from trase_ns.synthetic.suite import DEVELOPMENT_SEEDS, SUITE, fresh_seed, make_suite

SEEDS = (0, 5)
FRAMES = 40


def times(name: str) -> np.ndarray:
    return np.linspace(0, 1, SUITE[name].options["frames"])


@cache
def scene_of(name: str, seed: int):
    return SCENES[name](seed)


def things(name: str, seed: int) -> dict[str, np.ndarray]:
    """Vertices [T, V, 3] of each part that is not floor or backdrop, at the moments of the suite."""
    scene = scene_of(name, seed)
    inside = [part for part in scene.parts if part.object not in scene.surroundings]
    return {part.name: np.array([part.vertices(time) for time in times(name)]) for part in inside}


def see(name: str, seed: int, time: float, pose: np.ndarray, width: int, height: int):
    focal, cx, cy = cameras.intrinsics(width, height)
    camera = Camera.from_opengl(torch.from_numpy(pose), focal, focal, cx, cy, width, height, time)
    return scene_of(name, seed).render(camera)


@cache
def areas(name: str, seed: int) -> dict[str, np.ndarray]:
    """Pixels [T] of each object in the training pictures of the moving camera, at 96 x 72."""
    pictures = [see(name, seed, time, cameras.moving(time), 96, 72).objects for time in times(name)]
    ids = scene_of(name, seed).objects
    return {key: np.array([np.count_nonzero(picture == id_) for picture in pictures]) for key, id_ in ids.items()}


def longest_run(flags: np.ndarray) -> tuple[int, int]:
    """First index and length of the longest run of true values."""
    best, start = (0, 0), 0
    for i, flag in enumerate([*flags, False]):
        if not flag:
            best, start = max(best, (start, i - start), key=lambda run: run[1]), i + 1
    return best


def test_there_are_eight_scenes_and_each_says_what_it_stresses():
    assert len(SUITE) >= 8
    assert len({scene.stress for scene in SUITE.values()}) == len(SUITE)
    for scene in SUITE.values():
        assert 96 <= scene.options["width"] <= 192
        assert scene.options["frames"] <= FRAMES


@pytest.mark.parametrize("seed", SEEDS)
def test_fast_things_move_by_their_width_between_two_moments(seed):
    assert SUITE["fast"].options["frames"] == MOMENTS
    moving = things("fast", seed)
    steps = {name: np.linalg.norm(np.diff(v, axis=0), axis=-1).max() for name, v in moving.items()}
    ball = np.linalg.norm(np.diff(moving["ball"].mean(axis=1), axis=0), axis=-1).max()
    assert 0.95 < ball / (2 * RADIUS) < 1.001
    assert steps["box"] > 0.5 * 0.4
    assert steps["bar"] > 0.8 * 0.2
    assert steps["drum"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_occluded_ball_is_gone_for_many_frames_and_comes_back(seed):
    seen = areas("occluded", seed)
    start, length = longest_run(seen["ball"] == 0)
    assert length >= 8
    assert seen["ball"][:start].max() > 60
    assert seen["ball"][start + length :].max() > 60
    x = things("occluded", seed)["ball"].mean(axis=1)[:, 0]
    assert x[0] * x[-1] < 0  # it comes out on the other side
    assert seen["cart"].min() < 0.35 * seen["cart"].max()
    assert seen["screen"].min() > 200


@pytest.mark.parametrize("seed", SEEDS)
def test_articulated_parts_turn_against_each_other_and_stay_joined(seed):
    parts = things("articulated", seed)
    joints = [("trunk", "head"), ("trunk", "left arm"), ("trunk", "right arm")]
    joints += [("foot", "lower rod"), ("lower rod", "upper rod"), ("upper rod", "shade")]
    for a, b in joints:
        gaps = [cKDTree(parts[a][i]).query(parts[b][i])[0].min() for i in range(0, FRAMES, 4)]
        assert max(gaps) < 0.12, (a, b)
    for a, b in joints[:-1]:  # the shade is fixed to its rod
        angles = [turned(parts[a], i) @ turned(parts[b], i).T for i in range(0, FRAMES, 4)]
        spread = max(np.arccos(np.clip((np.trace(m @ angles[0].T) - 1) / 2, -1, 1)) for m in angles)
        assert spread > 0.3, (a, b)


def turned(vertices: np.ndarray, i: int) -> np.ndarray:
    """The rotation that takes the vertices of the first moment to those of moment i (Kabsch)."""
    first, now = (vertices[k] - vertices[k].mean(axis=0) for k in (0, i))
    u, _, v = np.linalg.svd(now.T @ first)
    return u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v


@pytest.mark.parametrize("seed", SEEDS)
def test_touching_things_touch_and_are_of_one_colour(seed):
    names = ["left block", "middle block", "right block", "left ball", "right ball"]
    ids = scene_of("touching", seed).objects
    meet = {pair: [] for pair in (("left block", "middle block"), ("middle block", "right block"), tuple(names[3:]))}
    for time in times("touching")[::3]:
        picture = see("touching", seed, time, cameras.moving(time), 96, 72)
        colors = [picture.rgb[picture.objects == ids[name]].mean(axis=0) for name in names]
        assert np.ptp(colors, axis=0).max() < 60  # of 255: light and pattern, not paint
        floor = picture.rgb[picture.objects == ids["floor"]].mean(axis=0)
        assert min(np.abs(color - floor).max() for color in colors) > 40
        for (a, b), found in meet.items():
            found.append((binary_dilation(picture.objects == ids[a]) & (picture.objects == ids[b])).sum())
    assert min(meet["left block", "middle block"]) > 0
    assert min(meet["middle block", "right block"]) > 0
    balls = np.array(meet["left ball", "right ball"])
    assert (balls > 0).any()
    assert (balls == 0).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_thin_things_are_few_pixels_thick_and_many_long(seed):
    ids = scene_of("thin", seed).objects
    for time in (0.0, 0.4, 0.9):
        picture = see("thin", seed, time, cameras.moving(time), 192, 144)
        for name in ("rack", "hoop", "stick"):
            mask = picture.objects == ids[name]
            depth = np.asarray(distance_transform_edt(mask))[mask]
            rows, columns = np.nonzero(mask)
            assert 2 * np.percentile(depth, 90) <= 7, name
            assert max(np.ptp(rows), np.ptp(columns)) > 35, name
        assert distance_transform_edt(picture.objects == ids["ball"]).max() > 4


@pytest.mark.parametrize("seed", SEEDS)
def test_late_things_are_not_seen_before_they_enter_and_stay_after(seed):
    seen = areas("late", seed)
    for name, enters in (("ball", BALL_ENTERS), ("crate", CRATE_ENTERS)):
        moments = times("late")
        assert (seen[name][moments <= enters] == 0).all(), name
        assert (seen[name][moments > enters + 0.32] > 30).all(), name
    assert seen["vase"].min() > 30
    assert seen["block"].min() > 30


def test_the_bystander_is_at_rest_and_most_things_move(tmp_path):
    capture = load_capture(make_suite(tmp_path, 0, ["bystander"], **SMALL)["bystander"])
    assert all(np.array_equal(frame.c2w, capture.frames[0].c2w) for frame in capture.frames)
    travelled = {name: np.ptp(v, axis=0).max() for name, v in things("bystander", 0).items()}
    assert sorted(name for name, way in travelled.items() if way < 0.1) == ["drum"]


def test_glimpses_are_few_and_far_between():
    assert (
        SUITE["glimpses"].options["frames"]
        <= 16
        < min(scene.options["frames"] for name, scene in SUITE.items() if name != "glimpses")
    )
    places = np.array([cameras.moving(time)[:3, 3] for time in times("glimpses")])
    assert np.median(np.linalg.norm(np.diff(places, axis=0), axis=-1)) > 1.0
    assert all(np.ptp(v.mean(axis=1), axis=0).max() < 0.5 for v in things("glimpses", 0).values())


@pytest.mark.parametrize("name", SUITE)
def test_things_keep_out_of_each_other_and_of_the_floor(name):
    scene, rng = scene_of(name, 5), np.random.default_rng(0)
    inside = [part for part in scene.parts if part.object not in scene.surroundings]
    surfaces = {}
    for part in inside:  # corners alone say little of a box
        corners = part.mesh.vertices[part.mesh.faces[rng.integers(len(part.mesh.faces), size=1000)]]
        surfaces[part.name] = np.einsum("pk,pkc->pc", rng.dirichlet(np.ones(3), len(corners)), corners)
    for time in np.linspace(0, 1, 21):
        places = [(part.object, part.motion(surfaces[part.name], time)) for part in inside]
        for i, (a, points) in enumerate(places):
            assert points[:, 2].min() > -0.01, (a, time)
            assert np.linalg.norm(points[:, :2], axis=-1).max() < 1.7, (a, time)
            for b, others in places[:i]:
                if a != b and name != "touching":
                    assert cKDTree(points).query(others)[0].min() > 0.03, (a, b, time)


@pytest.mark.parametrize("name", SUITE)
def test_seeds_change_the_scene_but_not_its_cast(name):
    first, second = scene_of(name, 0), scene_of(name, 5)
    assert first.objects == second.objects
    assert any(not np.allclose(a.vertices(0.3), b.vertices(0.3)) for a, b in zip(first.parts, second.parts))
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 3))
    assert all(not np.allclose(a.texture(points), b.texture(points)) for a, b in zip(first.parts, second.parts))


SMALL = {"frames": 4, "held_out": 2, "width": 64, "height": 48, "points": 100}


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_suite_is_a_data_set_for_each_scene_the_same_for_the_same_seed(tmp_path):
    made = make_suite(tmp_path / "first", 7, **SMALL)
    assert list(made) == list(SUITE)
    make_suite(tmp_path / "second", 7, **SMALL)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    for name, folder in made.items():
        capture = load_capture(folder)
        assert {frame.split for frame in capture.frames} >= {"train"}
        train = {frame.name for frame in capture.frames if frame.split == "train"}
        assert set(open_masks(folder / "masks", [frame.name for frame in capture.frames]).frames()) <= train
        assert open_scene(folder).objects == scene_of(name, 5).objects
        assert json.loads((folder / "scene.json").read_text())["parameters"]["seed"] == 7
    again = make_suite(tmp_path / "first", 7, ["late"], **SMALL)
    assert again == {"late": made["late"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITE)
def test_every_object_is_benchmarked_by_clicks_on_it(name, tmp_path):
    folder = make_suite(tmp_path, 3, [name])[name]
    scene, capture = open_scene(folder), load_capture(folder)
    benchmark = load_benchmark(folder / "benchmark")
    assert [entry.name for entry in benchmark.objects] == [n for n in scene.objects if n not in scene.surroundings]
    for entry in benchmark.objects:
        assert len(entry.masks) >= 5
        for click in entry.clicks:
            frame = capture.frame(click.frame)
            assert frame.split == "train"
            picture = see(name, 3, frame.time, np.asarray(frame.c2w), frame.width, frame.height)
            x, y = int(click.x * frame.width), int(click.y * frame.height)
            assert (picture.objects[y - 1 : y + 2, x - 1 : x + 2] == scene.objects[entry.name]).all()


def test_fresh_seeds_are_new_and_not_for_development():
    seeds = [fresh_seed() for _ in range(50)]
    assert len(set(seeds)) > 45
    assert not set(seeds) & set(DEVELOPMENT_SEEDS)


def test_a_scene_that_is_not_in_the_suite_is_named(tmp_path):
    with pytest.raises(UserError, match="'slow': choose from fast, "):
        make_suite(tmp_path, 0, ["fast", "slow"])
    assert not list(tmp_path.iterdir())
