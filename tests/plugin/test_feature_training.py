"""What each method of ns-train learns, in which stage, and from which frames."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from nerfstudio.engine.callbacks import TrainingCallbackAttributes

from trase_ns.errors import UserError
from trase_ns.learning.methods.options import CgcSettings, ClickSettings, DgdSettings, UpliftOptions
from trase_ns.plugin import method as methods
from trase_ns.plugin.find import finish
from trase_ns.plugin.model import TraseModelConfig
from trase_ns.plugin.objectives import require_inputs

FEATURES = "gauss_params.object_features"
SETTINGS = {
    "cgc": CgcSettings(pixels=800, smallest_segment=20, spatial_sample=50),
    "click": ClickSettings(pixels=200, spatial_sample=100),
    "dgd": DgdSettings(pixels=500, pca=3),
    "uplift": UpliftOptions(),
}


@pytest.fixture(scope="module")
def maps(tiny_scene, tmp_path_factory):
    """Maps of five numbers for all training frames but the first."""
    folder = tmp_path_factory.mktemp("maps")
    for path in sorted((tiny_scene / "images").glob("train*"))[1:]:
        np.save(folder / f"{path.stem}.npy", np.random.default_rng(0).random((6, 8, 5), np.float32))
    return folder


@pytest.fixture
def pipeline(tiny_scene, maps):
    """A pipeline of a method on the small scene as a training starts with it: two of four steps warm up."""

    def make(method, **options):
        config = deepcopy(getattr(methods, method).config)
        config.pipeline.datamanager.data = tiny_scene
        settings = SETTINGS[method]
        settings = replace(settings, maps=maps) if method == "dgd" else settings
        steps = 0 if method == "uplift" else 3
        values = {"warmup_steps": 2, "geometry_steps": 4, "feature_steps": steps, method: settings, **options}
        for name, value in values.items():
            assert hasattr(config.pipeline.model, name)
            setattr(config.pipeline.model, name, value)
        made = config.pipeline.setup(device="cpu")
        made.get_training_callbacks(TrainingCallbackAttributes({}, None, made, None))
        return made

    torch.manual_seed(0)
    return make


def step(pipeline, number, frame=None):
    """Losses of one training step, and the parameters that learn from what is not of the colours."""
    model = pipeline.model
    model.train()
    model.step, model.optimizers = number, {}
    model.zero_grad()
    if frame is not None:
        pipeline.datamanager.sampler.next = lambda step: frame
        pipeline.datamanager.sampler.peek = lambda: None
    _, losses, _ = pipeline.get_train_loss_dict(number)
    own = [value for name, value in losses.items() if name not in ("color", "smoothness")]
    if own:
        sum(own).backward()
    return losses, {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize(
    ("method", "terms", "size"),
    [("cgc", {"prototypes", "spatial"}, 16), ("click", {"coarse_positive"}, 24), ("dgd", {"distillation"}, 4)],
)
def test_the_feature_stage_trains_the_methods_features_alone(pipeline, method, terms, size):
    made = pipeline(method)
    assert [stage.name.split()[0] for stage in made.model.stages] == ["warm-up", "geometry,", "features"]
    losses, _ = step(made, 3)
    assert not terms & set(losses)
    losses, learned = step(made, 4, frame=2)
    if method != "click":
        assert set(losses) == terms
    assert learned == {FEATURES}
    assert made.model.gauss_params["object_features"].shape == (made.model.num_points, size)
    # The optimizer's parameter is still the same, so that it learns.
    assert made.model.get_param_groups()["object_features"][0] is made.model.gauss_params["object_features"]


@pytest.mark.parametrize(("method", "shapes"), [("cgc", False), ("dgd", True)])
def test_a_joint_training_learns_features_beside_the_colours(pipeline, method, shapes):
    made = pipeline(method, joint=True, geometry_steps=6, feature_steps=2)
    assert [stage.name.split()[-1] for stage in made.model.stages] == ["deformation", "features"]
    color = {"color", "smoothness"}
    assert set(step(made, 1, frame=2)[0]) <= color  # the warm-up
    assert set(step(made, 2, frame=2)[0]) <= color  # every second step after it
    losses, learned = step(made, 3, frame=2)
    assert not set(losses) <= color
    assert FEATURES in learned
    # Densification between two steps: their number changes, features go along.
    model = made.model
    for name, parameter in model.gauss_params.items():
        model.gauss_params[name] = torch.nn.Parameter(torch.cat([parameter.data, parameter.data[:100]]))
    model.gauss_params["object_features"].data += torch.rand_like(model.gauss_params["object_features"])
    losses, learned = step(made, 5, frame=2)
    assert FEATURES in learned
    assert ({"gauss_params.means", "gauss_params.opacities"} <= learned) == shapes
    assert model.gauss_params["object_features"].grad.shape[0] == model.num_points


def test_frames_without_a_map_or_masks_teach_nothing(pipeline):
    made = pipeline("dgd")
    losses, learned = step(made, 4, frame=0)
    assert not learned
    assert not any(value.detach() for value in losses.values())
    made = pipeline("cgc")
    made.datamanager.mask_set = lambda index: None
    losses, learned = step(made, 4, frame=2)
    assert not learned


def test_click_gaussian_finds_its_candidates_anew_where_it_is_resumed(pipeline):
    made = pipeline("click", feature_steps=100)
    step(made, 4, frame=2)
    saved = made.state_dict()
    resumed = pipeline("click", feature_steps=100)
    resumed.load_pipeline(saved, 80)
    losses, _ = step(resumed, 4 + 81, frame=2)
    assert "guidance" in losses
    features = resumed.model.gauss_params["object_features"]
    assert torch.equal(features, made.model.gauss_params["object_features"])
    expected = made.model.learning.objective.candidates(features)
    for level, found in resumed.model.learning.objective._candidates.items():
        assert torch.equal(found, expected[level])


@pytest.mark.parametrize("method", ["cgc", "click", "dgd", "uplift"])
def test_a_training_ends_with_features_and_objects(pipeline, method):
    made = pipeline(method)
    if method != "uplift":
        for number in (4, 5, 6):
            step(made, number, frame=2)
        made.model.gauss_params["object_features"].data += 0.1  # as an optimizer would
    made.model.step = 6
    finish(made.model, made.datamanager)
    model = made.model
    how = {"cgc": "threshold", "click": "candidates", "dgd": "threshold", "uplift": "masks"}[method]
    assert model.segmentation.summary["method"] == how
    assert model.segmentation.gaussians == model.num_points
    assert model.gauss_params["object_features"].any()
    # Read again as ns-eval does, without maps at hand.
    other = pipeline(method)
    other.load_pipeline(made.state_dict(), 6)
    shape = model.gauss_params["object_features"].shape
    assert other.model.gauss_params["object_features"].shape == shape
    assert len(other.model.segmentation) == len(model.segmentation)


def test_objects_are_found_as_asked(pipeline):
    made = pipeline("uplift", objects="clicks")
    finish(made.model, made.datamanager)
    assert len(made.model.segmentation) == 0


@pytest.mark.parametrize(("method", "rate"), [("cgc", 0.0025), ("click", 0.01), ("dgd", 0.0025)])
def test_methods_have_their_rate_and_steps(method, rate):
    config = getattr(methods, method).config
    assert config.method_name == f"trase-{method}"
    assert config.optimizers["object_features"]["optimizer"].lr == rate
    assert config.pipeline.model.feature_steps > 0
    assert methods.trase.config.pipeline.model.method == "trase"
    assert config.pipeline.model.geometry_steps == methods.trase.config.pipeline.model.geometry_steps


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "dgd"}, "needs feature maps: name their folder with --pipeline.model.dgd.maps"),
        ({"method": "uplift"}, "set --pipeline.model.feature-steps 0"),
        ({"joint": True}, "--pipeline.model.joint is of cgc and dgd, not of trase"),
        ({"objects": "candidates"}, "--pipeline.model.objects candidates is of click alone, not of trase"),
        ({"method": "cgc", "click": ClickSettings(pixels=7)}, "click.pixels is no option of .*method cgc, but"),
        ({"method": "cgc", "cgc": CgcSettings(threshold=2)}, "--pipeline.model.cgc.threshold 2: it is a cosine"),
        ({"method": "click", "click": ClickSettings(dimensions=9)}, "model.click.dimensions 9: use an even number"),
    ],
)
def test_wrong_options_are_named_before_anything_is_loaded(options, message):
    with pytest.raises(UserError, match=message):
        TraseModelConfig(**{"feature_steps": 5, **options}).check()


def test_good_options_pass():
    for method in ("trase", "cgc", "click", "uplift"):
        getattr(methods, method).config.pipeline.model.check()
    TraseModelConfig(method="dgd", feature_steps=0).check()  # the geometry alone


@pytest.mark.parametrize(
    ("method", "option", "words"),
    [
        ("trase-cgc", "cgc.smallest-segment", "are left out"),
        ("trase-click", "click.refresh-every", "candidates are found anew"),
        ("trase-dgd", "dgd.maps", "map for each frame"),
        ("trase-uplift", "uplift.dimensions", "made of masks"),
    ],
)
def test_help_explains_the_options_of_the_method(method, option, words, capsys):
    import tyro
    from nerfstudio.configs.method_configs import AnnotatedBaseConfigUnion

    with pytest.raises(SystemExit):
        tyro.cli(AnnotatedBaseConfigUnion, args=[method, "--help"])
    shown = capsys.readouterr().out
    assert f"--pipeline.model.{option}" in shown
    assert words in " ".join(shown.split())
    assert "--pipeline.model.cgc.steps" not in shown  # these are --pipeline.model.feature-steps


def test_missing_inputs_are_told_before_training(pipeline, tiny_scene, tmp_path, maps, capsys):
    manager = pipeline("cgc").datamanager
    np.save(tmp_path / "other.npy", np.ones((2, 2, 3), np.float32))
    nothing = TraseModelConfig(method="dgd", dgd=DgdSettings(maps=tmp_path)).options()
    with pytest.raises(UserError, match=r"--p.dgd.maps: .* has no feature map of a training frame"):
        require_inputs(nothing, "threshold", manager, "--p.")
    some = TraseModelConfig(method="dgd", dgd=DgdSettings(maps=maps)).options()
    require_inputs(some, "threshold", manager, "--p.")
    assert "1 of 24 training frames have no map" in " ".join(capsys.readouterr().err.split())
    manager.config.masks = tmp_path
    require_inputs(some, "threshold", manager, "--p.")  # it needs no masks ...
    for options, objects in ((some, "masks"), (UpliftOptions(), "masks"), (TraseModelConfig().options(), "hdbscan")):
        manager.__dict__.pop("mask_source", None)
        with pytest.raises(UserError, match="masks"):  # ... but these do
            require_inputs(options, objects, manager, "--p.")


def test_configurations_of_before_there_were_methods_are_of_trase():
    text = yaml.dump(TraseModelConfig(feature_steps=7))
    new = ("method", "joint", "cgc", "click", "dgd", "uplift")
    state = {name: value for name, value in vars(TraseModelConfig(feature_steps=7)).items() if name not in new}
    old = TraseModelConfig.__new__(TraseModelConfig)
    old.__setstate__({**state, "objects": "masks"})
    assert (old.method, old.joint, old.feature_steps, old.objects) == ("trase", False, 7, "masks")
    old.check()
    assert yaml.load(text, Loader=yaml.Loader) == TraseModelConfig(feature_steps=7)
