"""`trase render`: what may be asked for, and on a trained run what comes out."""

import json
import math
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns import cli
from trase_ns.scene import quaternions
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.ply import write_ply


def render(*words):
    cli.main(["render", *(str(word) for word in words)])


@pytest.fixture
def ball(tmp_path):
    """A grey ball in a PLY file."""
    generator = torch.Generator().manual_seed(0)
    means = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=1)
    scene = DynamicGaussians(
        means,
        quaternions.random(400, generator),
        torch.full((400, 3), -2.0),
        torch.full((400,), 4.0),
        torch.zeros(400, 3),
        torch.zeros(400, 0, 3),
        torch.zeros(400, 0),
    )
    write_ply(tmp_path / "in" / "ball.ply", scene.at(0))
    return tmp_path / "in" / "ball.ply"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_a_ply_is_rendered_from_around_it(ball, out, capsys):
    render("--load-config", ball, "--output", out, "--path", "orbit", "--fps", 4, "--width", 64)
    assert sorted(os.listdir(out)) == [f"frame{i:04d}.png" for i in range(1, 9)]  # two seconds
    assert "8 pictures of 64 x 48 pixels" in capsys.readouterr().err.replace("\n", " ")
    for file in out.iterdir():
        picture = np.asarray(Image.open(file)).astype(int)
        assert picture.shape == (48, 64, 3)
        assert 80 < picture[24, 32].mean() < 160
        assert picture[0, 0].max() == 0


def test_a_film_with_the_size_and_length_that_was_asked_for(ball, out):
    import imageio

    words = ["--duration", 0.5, "--fps", 10, "--width", 50, "--height", 40, "--background", "white"]
    render("--load-config", ball, "--output", out / "film.mp4", *words)
    reader = imageio.get_reader(out / "film.mp4")
    assert reader.get_meta_data()["fps"] == 10
    assert reader.count_frames() == 5
    picture = reader.get_data(2)
    assert picture.shape == (40, 50, 3)
    assert picture[1, 1].min() > 245
    assert picture[20, 25].max() < 170


def test_a_saved_path_decides_views_size_and_speed(ball, out, tmp_path):
    import imageio

    def entry(distance):
        pose = np.eye(4)
        pose[2, 3] = distance
        return {"camera_to_world": pose.flatten().tolist(), "fov": 40, "aspect": 1, "render_time": 0}

    path = tmp_path / "path.json"
    content = {"render_width": 32, "render_height": 32, "fps": 3, "camera_path": [entry(4), entry(4), entry(400)]}
    path.write_text(json.dumps(content))
    render("--load-config", ball, "--output", out / "film.mp4", "--path", path)
    reader = imageio.get_reader(out / "film.mp4")
    assert (reader.get_meta_data()["fps"], reader.count_frames()) == (3, 3)
    near, _, far = reader
    assert near.mean() > 30
    assert far.mean() < 5


def test_transparent_pictures(ball, out):
    render("--load-config", ball, "--output", out, "--duration", 0.05, "--width", 32, "--background", "transparent")
    (file,) = out.iterdir()
    picture = np.asarray(Image.open(file))
    assert picture.shape == (24, 32, 4)
    assert picture[0, 0, 3] == 0
    assert picture[12, 16, 3] > 200


