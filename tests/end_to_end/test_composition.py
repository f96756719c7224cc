"""An object of one moving scene plays inside another: at the right time and place, and still so in a file."""

import json
import math
import shutil
from dataclasses import replace

import pytest
import torch

from trase_ns import cli
from trase_ns.scene.clock import TimeMap
from trase_ns.scene.similarity import Similarity

pytestmark = pytest.mark.slow

TURN, SIZE = 90.0, 0.6  # degrees about z
CLOCK = TimeMap(speed=-1.0, offset=1.1)  # backwards, later by a tenth of the time
TIMES = (0.0, 0.3, 0.62, 0.9, 1.0)


def trase(*words):
    cli.main([str(word) for word in words])


def clicks(data, name):
    """The clicks on an object of a benchmark, as words of a command."""
    entries = json.loads((data / "benchmark" / "benchmark.json").read_text())["objects"]
    prompts = next(entry for entry in entries if entry["name"] == name)["prompts"]
    return [word for p in prompts for word in ("--click", f"{p['frame']},{p['x']},{p['y']}")]


def psnr(first, second):
    return -10 * math.log10(max(float((first - second).square().mean()), 1e-12))


@pytest.fixture(scope="module")
def other_run(tmp_path_factory, command, tiny_training):
    """config.yml of a short training on another scene: other things, other cameras."""
    from trase_ns.synthetic import make_scene

    folder = tmp_path_factory.mktemp("other")
    data = make_scene(folder / "data", seed=7, frames=24, width=96, height=72, held_out=6, points=600)
    words = ("--data", data, "--output-dir", folder, "--timestamp", "other", *tiny_training)
    command("ns-train", "trase", *words)
    return folder / "data" / "trase" / "other" / "config.yml"


@pytest.fixture(scope="module")
def composed(tiny_run, tiny_scene, other_run, tmp_path_factory):
    """The object as it was taken, the scene that it was put into, the map there, and the file of both."""
    from trase_ns.plugin.opened import open_scene

    folder = tmp_path_factory.mktemp("composed")
    source, target = folder / "source", folder / "target"
    shutil.copytree(tiny_run.parent, source)
    shutil.copytree(other_run.parent, target)
    trase("export", "--load-config", source / "config.yml", "--output-dir", folder, "--moving",
          *clicks(tiny_scene, "robot"))  # fmt: skip
    (path,) = folder.glob("*.safetensors")
    thing = open_scene(path).scene
    whole = open_scene(target).scene

    # Where the views of the other scene look, half way there.
    camera = open_scene(target).cameras[0]
    depth = float((camera.viewmat[:3, :3] @ whole.means.median(0).values + camera.viewmat[:3, 3])[2])
    place = camera.position + 0.5 * depth * camera.viewmat[2, :3]
    turned = Similarity.about(torch.zeros(3), rotation(), torch.zeros(3), SIZE)
    shift = place - turned.points(thing.at(CLOCK(0.5)).means.median(0).values[None])[0]
    edit = ("edit", "--load-config", target / "config.yml", "bring-in", path)
    trase(*edit, "--shift", *shift.tolist(), "--turn", 0, 0, TURN, "--size", SIZE, "--speed", -1, "--delay", 0.1)
    out = folder / "out"
    trase("export", "--load-config", target / "config.yml", "--output-dir", out, "--moving", "--whole")
    (whole_file,) = out.glob("*.safetensors")
    similarity = Similarity.about(torch.zeros(3), rotation(), shift, SIZE)
    return thing, open_scene(target / "config.yml"), similarity, whole_file


def rotation():
    angle = math.radians(TURN)
    return torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]], dtype=torch.float64
    )


def test_it_plays_at_the_right_time_and_place(composed):
    thing, opened, similarity, _ = composed
    scene, count = opened.studio().scene(), len(opened.scene)
    assert len(scene) == count + len(thing)
    for time in TIMES:
        means = scene.at(time).means
        torch.testing.assert_close(means[:count], opened.scene.at(time).means)
        torch.testing.assert_close(means[count:], similarity.points(thing.at(CLOCK(time)).means), atol=1e-4, rtol=1e-4)
    first, last = (thing.at(CLOCK(time)).means for time in (0.0, 1.0))
    assert float((first - last).norm(dim=1).max()) > 0.01  # it moves: another moment would be noticed


def test_it_looks_as_it_did_where_it_came_from(composed):
    from trase_ns.render import render_view

    thing, opened, similarity, _ = composed
    scene = opened.studio().scene()
    alone = scene.subset(torch.arange(len(scene)) >= len(opened.scene))
    for time, camera in zip(TIMES, opened.cameras):
        view = torch.eye(4)
        view[:3, :3] = camera.viewmat[:3, :3] @ similarity.rotation.float()
        view[:3, 3] = camera.viewmat[:3, :3] @ similarity.translation.float() + camera.viewmat[:3, 3] / SIZE
        there = render_view(alone.at(time), camera, near_plane=0.01 * SIZE).color
        here = render_view(thing.at(CLOCK(time)), replace(camera, viewmat=view), near_plane=0.01).color
        assert float(here.max()) > 0.1  # it is in the picture
        assert psnr(there, here) > 45


def test_exported_and_opened_again_there_is_no_difference(composed):
    from trase_ns.plugin.opened import open_scene
    from trase_ns.render import render_view

    thing, opened, _, path = composed
    before, after = opened.studio().scene(), open_scene(path).scene
    assert len(after) == len(before)
    count = len(opened.scene)
    for time in TIMES:
        for camera in opened.cameras[::8]:
            expected = render_view(before.at(time), camera).color
            assert psnr(render_view(after.at(time), camera).color, expected) > 45
            without = render_view(before.subset(torch.arange(len(before)) < count).at(time), camera).color
            assert psnr(without, expected) < 45  # the thing is seen
