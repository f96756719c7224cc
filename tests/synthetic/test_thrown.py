"""The fast scene is as fast as it says, stays in view of every camera, and nothing runs into anything."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from trase_ns.synthetic import cameras
from trase_ns.synthetic.room import WALL
from trase_ns.synthetic.thrown import MOMENTS, THICKNESS, thrown

TIMES = np.linspace(0, 1, MOMENTS)


@pytest.fixture(scope="module", params=[0, 5])
def things(request) -> dict[str, np.ndarray]:
    """Vertices [MOMENTS, V, 3] of all that stands or flies in the room."""
    scene = thrown(request.param)
    inside = [part for part in scene.parts if part.object not in scene.surroundings]
    return {part.name: np.array([part.vertices(time) for time in TIMES]) for part in inside}


def steps(points: np.ndarray) -> float:
    """Greatest distance between neighbouring moments of a path [MOMENTS, 3]."""
    return np.linalg.norm(np.diff(points, axis=0), axis=-1).max()


def test_the_end_of_the_bar_moves_three_widths_and_is_the_fastest(things):
    bar = things["bar"]
    hanging = bar[MOMENTS // 2]  # nearly: all corners of the free end lie below the middle
    end = bar[:, hanging[:, 2] < np.median(hanging[:, 2])].mean(axis=1)
    widths = {
        "bar": steps(end) / THICKNESS,
        "ball": steps(things["ball"].mean(axis=1)) / np.ptp(things["ball"][0, :, 2]),
        "apple": steps(things["apple"].mean(axis=1)) / np.ptp(things["apple"][0, :, 2]),
        "box": steps(things["box"].mean(axis=1)) / 0.24,
        "vase": steps(things["vase"].mean(axis=1)),
    }
    assert widths["bar"] == pytest.approx(3.0, abs=0.02)
    assert max(widths, key=widths.__getitem__) == "bar"
    assert widths["apple"] > 2
    assert widths["ball"] > 0.9
    assert widths["vase"] == 0


def test_ball_and_apple_cross_and_the_box_tumbles(things):
    ball, apple = (things[name].mean(axis=1)[:, 0] for name in ("ball", "apple"))
    assert (np.diff(ball) > 0).all()
    assert (np.diff(apple) < 0).all()
    assert ball[0] < apple[0] - 2
    assert ball[-1] > apple[-1] + 1.8
    edges = things["box"] - things["box"].mean(axis=1, keepdims=True)
    for axis in np.eye(3):  # some corner turns far from its first direction, seen along any axis
        plane = edges @ np.delete(np.eye(3), axis.argmax(), axis=1)
        assert (np.einsum("tvc,vc->tv", plane, plane[0]).min(axis=0) < 0).any()
    height = things["box"].mean(axis=1)[:, 2]
    assert height.max() > height[[0, -1]].max() + 0.5


def test_nothing_meets_the_room(things):
    for name, vertices in things.items():
        assert vertices[..., 2].min() > -1e-9, name
        assert np.linalg.norm(vertices[..., :2], axis=-1).max() < 1.6 < WALL, name


@pytest.mark.parametrize("seed", [0, 5])
def test_no_thing_meets_another_at_any_time(seed):
    scene, rng = thrown(seed), np.random.default_rng(0)
    inside = [part for part in scene.parts if part.object not in scene.surroundings]
    surfaces = {}
    for part in inside:  # corners alone say little of a box
        mesh = part.mesh
        corners = mesh.vertices[mesh.faces[rng.integers(len(mesh.faces), size=1500)]]
        surfaces[part.name] = np.einsum("pk,pkc->pc", rng.dirichlet(np.ones(3), len(corners)), corners)
    for time in np.linspace(0, 1, 2 * MOMENTS - 1):
        places = [(part.name, part.motion(surfaces[part.name], time)) for part in inside]
        for i, (a, points) in enumerate(places):
            for b, others in places[:i]:
                assert cKDTree(points).query(others)[0].min() > 0.03, (a, b, time)


@pytest.mark.parametrize("pose", [cameras.rig, cameras.between])
def test_all_is_in_view_at_all_moments_and_large_enough(things, pose):
    focal, cx, cy = cameras.intrinsics(256, 192)
    for c2w in (pose(i, 16) for i in range(16)):
        for name, vertices in things.items():
            local = (vertices - c2w[:3, 3]) @ c2w[:3, :3]
            x, y = cx - focal * local[..., 0] / local[..., 2], cy + focal * local[..., 1] / local[..., 2]
            assert min(x.min(), y.min()) > 1, name
            assert x.max() < 255, name
            assert y.max() < 191, name
            assert (np.ptp(x, axis=1) >= 9).all(), name
            assert (np.ptp(y, axis=1) >= 9).all(), name
            if name == "bar":
                assert (THICKNESS * focal / -local[..., 2]).min() >= 9


def test_seed_changes_textures_and_motions_not_the_cast():
    first, second = thrown(0), thrown(1)
    assert first.objects == second.objects
    ball = [next(part for part in scene.parts if part.name == "ball") for scene in (first, second)]
    assert not np.allclose(ball[0].vertices(0.25), ball[1].vertices(0.25))
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (50, 3))
    assert not np.allclose(ball[0].texture(points), ball[1].texture(points))
