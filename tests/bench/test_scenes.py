"""Scenes of a benchmark: data sets, the Mask-Benchmark, the suite; and what is wrong with them, before any work."""

import json

import numpy as np
import pytest
from PIL import Image

from trase_ns.bench.scenes import scenes_at, suite_scenes
from trase_ns.errors import UserError
from trase_ns.synthetic.suite import SUITE, suite_scene_of


def test_data_sets_with_a_benchmark_in_their_folder(tmp_path, data_set):
    found = scenes_at([data_set(tmp_path / "a"), data_set(tmp_path / "b")], preset="motion")
    assert [(scene.name, scene.data, scene.preset, scene.config) for scene in found] == [
        ("a", tmp_path / "a", "motion", None),
        ("b", tmp_path / "b", "motion", None),
    ]
    assert found[0].benchmark == tmp_path / "a" / "benchmark"


def test_a_benchmark_elsewhere(tmp_path, data_set, truth):
    data = [data_set(tmp_path / name, benchmark=False) for name in ("a", "b")]
    for name in ("a", "b"):
        truth(tmp_path / "truth" / name)
    found = scenes_at(data, benchmark=str(tmp_path / "truth" / "{scene}"))
    assert [scene.benchmark.name for scene in found] == ["a", "b"]
    with pytest.raises(UserError, match="write {scene} for its name"):
        scenes_at(data, benchmark=str(tmp_path / "truth" / "a"))


def test_a_scene_of_the_mask_benchmark(tmp_path, data_set):
    data = data_set(tmp_path / "steak", benchmark=False)
    (data / "gt_masks").mkdir()
    Image.fromarray(np.eye(4, dtype=bool)).save(data / "gt_masks" / "00000.png")
    assert scenes_at([data])[0].benchmark == data


def test_a_scene_of_the_suite_knows_its_schedule_and_its_stress(tmp_path, data_set):
    for name in ("fast", "late"):
        data = data_set(tmp_path / name)
        parameters = {"scene": name, "cameras": SUITE[name].options.get("cameras", "moving")}
        (data / "scene.json").write_text(json.dumps({"parameters": parameters}))
    fast, late = scenes_at([tmp_path / "fast", tmp_path / "late"])
    assert (fast.preset, fast.about) == (SUITE["fast"].preset, "fast motion")
    assert (late.preset, late.about) == (SUITE["late"].preset, "objects that enter late")
    assert scenes_at([tmp_path / "late"], preset="cpu")[0].preset == "cpu"


@pytest.mark.parametrize(
    "text", [None, "{", "[]", "{}", '{"parameters": {"scene": []}}', '{"parameters": {"scene": "late", "cameras": 3}}']
)
def test_other_data_sets_are_no_scenes_of_the_suite(tmp_path, text):
    if text is not None:
        (tmp_path / "scene.json").write_text(text)
    assert suite_scene_of(tmp_path) is None


def test_what_is_wrong_is_said_at_once(tmp_path, data_set):
    with pytest.raises(UserError, match="at least one folder"):
        scenes_at([])
    with pytest.raises(UserError, match="there is no folder .*nowhere"):
        scenes_at([tmp_path / "nowhere"])
    bare = data_set(tmp_path / "bare", benchmark=False)
    with pytest.raises(UserError, match="scene bare has no benchmark: neither benchmark.json nor gt_masks is in"):
        scenes_at([bare])
    damaged = data_set(tmp_path / "damaged")
    (damaged / "benchmark" / "benchmark.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        scenes_at([damaged])
    with pytest.raises(UserError, match="two scenes are called a"):
        scenes_at([data_set(tmp_path / "x" / "a"), data_set(tmp_path / "y" / "a")])
    with pytest.raises(UserError, match="--suite: name at least one of fast, "):
        suite_scenes(tmp_path / "suite", 0, [])
    with pytest.raises(UserError, match="no scene of the suite is called 'slow'"):
        suite_scenes(tmp_path / "suite", 0, ["slow"])
