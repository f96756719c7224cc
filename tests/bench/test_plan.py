"""The jobs of a benchmark: what decides their results and what does not; and what is made of their outcomes."""

from dataclasses import replace

import pytest

from trase_ns.bench.jobs import Outcome
from trase_ns.bench.plan import Plan, failures, known_outcomes, results_of, run_scene
from trase_ns.bench.scenes import BenchScene, scenes_at


@pytest.fixture
def plan(tmp_path, data_set):
    scenes = scenes_at([data_set(tmp_path / "data" / "a")], preset="motion")
    return Plan(tmp_path / "out", tuple(scenes), ("trase", "trase-dgd"))


def keys(plan):
    return {job.name: job.key for job in plan.jobs(plan.scenes[0])}


def changed(plan, **values):
    before, after = keys(plan), keys(replace(plan, **values))
    return {name for name in after if before.get(name) != after[name]}


def test_the_geometry_comes_first_and_is_trained_once_for_all_methods(plan):
    jobs = plan.jobs(plan.scenes[0])
    assert [job.name for job in jobs] == ["geometry", "pictures", "maps", "trase", "trase-dgd"]
    assert len({job.path for job in jobs}) == len({job.key for job in jobs}) == 5
    config = {job.options["config"] for job in jobs[1:]}
    assert config == {str(plan.config(plan.scenes[0]))}


def test_what_decides_a_result(plan):
    everything = set(keys(plan))
    methods = {"trase", "trase-dgd"}
    assert changed(plan) == set()
    assert changed(plan, output=plan.output / "elsewhere", threads=7) == set()
    assert changed(plan, methods=("trase", "trase-cgc")) == {"trase-cgc"}
    assert changed(plan, seed=1) == changed(plan, training=("--x",)) == changed(plan, trainer="other") == everything
    assert changed(plan, steps=5) == changed(plan, keep=True) == methods
    other = replace(plan.scenes[0], preset="rig")
    assert changed(plan, scenes=(other,)) == everything


def test_a_run_of_other_data_or_options_is_another_one(plan, data_set, tmp_path, monkeypatch):
    same = data_set(tmp_path / "moved" / "a")
    other = data_set(tmp_path / "other" / "a")
    (other / "transforms.json").write_text('{"frames": []}')

    def run(**values):
        changed = replace(plan, **values)
        return changed.config(changed.scenes[0]).parent.name

    scene = plan.scenes[0]
    assert run(scenes=(replace(scene, data=same),)) == run() == run(steps=5, threads=3)
    names = [run(), run(scenes=(replace(scene, data=other),)), run(seed=1), run(training=("--x",))]
    names += [run(scenes=(replace(scene, preset="rig"),)), run(scenes=(replace(scene, preset=None),))]
    monkeypatch.setenv("TRASE_PRESET", "cpu")
    names.append(run(scenes=(replace(scene, preset=None),)))
    assert len(set(names)) == len(names)
    assert run() == names[0]  # its own schedule goes before that of the environment


def test_other_ground_truth_is_scored_anew_on_the_same_geometry(plan, tmp_path, truth):
    truth(tmp_path / "truth")
    (tmp_path / "truth" / "box" / "0002.png").write_bytes(b"")
    other = replace(plan.scenes[0], benchmark=tmp_path / "truth")
    assert changed(plan, scenes=(other,)) == {"trase", "trase-dgd"}


def test_other_maps_are_only_of_the_method_that_needs_them(plan, tmp_path):
    (tmp_path / "maps" / "a").mkdir(parents=True)
    (tmp_path / "maps" / "a" / "0001.npy").write_bytes(b"")
    assert changed(plan, maps=str(tmp_path / "maps" / "{scene}")) == {"trase-dgd"}
    assert changed(plan, map_model="clip") == changed(plan, map_weights="x") == {"maps", "trase-dgd"}
    assert "maps" not in keys(replace(plan, methods=("trase",)))
    assert "maps" not in keys(replace(plan, maps=str(tmp_path / "maps" / "{scene}")))


def test_without_maps_the_others_go_on(plan, monkeypatch):
    def run_job(job, environment):
        return Outcome(error="no network is here") if job.name == "maps" else Outcome({"seconds": 1.0})

    monkeypatch.setattr("trase_ns.bench.plan.run_job", run_job)
    outcomes = run_scene(plan, plan.scenes[0], lambda *_: None)
    assert outcomes["trase-dgd"].error == "not run: no network is here"
    assert outcomes["trase"].error is None


def test_a_run_that_is_trained_already_has_no_training(plan, tmp_path):
    config = tmp_path / "run" / "config.yml"
    (config.parent / "nerfstudio_models").mkdir(parents=True)
    (config.parent / "nerfstudio_models" / "step-000000009.ckpt").write_bytes(b"one")
    scene = replace(plan.scenes[0], config=config)
    plan = replace(plan, scenes=(scene,))
    assert [job.name for job in plan.jobs(scene)] == ["pictures", "maps", "trase", "trase-dgd"]
    before = keys(plan)
    (config.parent / "nerfstudio_models" / "step-000000019.ckpt").write_bytes(b"two")
    after = keys(plan)
    assert all(before[name] != after[name] for name in before)


def test_without_a_geometry_all_else_fails_with_its_message(plan, monkeypatch):
    told = []

    def run_job(job, environment):
        assert job.name == "geometry"
        assert environment["OMP_NUM_THREADS"] == "2"
        return Outcome(error="no pictures")

    monkeypatch.setattr("trase_ns.bench.plan.run_job", run_job)
    outcomes = run_scene(plan, plan.scenes[0], lambda scene, job, outcome: told.append(job.name))
    assert told == ["geometry", "pictures", "maps", "trase", "trase-dgd"]
    assert [outcome.error for outcome in outcomes.values()] == ["no pictures", *["no geometry: no pictures"] * 4]
    assert known_outcomes(plan, plan.scenes[0]) == {}
    results = results_of(plan, {"a": outcomes})
    assert failures(results)[0] == "a, geometry: no pictures"
    assert results["means"]["trase"] == {
        "scenes": 0,
        **dict.fromkeys(("miou", "macc", "mbiou", "flicker", "floaters")),
        "costs": {},
    }


def test_results_hold_everything_and_means_are_over_what_is_there(plan, results):
    """The outcomes of the results by hand give these results again."""
    scenes = [replace(plan.scenes[0], name=s["name"], about=s["about"]) for s in results["scenes"]]
    plan = replace(plan, scenes=tuple(scenes), methods=tuple(results["methods"]))
    outcomes = {}
    for scene in results["scenes"]:
        entries = {"geometry": scene["geometry"], "pictures": scene["pictures"], **scene["methods"]}
        outcomes[scene["name"]] = {
            name: Outcome({k: v for k, v in entry.items() if k != "error"}, entry["error"])
            for name, entry in entries.items()
        }
    found = results_of(plan, outcomes)
    assert found["means"] == results["means"]
    assert [s["methods"] for s in found["scenes"]] == [s["methods"] for s in results["scenes"]]
    assert found["means"]["trase"]["miou"] == pytest.approx(0.9)
    assert found["means"]["trase-dgd"]["scenes"] == 1
    assert found["means"]["trase-dgd"]["costs"]["click_ms"] == 8
    assert failures(found) == ["box_1, trase-dgd: not run: it needs maps. Name them."]


def test_scenes_have_folders_of_their_own(plan):
    scenes = [BenchScene(name, plan.scenes[0].data, plan.scenes[0].benchmark) for name in ("a", "b")]
    paths = [{job.path for job in plan.jobs(scene)} for scene in scenes]
    assert not paths[0] & paths[1]
