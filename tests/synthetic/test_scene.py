"""The ray-caster agrees with geometry worked out independently of it."""

import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import minimum_filter

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.synthetic import cameras
from trase_ns.synthetic.motion import rigid, still, translation
from trase_ns.synthetic.scene import Part, Scene
from trase_ns.synthetic.shapes import ball, box
from trase_ns.synthetic.tabletop import tabletop

WIDTH, HEIGHT = 96, 72


def view(azimuth=0.0, elevation=30.0, time=0.0, width=WIDTH, height=HEIGHT) -> Camera:
    focal, cx, cy = cameras.intrinsics(width, height)
    pose = torch.from_numpy(cameras.look(azimuth, elevation))
    return Camera.from_opengl(pose, focal, focal, cx, cy, width, height, time)


def project(c2w: np.ndarray, points: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and depths of world points, straight from the OpenGL pose (x right, y up, z back)."""
    local = (points - c2w[:3, 3]) @ c2w[:3, :3]
    focal, cx, cy = cameras.intrinsics(width, height)
    return np.stack([cx - focal * local[:, 0] / local[:, 2], cy + focal * local[:, 1] / local[:, 2]], -1), -local[:, 2]


def plain(color):
    return lambda points: np.tile(np.asarray(color, dtype=float), (len(points), 1))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return tabletop(0)


def surface_points(part: Part, time: float, eye: np.ndarray) -> np.ndarray:
    """Random points on those faces of a part that are turned towards the eye."""
    rng = np.random.default_rng(0)
    corners = part.vertices(time)[part.mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    towards = np.einsum("fc,fc->f", normals, eye - corners.mean(axis=1)).clip(0)
    faces = rng.choice(len(corners), 500, p=towards / towards.sum())
    return np.einsum("pk,pkc->pc", rng.dirichlet(np.ones(3), 500), corners[faces])


@pytest.mark.parametrize(("azimuth", "time"), [(-40.0, 0.0), (0.0, 0.4), (35.0, 1.0)])
def test_points_of_each_part_land_on_it_at_their_depth(scene, azimuth, time):
    picture = scene.render(view(azimuth, width=192, height=144), time)
    c2w = cameras.look(azimuth, 30.0)
    for part_id, part in enumerate(scene.parts, 1):
        if part.object in scene.surroundings:
            continue
        pixels, depth = project(c2w, surface_points(part, time, c2w[:3, 3]), 192, 144)
        x, y = np.floor(pixels).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < 192) & (y < 144)
        x, y, depth = x[inside], y[inside], depth[inside]
        nearest = minimum_filter(picture.depth, 3)[y, x]  # of the pixel and those beside it: a border may run through
        assert (depth < nearest - 0.03).mean() < 0.01  # nothing lies in front of what is seen
        seen = np.abs(depth - picture.depth[y, x]) < 0.03
        assert seen.sum() > 10
        # At a joint another part of the robot is as near.
        assert np.bincount(picture.parts[y, x][seen]).argmax() == part_id
        assert (picture.objects[y, x][seen] == scene.objects[part.object]).mean() > 0.9


def test_ball_has_the_size_and_place_that_projection_says():
    scene = Scene([Part("ball", "ball", ball(0.5, 64, 96), plain((1, 0, 0)), still(translation(*cameras.TARGET)))])
    picture = scene.render(view())
    y, x = np.nonzero(picture.objects == 1)
    focal = cameras.intrinsics(WIDTH, HEIGHT)[0]
    radius = focal * np.tan(np.arcsin(0.5 / cameras.RADIUS))
    assert len(x) == pytest.approx(np.pi * radius**2, rel=0.02)
    assert (x + 0.5).mean() == pytest.approx(WIDTH / 2, abs=0.1)
    assert (y + 0.5).mean() == pytest.approx(HEIGHT / 2, abs=0.1)
    assert picture.depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(cameras.RADIUS - 0.5, abs=0.01)
    assert np.isinf(picture.depth[0, 0])
    assert picture.parts[0, 0] == picture.objects[0, 0] == 0


def test_borders_are_anti_aliased_and_ids_are_not():
    scene = Scene([Part("b", "b", box((1, 1, 1)), plain((1, 0, 0)), still(translation(*cameras.TARGET)))])
    picture = scene.render(view(20.0))
    assert set(np.unique(picture.parts)) == {0, 1}
    sky = picture.rgb[0, 0]
    between = (picture.rgb[..., 1] > 20) & (picture.rgb[..., 1] < sky[1] - 20)
    assert 20 < between.sum() < 400


def test_time_of_the_camera_is_the_default():
    pose = lambda t: translation(*(cameras.TARGET + [t, 0, 0]))  # noqa: E731
    scene = Scene([Part("b", "b", ball(0.3), plain((1, 1, 1)), rigid(pose))])
    late = scene.render(view(time=1.0))
    assert np.array_equal(late.parts, scene.render(view(time=0.0), 1.0).parts)
    assert not np.array_equal(late.parts, scene.render(view(time=0.0)).parts)
    assert np.nonzero(late.parts)[1].mean() > WIDTH / 2  # +x is to the right of a camera that looks along +y


def test_part_ids_lie_inside_object_ids(scene):
    picture = scene.render(view(10.0), 0.3)
    assert (picture.parts > 0).all()  # floor and backdrop fill the view
    for part, owner in scene.parents.items():
        assert (picture.objects[picture.parts == part] == owner).all()
    assert {p for p, owner in scene.parents.items() if owner == scene.objects["robot"]} == {3, 4, 5, 6}


def test_ball_occludes_the_crate_for_a_while(scene):
    without = Scene([part for part in scene.parts if part.name != "ball"], scene.surroundings)
    hidden = []
    for time in (0.0, 0.5, 1.0):
        full = (without.render(view(), time).objects == without.objects["crate"]).sum()
        hidden.append(1 - (scene.render(view(), time).objects == scene.objects["crate"]).sum() / full)
    assert hidden[0] == hidden[2] == 0
    assert hidden[1] > 0.2
    x = {n: [p.vertices(t)[:, 0].mean() for t in (0.0, 1.0)] for p in scene.parts for n in [p.name]}
    assert x["ball"][0] < x["crate"][0]
    assert x["ball"][1] > x["crate"][1]


def test_jelly_deforms_and_the_robot_bends_and_the_vase_rests(scene):
    parts = {part.name: part for part in scene.parts}

    def shape(name, time):
        vertices = parts[name].vertices(time)[::17]
        return np.linalg.norm(vertices[:, None] - vertices[None], axis=-1)

    assert np.abs(shape("jelly", 0.2) - shape("jelly", 0.6)).max() > 0.15
    assert np.abs(shape("robot hand", 0.2) - shape("robot hand", 0.6)).max() < 1e-9
    centre = lambda n, t: parts[n].vertices(t).mean(axis=0)  # noqa: E731
    reach = [np.linalg.norm(centre("robot hand", t) - centre("robot base", t)) for t in (0.0, 0.3, 0.6)]
    assert np.ptp(reach) > 0.1
    assert np.array_equal(parts["vase"].vertices(0.0), parts["vase"].vertices(1.0))


def test_texture_moves_with_the_object(scene):
    """The same surface point keeps its colour while it moves; another point has another colour."""
    parts = {part.name: part for part in scene.parts}
    names = [part.name for part in scene.parts]
    part = parts["ball"]
    colors = {}
    for time in (0.1, 0.25):
        picture = scene.render(view(0.0, width=384, height=288), time)
        pixels, depth = project(cameras.look(0.0, 30.0), part.vertices(time), 384, 288)
        x, y = np.floor(pixels).astype(int).T
        seen = (picture.parts[y, x] == names.index("ball") + 1) & (np.abs(picture.depth[y, x] - depth) < 0.01)
        colors[time] = {int(v): picture.rgb[y[v], x[v]].astype(float) for v in np.flatnonzero(seen)}
    both = sorted(colors[0.1].keys() & colors[0.25].keys())
    assert len(both) > 100
    first, second = (np.array([colors[t][v] for v in both]) for t in (0.1, 0.25))
    assert np.median(np.abs(first - second)) < 8
    assert np.median(np.abs(first - np.roll(second, len(both) // 2, axis=0))) > 16


def test_missing_library_is_one_clear_message(scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(UserError, match=r"pip install 'trase_ns\[synthetic\]'"):
        scene.render(view())
