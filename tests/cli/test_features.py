"""`trase features` in the words that a person types."""

import json
import shutil

import numpy as np
import pytest
from tiny_networks import tiny_networks  # noqa: F401 - fixture

from trase_ns import cli
from trase_ns.cli.features import check
from trase_ns.cli.features import main as features_main
from trase_ns.errors import UserError
from trase_ns.learning.methods.options import (
    CgcOptions,
    ClickOptions,
    DgdOptions,
    TraseOptions,
    UpliftOptions,
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trase": TraseOptions(steps=0)}, "--trase.steps 0: use a number above 0"),
        ({"cgc": CgcOptions(steps=5)}, "--cgc.steps is no option of --method trase, but of cgc"),
        ({"method": "cgc", "cgc": CgcOptions(threshold=1.5)}, "--cgc.threshold 1.5: it is a cosine"),
        ({"method": "cgc", "cgc": CgcOptions(learning_rate=float("nan"))}, "--cgc.learning-rate nan: use a number"),
        ({"method": "click", "click": ClickOptions(dimensions=9)}, "--click.dimensions 9: use an even number"),
        ({"method": "click", "click": ClickOptions(guidance_from=2)}, "--click.guidance-from 2: it is a share"),
        ({"method": "dgd"}, "needs feature maps: name their folder with --dgd.maps"),
        ({"method": "dgd", "dgd": DgdOptions(pca=0)}, "--dgd.pca 0: use a number above 0"),
        ({"method": "uplift", "uplift": UpliftOptions(dimensions=-1)}, "--uplift.dimensions -1: use a number above 0"),
        ({"objects": "candidates"}, "--objects candidates is of --method click alone"),
        ({"similarity": 2.0}, "--similarity 2: it is a cosine"),
    ],
)
def test_wrong_options_are_named_before_anything_is_loaded(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        features_main(tmp_path / "no-such-run", **options)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_shares_that_leave_nothing(share, tmp_path):
    with pytest.raises(UserError, match="--prune .*: it is a share of the Gaussians"):
        features_main(tmp_path / "no-such-run", prune=share)


def test_the_papers_numbers_are_good_options():
    groups = {
        "trase": TraseOptions(),
        "cgc": CgcOptions(),
        "click": ClickOptions(),
        "dgd": DgdOptions(),
        "uplift": UpliftOptions(),
    }
    for method in ("trase", "cgc", "click", "uplift"):
        check(method, groups, None, 0.9)


def test_a_missing_run_is_named(tmp_path):
    with pytest.raises(UserError, match="no-such-run"):
        features_main(tmp_path / "no-such-run")


def trase(*words):
    cli.main([str(word) for word in words])


@pytest.fixture
def run_copy(tiny_run, tmp_path):
    shutil.copytree(tiny_run.parent, tmp_path / "copy")
    return tmp_path / "copy" / "config.yml"


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


METHODS = {
    "trase": (32, "masks", ["--trase.steps", 5, "--trase.mining", "hard", "--trase.multi-frame"]),
    "cgc": (16, "threshold", ["--cgc.steps", 5, "--cgc.pixels", 1000, "--cgc.smallest-segment", 20]),
    "click": (24, "candidates", ["--click.steps", 8, "--click.pixels", 500]),
    "dgd": (4, "threshold", ["--dgd.steps", 10, "--dgd.pixels", 500, "--dgd.pca", 3]),
    "uplift": (64, "masks", []),
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_run_features_and_objects(method, run_copy, tiny_scene, maps, capsys, tmp_path):
    import torch

    from trase_ns.plugin.checkpoints import load
    from trase_ns.plugin.run import load_run

    size, how, options = METHODS[method]
    before = load_run(run_copy)
    extra = ["--dgd.maps", maps] if method == "dgd" else []
    trase("features", "--load-config", run_copy, "--method", method, *options, *extra)
    assert f"features of {size} numbers" in capsys.readouterr().err
    after = load_run(run_copy)
    assert after.scene.features.shape == (len(before.scene), size)
    assert torch.equal(after.scene.means, before.scene.means)
    assert after.scene.features.isfinite().all()
    assert after.segmentation is not None
    assert after.segmentation.summary["method"] == how
    # The trained checkpoint is whole beside it, and a second time does not replace it.
    kept = run_copy.parent / f"trained-{before.checkpoint.name}"
    assert load(kept)["pipeline"]["_model.gauss_params.object_features"].shape[1] == 32
    assert before.segmentation is not None
    assert torch.equal(load(kept)["pipeline"]["_model._extra_state"]["labels"], before.segmentation.labels)
    content = kept.read_bytes()
    trase("features", "--load-config", run_copy, "--method", "uplift", "--objects", "clicks")
    assert kept.read_bytes() == content
    assert len(load_run(run_copy).segmentation) == 0
    # Clicks go by features alone then.
    entry = json.loads((tiny_scene / "benchmark" / "benchmark.json").read_text())["objects"][0]["prompts"][0]
    trase("segment", "--load-config", run_copy, "--click", f"{entry['frame']},{entry['x']},{entry['y']}")
    assert "is on no object" in capsys.readouterr().err


@pytest.mark.slow
def test_a_derived_run_leaves_the_old_one_alone(run_copy, tiny_scene, maps, tmp_path):
    from trase_ns.plugin.run import load_run

    content = load_run(run_copy).checkpoint.read_bytes()
    words = ["--method", "uplift", "--uplift.maps", maps, "--similarity", "0.8", "--output-dir", tmp_path / "runs"]
    trase("features", "--load-config", run_copy, *words)
    assert load_run(run_copy).checkpoint.read_bytes() == content
    assert not list(run_copy.parent.glob("trained-*"))
    (config,) = (tmp_path / "runs").rglob("config.yml")
    derived = load_run(config)
    assert derived.scene.features.shape[1] == 5
    assert derived.segmentation.summary["similarity"] == 0.8
    words = ["--benchmark", tiny_scene / "benchmark", "--output", tmp_path / "scores"]
    trase("evaluate", "--load-config", config, *words)
    assert (tmp_path / "scores" / "results.json").is_file()


@pytest.mark.slow
def test_maps_that_fit_no_frame_are_one_message(tiny_run, tmp_path, capsys):
    np.save(tmp_path / "other.npy", np.ones((2, 2, 3), np.float32))
    with pytest.raises(SystemExit):
        trase("features", "--load-config", tiny_run, "--method", "dgd", "--dgd.maps", tmp_path)
    said = capsys.readouterr().err
    assert "has no feature map of a training frame" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_words_and_features_of_clip_in_a_pruned_run(run_copy, tiny_networks, tmp_path, capsys):  # noqa: F811
    """From maps to words; the half of the Gaussians that is kept is the one with the larger weight."""
    import torch

    from trase_ns.learning.uplift import uplift_features
    from trase_ns.plugin.checkpoints import load
    from trase_ns.plugin.run import load_run

    weights, folder = ["--text-checkpoint", tiny_networks["clip"]], tmp_path / "maps"
    words = ["segment", "--load-config", run_copy, "--text", "book", "--text-engine", "features", *weights]
    with pytest.raises(SystemExit):
        trase(*words)
    assert "make features of CLIP's maps first" in " ".join(capsys.readouterr().err.split())
    before = load_run(run_copy)
    options = ["--model", "clip", "--weights", tiny_networks["clip"], "--longest", 64, "--output", folder]
    trase("maps", "--load-config", run_copy, *options)
    options = ["--method", "uplift", "--uplift.maps", folder, "--uplift.pca", 4, "--prune", 0.5]
    trase("features", "--load-config", run_copy, *options)
    assert "features of 5 numbers" in capsys.readouterr().err

    dataset = before.datamanager.train_dataset
    views = [(c, torch.ones(c.height, c.width, 1)) for c in map(dataset.camera, range(len(dataset)))]
    weight = uplift_features(before.scene, views)[1]
    kept = weight >= weight.sort(descending=True).values[round(len(weight) / 2) - 1]
    after = load_run(run_copy)
    assert torch.equal(after.scene.means, before.scene.means[kept])
    assert torch.equal(after.scene.sh_rest, before.scene.sh_rest[kept])
    state = load(after.checkpoint)
    memory = state["optimizers"]["means"]["state"][0]["exp_avg"]
    old = load(after.directory / f"trained-{after.checkpoint.name}")["optimizers"]["means"]["state"][0]["exp_avg"]
    assert torch.equal(memory, old[kept])
    assert after.model.space is not None
    assert after.model.space.source["extractor"] == "ClipDense"

    trase(*words, "--text-share", 0.2, "--output", tmp_path / "out")
    said = " ".join(capsys.readouterr().err.split())
    assert "selected" in said
    assert "support" in said
