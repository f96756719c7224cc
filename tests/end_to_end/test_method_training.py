"""ns-train trase-cgc, trase-click, trase-dgd and trase-uplift, from pictures to scores."""

import json
from copy import deepcopy

import numpy as np
import pytest

from trase_ns import cli

pytestmark = pytest.mark.slow

SCHEDULE = {"warmup_steps": 10, "densify_from": 10, "densify_every": 20, "densify_until": 50, "geometry_steps": 60}
STEPS = {"cgc": 8, "click": 12, "dgd": 8, "uplift": 0}
SIZES = {"cgc": (16, "threshold"), "click": (24, "candidates"), "dgd": (5, "threshold"), "uplift": (64, "masks")}


@pytest.fixture(scope="module")
def maps(tiny_scene, tmp_path_factory):
    """Feature maps of the training frames: the pictures themselves, small, with a constant."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("maps")
    for path in sorted((tiny_scene / "images").glob("train*")):
        picture = Image.open(path).convert("RGB").resize((24, 18), Image.Resampling.BOX)
        values = np.asarray(picture, np.float32) / 255
        np.save(folder / f"{path.stem}.npy", np.concatenate([values, np.ones_like(values[..., :2])], axis=2))
    return folder


@pytest.fixture(scope="module")
def train(tiny_scene, maps, tmp_path_factory):
    """Train by a method as ns-train does, in this process, once; return config.yml."""
    from dataclasses import replace

    from nerfstudio.scripts.train import _set_random_seed

    from trase_ns.plugin import method as methods

    output, done = tmp_path_factory.mktemp("methods"), {}

    def start(method, timestamp="whole", **options):
        if (method, timestamp) in done:
            return done[method, timestamp]
        config = deepcopy(getattr(methods, method).config)
        config.output_dir, config.timestamp, config.vis = output, timestamp, "tensorboard"
        config.pipeline.datamanager.data = tiny_scene
        model = config.pipeline.model
        for name, value in {**SCHEDULE, "feature_steps": STEPS[method]}.items():
            setattr(model, name, value)
        own = {"cgc": {"smallest_segment": 20}, "dgd": {"maps": maps}}.get(method, {})
        setattr(model, method, replace(getattr(model, method), **own))
        for name, value in options.items():
            setattr(config, name, value)
        _set_random_seed(0)
        trainer = config.setup(local_rank=0, world_size=1)
        trainer.setup()
        config.save_config()
        trainer.train()
        done[method, timestamp] = config.get_base_dir() / "config.yml"
        return done[method, timestamp]

    return start


@pytest.mark.parametrize("method", STEPS)
def test_a_training_ends_with_features_and_objects(train, method):
    from trase_ns.plugin.run import load_run

    path = train(method)
    assert path.parts[-3] == f"trase-{method}"
    size, how = SIZES[method]
    run = load_run(path)
    assert run.scene.features.shape == (len(run.scene), size)
    assert run.scene.features.any()
    assert run.segmentation.summary["method"] == how
    assert run.segmentation.gaussians == len(run.scene)
    lines = [json.loads(line) for line in (path.parent / "history.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == SCHEDULE["geometry_steps"] + STEPS[method] - 1
    assert ("features" in {line["stage"] for line in lines}) == (method != "uplift")


def test_click_gaussian_is_resumed_in_its_feature_stage(train, tiny_scene, command):
    """By ns-train itself, after the candidates have begun to guide."""
    from trase_ns.plugin.run import load_run

    stopped = train("click", "stopped", max_num_iterations=70)
    assert load_run(stopped).segmentation is None
    options = [f"--pipeline.model.{k.replace('_', '-')}={v}" for k, v in {**SCHEDULE, "feature_steps": 12}.items()]
    words = ["--data", tiny_scene, "--output-dir", stopped.parents[3], "--timestamp", "resumed", *options]
    more = ["--load-dir", stopped.parent / "nerfstudio_models", "--vis=tensorboard"]
    shown = command("ns-train", "trase-click", *words, *more).stdout
    assert "stage 4 of 4: features, step 72 of 72" in " ".join(shown.split())
    resumed = load_run(stopped.parents[1] / "resumed")
    assert resumed.segmentation.summary["method"] == "candidates"
    lines = [json.loads(line) for line in (resumed.directory / "history.jsonl").read_text().splitlines()]
    assert lines[0]["step"] >= 70
    assert "guidance" in lines[-1]


def test_other_programs_take_the_runs(train, command, tiny_scene, tmp_path):
    command("ns-eval", "--load-config", train("dgd"), "--output-path", tmp_path / "eval.json")
    assert json.loads((tmp_path / "eval.json").read_text())["results"]["psnr"] > 10
    words = ["--benchmark", tiny_scene / "benchmark", "--output", tmp_path / "scores"]
    cli.main(["evaluate", "--load-config", *map(str, [train("uplift"), *words])])
    assert (tmp_path / "scores" / "results.json").is_file()
