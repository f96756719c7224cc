"""Evaluate, segment, export and extract on a trained run, with the words that a person types."""

import json
import shutil

import numpy as np
import pytest

from trase_ns import cli
from trase_ns.scene.ply import read_ply

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmark(tiny_scene):
    return tiny_scene / "benchmark"


@pytest.fixture(scope="module")
def prompt(benchmark):
    """A click on an object, as FRAME,X,Y."""
    entry = json.loads((benchmark / "benchmark.json").read_text())["objects"][-1]["prompts"][0]
    return f"{entry['frame']},{entry['x']},{entry['y']}"


def trase(*words):
    """Run a command in this process: importing Nerfstudio anew for each would take most of the time."""
    cli.main([str(word) for word in words])


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    """config.yml of a copy of the run, to leave files beside."""
    shutil.copytree(tiny_run.parent, tmp_path / "copy")
    return tmp_path / "copy" / "config.yml"


def test_evaluate_writes_scores_pictures_and_a_report(tiny_run, benchmark, capsys, tmp_path):
    trase("evaluate", "--load-config", tiny_run, "--benchmark", benchmark, "--output", tmp_path)
    said = capsys.readouterr().err
    results = json.loads((tmp_path / "results.json").read_text())
    names = [o["name"] for o in json.loads((benchmark / "benchmark.json").read_text())["objects"]]
    assert [o["name"] for o in results["objects"]] == names
    for entry in results["objects"]:
        assert {f["frame"] for f in entry["frames"]} == {p.stem for p in (benchmark / entry["name"]).glob("*.png")}
        assert all((tmp_path / f["picture"]).is_file() for f in entry["frames"])
        assert entry["iou"] == pytest.approx(np.mean([f["iou"] for f in entry["frames"]]))
        assert entry["name"] in said
    assert results["miou"] == pytest.approx(np.mean([o["iou"] for o in results["objects"]]))
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg") > 10
    assert "data:image/svg" in page


def test_export_takes_the_saved_selection_and_the_whole_scene_without(run_copy, prompt, tmp_path):
    out = tmp_path / "ply"
    trase("export", "--load-config", run_copy, "--output-dir", out / "all", "--time", 0.5)
    whole = read_ply(out / "all" / "time0.500.ply")
    trase("segment", "--load-config", run_copy, "--click", prompt)
    trase("export", "--load-config", run_copy, "--output-dir", out / "saved", "--time", 0.5)
    trase("export", "--load-config", run_copy, "--output-dir", out / "click", "--click", prompt)
    saved = read_ply(out / "saved" / "time0.500.ply")
    assert 0 < len(saved) < len(whole)
    assert len(read_ply(out / "click" / "time0.000.ply")) == len(saved)
    trase("export", "--load-config", run_copy, "--output-dir", out / "whole", "--whole", "--world", "data")
    assert len(read_ply(out / "whole" / "time0.000.ply")) == len(whole)


def test_export_writes_a_sequence(tiny_run, tmp_path):
    words = ["--sequence", "--fps", "2", "--duration", "1.5", "--object", "0"]
    trase("export", "--load-config", tiny_run, "--output-dir", tmp_path, *words)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["frame0001.ply", "frame0002.ply", "frame0003.ply"]


def test_an_extracted_run_is_one_for_stock_tools(tiny_run, prompt, command, tmp_path):
    trase("extract", "--load-config", tiny_run, "--output-dir", tmp_path / "runs", "--click", prompt)
    (config,) = (tmp_path / "runs").rglob("config.yml")
    command("ns-export", "gaussian-splat", "--load-config", config, "--output-dir", tmp_path / "splat")
    trase("export", "--load-config", tiny_run, "--output-dir", tmp_path / "ply", "--click", prompt)
    stock = read_ply(next((tmp_path / "splat").glob("*.ply")))
    assert len(stock) == len(read_ply(tmp_path / "ply" / "time0.000.ply"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--object", "9999"], "there is no object '9999'"),
        (["--click", "image1"], "write FRAME,X,Y"),
        (["--click", "train_0003,2,0.5"], "outside the picture"),
        (["--click", "nowhere,0.5,0.5"], "nowhere"),
        (["--click", "train_0003,0.5,0.5", "--object", "0"], "exclude each other"),
        (["--selection", "missing.npz"], "missing.npz does not exist"),
        (["--exclude", "train_0003,0.5,0.5"], "no positive click"),
    ],
)
def test_a_selection_that_cannot_be_is_one_message(tiny_run, capsys, tmp_path, words, says):
    with pytest.raises(SystemExit) as end:
        trase("export", "--load-config", tiny_run, "--output-dir", tmp_path, *words)
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert "error: " in said
    assert "Traceback" not in said
    assert says in said
    assert not list(tmp_path.iterdir())


def test_extract_wants_a_selection(tiny_run, capsys, tmp_path):
    with pytest.raises(SystemExit):
        trase("extract", "--load-config", tiny_run, "--output-dir", tmp_path)
    assert "nothing is selected" in capsys.readouterr().err
