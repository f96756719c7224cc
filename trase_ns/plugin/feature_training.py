"""The features in a training: after the geometry, or along with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from trase_ns.learning.methods.joint import JointWeights
from trase_ns.learning.methods.options import UpliftOptions
from trase_ns.learning.methods.training import Objective, View
from trase_ns.plugin.objectives import Task, task
from trase_ns.plugin.stages import joint_step
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians

if TYPE_CHECKING:
    from trase_ns.plugin.datamanager import TraseDataManager
    from trase_ns.plugin.model import TraseModel

# What options of the model are called on the command line of ns-train.
PREFIX = "--pipeline.model."


class FeatureTraining:
    """Gives a model the losses of its method.

    Args:
        model: the model; its step decides what is due.

    Attributes:
        manager: where its pictures and masks come from; known once training begins.
    """

    def __init__(self, model: TraseModel):
        self.model = model
        self.manager: TraseDataManager | None = None
        self._task: Task | None = None
        self._frozen: Objective | None = None

    @property
    def task(self) -> Task:
        """What the method does with the run."""
        if self._task is None:
            config = self.model.config
            options = config.options()
            assert not isinstance(options, UpliftOptions)
            manager = cast("TraseDataManager", self.manager)  # TRASE needs no more than the batches
            self._task = task(options, manager, self.model.device, config.features, PREFIX)
        return self._task

    @property
    def objective(self) -> Objective:
        """What is minimised on the scene as it is, which must not change any more."""
        if self._frozen is None:
            self._frozen = self.task.objective(self.model.scene.detach(), None)
        return self._frozen

    def after(self, camera: Camera, batch: dict) -> dict[str, Tensor]:
        """Return the loss of a step of the feature stage; the first one freezes everything but the features."""
        model = self.model
        if self._frozen is None:
            for name, parameter in model.gauss_params.items():
                parameter.requires_grad_(name == "object_features")
            if model.field is not None:
                model.field.requires_grad_(False)
            self._start(self.objective)
        view = self._view(camera, batch)
        features = model.gauss_params["object_features"]
        if not self.task.teaches(view):
            return {"contrastive": features.sum() * 0.0}
        step = model.step - model.config.geometry_steps
        return self.objective.loss(features, view, step, torch.default_generator)

    def along(self, camera: Camera, gaussians: Gaussians, batch: dict) -> dict[str, Tensor]:
        """Return what a step of a joint training learns beside colours: often nothing.

        The objective is made for the step, since the Gaussians move, and densification changes their number.

        Args:
            camera: the view.
            gaussians: those that were rendered, at its time.
            batch: the view's.
        """
        model, config = self.model, self.model.config
        step = joint_step(model.step, config.warmup_steps, config.geometry_steps, config.feature_steps)
        view = self._view(camera, batch)
        if step is None or not self.task.teaches(view):
            return {}
        objective = self.task.objective(model.scene, JointWeights(gaussians, self.task.shaping))
        self._start(objective)
        return objective.loss(model.gauss_params["object_features"], view, step, torch.default_generator)

    def _start(self, objective: Objective) -> None:
        features = self.model.gauss_params["object_features"]
        if not features.any():  # the first step; a resumed run has them already
            features.data = objective.start(torch.default_generator)

    def _view(self, camera: Camera, batch: dict) -> View:
        index = batch["frame_index"]
        return View(index, self.model.kwargs["metadata"]["frames"][index].name, camera, batch["mask_set"])
