"""The model in Nerfstudio's pipeline: parameters, stages, outputs and what checkpoints hold."""

from copy import deepcopy

import pytest
import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import OrientedBox
from nerfstudio.viewer.render_state_machine import RenderStateMachine
from nerfstudio.viewer_legacy.server.viewer_utils import IOChangeException, SetTrace

from trase_ns.plugin.method import trase
from trase_ns.segmentation.objects import Segmentation

PARAMETERS = {"means", "scales", "quats", "features_dc", "features_rest", "opacities", "object_features"}


@pytest.fixture
def pipeline(tiny_scene):
    """A pipeline on the small scene, untrained; the harmonics have degree 1, the first two of four steps warm up."""

    def make(**options):
        config = deepcopy(trase.config)
        config.pipeline.datamanager.data = tiny_scene
        for name, value in {
            "sh_degree": 1,
            "warmup_steps": 2,
            "geometry_steps": 4,
            "feature_steps": 2,
            **options,
        }.items():
            assert hasattr(config.pipeline.model, name)
            setattr(config.pipeline.model, name, value)
        return config.pipeline.setup(device="cpu")

    torch.manual_seed(0)
    return make


def step(pipeline, number):
    """Loss and gradients of one training step."""
    model = pipeline.model
    model.train()
    model.step, model.optimizers = number, {}
    model.zero_grad()
    _, losses, _ = pipeline.get_train_loss_dict(number)
    sum(losses.values()).backward()
    return losses, {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


def test_parameters_are_groups_that_optimizers_know(pipeline):
    for options, more in (
        ({"field_type": "mlp"}, {"deformation"}),
        ({"field_type": "basis"}, {"motion", "trajectories"}),
        ({"deformation": False}, set()),
    ):
        groups = set(pipeline(**options).model.get_param_groups())
        assert groups == PARAMETERS | more
        assert groups <= set(trase.config.optimizers)


def test_a_run_from_before_there_was_a_choice_has_the_mlp():
    config = deepcopy(trase.config.pipeline.model)
    state = {name: value for name, value in vars(config).items() if name != "field_type"}
    old = type(config).__new__(type(config))
    old.__setstate__(state)
    assert old.field_type == "mlp"


def test_each_stage_trains_what_is_its_own(pipeline):
    made = pipeline()
    geometry = {"gauss_params.means", "gauss_params.opacities", "gauss_params.features_dc"}
    _, warm = step(made, 0)
    assert geometry <= warm
    assert not any(name.startswith("field") for name in warm)
    _, moving = step(made, 2)
    assert geometry <= moving
    assert any(name.startswith("field") for name in moving)
    losses, features = step(made, 4)
    assert features == {"gauss_params.object_features"}
    assert {"positive", "negative", "norm"} <= set(losses)


def test_a_frame_without_masks_teaches_nothing(pipeline):
    made = pipeline()
    take = made.datamanager.next_train
    made.datamanager.next_train = lambda number: (lambda pair: (pair[0], {**pair[1], "mask_set": None}))(take(number))
    losses, changed = step(made, 4)
    assert float(sum(losses.values())) == 0
    assert not changed


def test_a_scene_at_rest_does_not_move(pipeline):
    model = pipeline(deformation=False).model
    model.step = 100
    assert torch.equal(model.scene.at(0.0).means, model.scene.at(1.0).means)


def test_outputs_for_the_viewer(pipeline):
    made = pipeline()
    made.eval()
    camera, _ = made.datamanager.eval_view(0)
    outputs = made.model.get_outputs_for_camera(camera)
    assert outputs.keys() == {"rgb", "depth", "accumulation", "background", "segments", "selection"}
    assert all(value.shape[:2] == (72, 96) for value in outputs.values())
    nowhere = OrientedBox(R=torch.eye(3), T=torch.full((3,), 1e6), S=torch.ones(3))
    cropped = made.model.get_outputs_for_camera(camera, nowhere)
    assert float(cropped["accumulation"].max()) == 0


def test_a_camera_without_time_is_rendered(pipeline):
    made = pipeline()
    made.eval()
    camera, _ = made.datamanager.eval_view(0)
    plain = Cameras(camera.camera_to_worlds, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height)
    assert made.model.get_outputs_for_camera(plain)["rgb"].shape == (72, 96, 3)


def test_the_viewer_stops_a_rendering_only_at_its_end(pipeline, monkeypatch):
    """Stopped in the middle of its first rendering, a process kept a half imported numba and never rendered again."""
    model = pipeline().model.eval()
    machine = RenderStateMachine.__new__(RenderStateMachine)
    machine.interrupt_render_flag = False
    done = []

    def get_outputs(camera):
        machine.interrupt_render_flag = True  # as another thread does when the view moves
        done.append(camera)
        return {}

    monkeypatch.setattr(model, "get_outputs", get_outputs)
    with pytest.raises(IOChangeException), SetTrace(machine.check_interrupt):
        model.get_outputs_for_camera(torch.zeros(1))
    assert done


def test_loading_keeps_the_parameters_that_optimizers_hold(pipeline):
    saved = pipeline().model
    keep = torch.arange(50)
    for name in PARAMETERS:
        saved.gauss_params[name] = torch.nn.Parameter(saved.gauss_params[name].data[keep])
    saved.segmentation = Segmentation.from_members([keep[:10], keep[20:45]], 50)
    model = pipeline().model
    before = dict(model.gauss_params.items())
    model.load_state_dict(saved.state_dict())
    assert all(model.gauss_params[name] is before[name] for name in PARAMETERS)
    assert torch.equal(model.means, saved.means)
    assert model.segmentation is not None
    assert len(model.segmentation) == 2
    assert torch.equal(model.segmentation.labels, saved.segmentation.labels)
    model.load_state_dict(pipeline().model.state_dict())
    assert model.segmentation is None


def test_seeds_lie_where_cameras_look(pipeline):
    """Points of the data set project into most of its pictures: the cameras and the points share one world."""
    made = pipeline()
    dataset = made.datamanager.train_dataset
    points = made.model.means.detach()[:600]  # the sparse points come first
    inside = 0
    for index in range(len(dataset)):
        camera = dataset.camera(index)
        local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[:, :2] / local[:, 2:]
        seen = (local[:, 2] > 0) & (pixels >= 0).all(1) & (pixels < torch.tensor([96, 72])).all(1)
        inside += float(seen.float().mean())
    assert inside / len(dataset) > 0.6


def test_features_of_a_finished_run_are_saved_in_half_precision(pipeline):
    made = pipeline()
    features = made.model.gauss_params["object_features"]
    torch.nn.init.normal_(features)
    name = "_model.gauss_params.object_features"
    assert made.state_dict()[name].dtype == torch.float32  # a training that goes on loses nothing
    made.model.segmentation = Segmentation.from_members([torch.arange(5)], len(features))
    saved = made.state_dict()
    assert saved[name].dtype == torch.float16
    assert all(value.dtype != torch.float16 for key, value in saved.items() if key != name and torch.is_tensor(value))
    other = pipeline().model
    other.load_state_dict({key.removeprefix("_model."): value for key, value in saved.items()})
    assert other.gauss_params["object_features"].dtype == torch.float32
    torch.testing.assert_close(other.gauss_params["object_features"], features, atol=1e-3, rtol=1e-3)
