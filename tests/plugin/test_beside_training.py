"""Selecting and editing while a training runs: it trains as if nobody were there, and the selection keeps up."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from nerfstudio.engine.callbacks import TrainingCallbackLocation
from nerfstudio.scripts.train import _set_random_seed
from nerfstudio.viewer.render_state_machine import RenderStateMachine
from nerfstudio.viewer_legacy.server.viewer_utils import SetTrace

from trase_ns.editing import operations
from trase_ns.plugin.method import trase
from trase_ns.scene import clock
from trase_ns.scene.similarity import Similarity

pytestmark = pytest.mark.slow

STEPS, TAGGED = 42, 12
MODEL = {
    "warmup_steps": 8,
    "densify_from": 15,
    "densify_every": 10,
    "densify_until": 42,
    "geometry_steps": 45,
    "feature_steps": 2,
    "field_width": 16,
}


def train(data, folder, beside=None):
    """Train as ns-train does, up to the last densification; after each step call `beside` with trainer and step.

    At step TAGGED the Gaussians at the left are tagged in a parameter that the geometry stage only copies, so that
    their children are known without what the studio goes by.
    """
    config = deepcopy(trase.config)
    config.output_dir, config.timestamp, config.vis = folder, "run", "tensorboard"
    config.pipeline.datamanager.data = data
    for name, value in MODEL.items():
        assert hasattr(config.pipeline.model, name)
        setattr(config.pipeline.model, name, value)
    _set_random_seed(0)
    trainer = config.setup(local_rank=0, world_size=1)
    trainer.setup()
    model, counts = trainer.model, []
    for step in range(STEPS):
        trainer.pipeline.train()
        for callback in trainer.callbacks:
            callback.run_callback_at_location(step, TrainingCallbackLocation.BEFORE_TRAIN_ITERATION)
        trainer.train_iteration(step)
        for callback in trainer.callbacks:
            callback.run_callback_at_location(step, TrainingCallbackLocation.AFTER_TRAIN_ITERATION)
        if step == TAGGED:
            with torch.no_grad():
                model.gauss_params["object_features"][:, 0] = (model.means[:, 0] < model.means[:, 0].median()).float()
        counts.append(model.num_points)
        if beside is not None:
            beside(trainer, step)
    assert len(set(counts)) > 2  # it was densified, more than once
    return trainer


def tagged(model):
    return model.gauss_params["object_features"][:, 0].detach() > 0.5


def seen(trainer, in_viewer):
    """The picture of a held-out frame, in the viewer or as other programs get it."""
    model = trainer.model
    camera, _ = trainer.datamanager.eval_view(0)
    model.eval()
    try:
        if not in_viewer:
            return model.get_outputs_for_camera(camera)["rgb"]
        machine = RenderStateMachine.__new__(RenderStateMachine)
        machine.interrupt_render_flag = False
        with SetTrace(machine.check_interrupt):
            return model.get_outputs_for_camera(camera)["rgb"]
    finally:
        model.train()


def meddle(trainer, step):
    """What a person does in the panel while it trains."""
    model = trainer.model
    studio = model.studio
    if step == TAGGED:
        studio.select("left", tagged(model), "replace")
        studio.split_selection("left half")
        studio.edit("paint", partial(operations.recolor, color=(1.0, 0.0, 0.0), mode="replace"))
        studio.edit("fade", partial(operations.fade, opacity=0.5))
        seen(trainer, in_viewer=True)  # while what nobody touched still shares the trained memory
        shift = Similarity.about(torch.zeros(3), torch.eye(3), torch.tensor([0.0, 0.0, 0.2]))
        studio.edit("move", partial(operations.place, similarity=shift))
        studio.edit("still", partial(operations.retime, time_map=clock.frozen(0.3)))
    if step == TAGGED + 1:
        studio.edit("remove", operations.hide)
        studio.undo()
    if step > TAGGED:
        assert torch.equal(studio.selection(), tagged(model)), f"step {step}"
        assert torch.equal(studio.edits.mask(len(studio.objects) - 1), tagged(model))
        if step % 7 == 0:
            seen(trainer, in_viewer=True)


@pytest.fixture(scope="module")
def trainings(tiny_scene, tmp_path_factory):
    """A training with nobody beside it, and the same one while somebody edits."""
    folder = tmp_path_factory.mktemp("beside")
    return train(tiny_scene, folder / "alone"), train(tiny_scene, folder / "edited", meddle)


def test_edits_never_change_what_is_trained(trainings):
    alone, edited = (trainer.pipeline.state_dict() for trainer in trainings)
    assert alone.keys() == edited.keys()
    assert all(torch.equal(alone[name], edited[name]) for name in alone if torch.is_tensor(alone[name]))
    alone, edited = (trainer.optimizers.optimizers for trainer in trainings)
    for name in alone:
        for one, other in zip(alone[name].state.values(), edited[name].state.values(), strict=True):
            assert all(torch.equal(torch.as_tensor(one[k]), torch.as_tensor(other[k])) for k in one), name


def test_selection_and_edits_are_those_of_the_children(trainings):
    trainer = trainings[1]
    studio, mask = trainer.model.studio, tagged(trainer.model)
    assert 0 < int(mask.sum()) < len(mask)
    assert torch.equal(studio.selection(), mask)
    assert torch.equal(studio.edits.opacity, torch.where(mask, 0.5, 1.0))
    scene, trained = studio.scene().at(0.8), trainer.model.scene.detach()
    torch.testing.assert_close(scene.means[~mask], trained.at(0.8).means[~mask])
    moved = trained.at(0.3).means[mask] + torch.tensor([0.0, 0.0, 0.2])
    torch.testing.assert_close(scene.means[mask], moved)


def test_the_viewer_shows_the_edits_and_all_else_the_trained_scene(trainings):
    alone, edited = trainings
    assert torch.equal(seen(edited, in_viewer=False), seen(alone, in_viewer=False))
    assert float((seen(edited, in_viewer=True) - seen(alone, in_viewer=True)).abs().max()) > 0.05