def test_nothing_is_replaced_unless_asked(ball, out, capsys):
    words = ["--load-config", ball, "--duration", 0.05, "--width", 16]
    render(*words, "--output", out)
    render(*words, "--output", out / "film.mp4")
    before = (out / "film.mp4").read_bytes()
    for output in (out, out / "film.mp4"):
        with pytest.raises(SystemExit):
            render(*words, "--output", output)
        assert "--overwrite" in capsys.readouterr().err
    assert (out / "film.mp4").read_bytes() == before
    render(*words, "--output", out, "--overwrite", "--background", "white")
    assert np.asarray(Image.open(out / "frame0001.png"))[0, 0].min() == 255
    assert (out / "film.mp4").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--output", "a.png"], "name a .mp4 file"),
        (["--output", "a.json"], "JSON is for masks"),
        (["--time", "1.5"], "0 (start) to 1"),
        (["--time", "nan"], "0 (start) to 1"),
        (["--fps", "0"], "positive"),
        (["--duration", "inf"], "positive"),
        (["--scale", "-1"], "positive"),
        (["--scale", "1000"], "too many"),
        (["--width", "0"], "from 1 to"),
        (["--height", "99999"], "from 1 to"),
        (["--width", "10", "--scale", "2"], "--scale excludes"),
        (["--background", "pink"], "black, white, transparent"),
        (["--background", "0.5,2,0"], "black, white, transparent"),
        (["--output", "a.mp4", "--background", "transparent"], "for PNG"),
        (["--show", "overlay", "--object", "0", "--background", "transparent"], "for PNG"),
        (["--path", "nowhere.json"], "nowhere.json"),
        (["--path", "image1"], "smooth, data, orbit"),
        (["--path", "data", "--duration", "2"], "--duration"),
        (["--show", "mask"], "nothing is selected"),
        (["--show", "overlay", "--whole"], "nothing is selected"),
        (["--show", "depth", "--object", "0"], "leave out what selects"),
        (["--object", "0"], "no objects yet"),
        (["--show", "labels"], "no objects to show"),
        (["--click", "image1,0.5,0.5"], "without its data set"),
        (["--object", "0", "--click", "image1,0.5,0.5"], "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_one_message(ball, tmp_path, capsys, monkeypatch, words, says):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    output = [] if "--output" in words else ["--output", "folder"]
    with pytest.raises(SystemExit) as end:
        render("--load-config", ball, *output, *words)
    assert end.value.code == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("error: ") == 1
    assert says in said
    assert os.listdir(tmp_path / "cwd") == []


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    """config.yml of a copy of the run, to leave files beside."""
    shutil.copytree(tiny_run.parent, tmp_path / "copy")
    return tmp_path / "copy" / "config.yml"


@pytest.mark.slow
def test_a_run_needs_no_options(tiny_run, out):
    import imageio

    render("--load-config", tiny_run, "--output", out / "film.mp4")
    reader = imageio.get_reader(out / "film.mp4")
    assert reader.count_frames() == 48
    assert reader.get_meta_data()["size"] == (96, 72)
    assert reader.get_data(0).mean() > 20


@pytest.mark.slow
def test_the_frames_of_the_data_set_are_rendered_as_the_run_sees_them(tiny_run, out):
    from trase_ns.plugin.run import load_run
    from trase_ns.render import render_view

    render("--load-config", tiny_run, "--output", out, "--path", "data")
    run = load_run(tiny_run)
    assert sorted(os.listdir(out)) == sorted(f"{frame.name}.png" for frame in run.frames)
    frame = run.frames[7]
    with torch.no_grad():
        expected = render_view(run.scene.at(frame.time), frame.camera, background=run.background).color.clamp(0, 1)
    picture = np.asarray(Image.open(out / f"{frame.name}.png"))
    assert np.abs(picture - 255 * expected.cpu().numpy()).max() <= 0.51


@pytest.mark.slow
def test_selections_masks_and_objects_of_a_run(run_copy, tiny_scene, out):
    from pycocotools.coco import COCO

    from trase_ns.plugin.opened import open_scene
    from trase_ns.plugin.run import load_run
    from trase_ns.segmentation.clicks import render_selection

    entry = json.loads((tiny_scene / "benchmark" / "benchmark.json").read_text())["objects"][-1]["prompts"][0]
    click = f"{entry['frame']},{entry['x']},{entry['y']}"
    still = ["--load-config", run_copy, "--path", entry["frame"], "--time", 0.5]
    render(*still, "--output", out / "overlay", "--click", click)
    assert os.listdir(out / "overlay") == ["frame0001.png"]
    cli.main(["segment", "--load-config", str(run_copy), "--click", click])
    render(*still, "--output", out / "saved", "--show", "overlay")
    assert (out / "saved" / "frame0001.png").read_bytes() == (out / "overlay" / "frame0001.png").read_bytes()

    run = load_run(run_copy)
    selection = open_scene(run_copy).studio().selection()
    render("--load-config", run_copy, "--path", "data", "--show", "mask", "--output", out / "masks")
    render("--load-config", run_copy, "--path", "data", "--show", "mask", "--output", out / "masks.json")
    data = COCO(str(out / "masks.json"))
    images = {image["file_name"]: image["id"] for image in data.dataset["images"]}
    seen = 0
    for frame in run.frames[::6]:
        expected = (render_selection(run.scene, selection, frame.camera) >= 0.5).cpu().numpy()
        mask = np.asarray(Image.open(out / "masks" / f"{frame.name}.png"))
        np.testing.assert_array_equal(mask, 255 * expected.astype(np.uint8))
        found = data.loadAnns(data.getAnnIds(imgIds=[images[f"{frame.name}.png"]]))
        assert sum(data.annToMask(annotation).sum() for annotation in found) == expected.sum()
        seen += expected.sum()
    assert seen > 0

    render(*still, "--show", "labels", "--output", out / "labels")
    objects = json.loads((out / "labels" / "objects.json").read_text())["objects"]
    assert len(objects) == len(run.segmentation)
    labels = np.asarray(Image.open(out / "labels" / "labels" / "frame0001.png"))
    assert len(np.unique(labels)) > 3
    render(*still, "--show", "labels", "--output", out / "objects.json")
    assert len(COCO(str(out / "objects.json")).dataset["annotations"]) > 2
    for show in ("selection", "segments", "depth"):
        render(*still, "--show", show, "--output", out / show, "--scale", 0.5)
        assert Image.open(out / show / "frame0001.png").size == (48, 36)
    assert math.isclose(np.asarray(Image.open(out / "selection" / "frame0001.png"))[0, 0].max(), 0, abs_tol=2)


@pytest.mark.slow
def test_a_frame_that_is_not_there_is_one_message(tiny_run, out, capsys):
    with pytest.raises(SystemExit):
        render("--load-config", tiny_run, "--output", out, "--path", "nowhere")
    said = " ".join(capsys.readouterr().err.split())
    assert "nowhere" in said
    assert "smooth, data, orbit" in said
    assert not out.exists()
