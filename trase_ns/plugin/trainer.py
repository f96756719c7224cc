"""Nerfstudio's trainer with stages, checkpoints that survive a kill, and objects at the end."""

from __future__ import annotations

import sys
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import yaml
from nerfstudio.configs.base_config import ViewerConfig
from nerfstudio.engine.callbacks import TrainingCallback, TrainingCallbackLocation
from nerfstudio.engine.optimizers import Optimizers
from nerfstudio.engine.schedulers import ExponentialDecaySchedulerConfig
from nerfstudio.engine.trainer import Trainer, TrainerConfig

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.plugin import checkpoints
from trase_ns.plugin.compatibility import require_compatible
from trase_ns.plugin.datamanager import TraseDataManager, TraseDataManagerConfig
from trase_ns.plugin.feature_training import PREFIX
from trase_ns.plugin.find import default_objects, finish
from trase_ns.plugin.history import TrainingProgress
from trase_ns.plugin.keeps_up import KeepsUp
from trase_ns.plugin.model import TraseModel, TraseModelConfig
from trase_ns.plugin.objectives import require_inputs

HOST = "127.0.0.1"
# The growing window of times ends at the latest after this share of the geometry steps.
_WINDOW_SHARE = 0.6


@dataclass
class GeometryDecayConfig(ExponentialDecaySchedulerConfig):
    """A learning rate that falls over the geometry stage, however long that is."""

    max_steps: int = 0
    """Steps over which it falls. 0: those of the geometry stage."""


@dataclass
class TraseTrainerConfig(KeepsUp, TrainerConfig):
    """A run: its stages make its length."""

    _target: type = field(default_factory=lambda: TraseTrainer)
    max_num_iterations: int = 0
    """Step after which the run stops. 0: the geometry and feature steps of the model."""
    keep_checkpoints: int = 2
    """Checkpoints that are kept; with two, a damaged newest one costs little."""

    def __setattr__(self, name: str, value: Any) -> None:
        # ns-viewer puts its own configuration here, which listens on all addresses unless it was told otherwise.
        if name == "viewer" and isinstance(value, ViewerConfig) and value.websocket_host == "0.0.0.0":
            asked = any("websocket-host" in word or "websocket_host" in word for word in sys.argv)
            value.websocket_host = value.websocket_host if asked else HOST
        super().__setattr__(name, value)

    def save_config(self) -> None:
        """Write config.yml, whole or not at all, with paths that hold from every folder."""
        self.output_dir = self.output_dir.resolve()
        data = self.pipeline.datamanager.data
        if data is not None:
            self.pipeline.datamanager.data = data.resolve()
        model = cast(TraseModelConfig, self.pipeline.model)
        for name in ("dgd", "uplift"):
            group = getattr(model, name)
            if group.maps is not None:
                setattr(model, name, replace(group, maps=group.maps.resolve()))
        with atomic_write(self.get_base_dir() / "config.yml") as temporary:
            temporary.write_text(yaml.dump(self), "utf8")


class TraseTrainer(Trainer):
    """Runs the stages and saves what they make."""

    config: TraseTrainerConfig

    @property
    def model(self) -> TraseModel:
        """The model that is trained."""
        return cast(TraseModel, self.pipeline.model)

    @property
    def datamanager(self) -> TraseDataManager:
        """Where pictures and masks come from."""
        return cast(TraseDataManager, self.pipeline.datamanager)

    def setup(self, test_mode="val") -> None:
        """Check what can be checked before hours are spent, then set everything up."""
        require_compatible()
        model = cast(TraseModelConfig, self.config.pipeline.model)
        model.check()
        self._fit_window()
        super().setup(test_mode)
        if model.finds_objects:
            options = model.options()
            require_inputs(options, model.objects or default_objects(options), self.datamanager, PREFIX)
        self.progress = TrainingProgress(self.base_dir / "history.jsonl", self.model.stages)
        after = [TrainingCallbackLocation.AFTER_TRAIN_ITERATION]
        # First, so that the step is noted before densification changes the number of Gaussians.
        self.callbacks.insert(0, TrainingCallback(after, self._note_step))

    def _fit_window(self) -> None:
        """Let a short geometry stage reach all times early enough to train on them."""
        data = cast(TraseDataManagerConfig, self.config.pipeline.datamanager)
        steps = cast(TraseModelConfig, self.config.pipeline.model).geometry_steps
        data.window_until = min(data.window_until, int(_WINDOW_SHARE * steps))
        data.window_from = min(data.window_from, data.window_until // 4)

    def setup_optimizers(self) -> Optimizers:
        """Build the optimizers; rates that fall do so over the geometry stage."""
        model = self.model.config
        groups = self.pipeline.get_param_groups()
        configs = {name: deepcopy(value) for name, value in self.config.optimizers.items() if name in groups}
        for value in configs.values():
            if isinstance(value["scheduler"], GeometryDecayConfig) and value["scheduler"].max_steps == 0:
                value["scheduler"].max_steps = max(model.geometry_steps, 1)
        return Optimizers(configs, groups)

    def train_iteration(self, step: int):
        """Run one step and remember its figures."""
        loss, losses, metrics = super().train_iteration(step)
        self._figures = {
            "loss": float(loss.detach()),
            **{name: float(value.detach()) for name, value in losses.items()},
            "gaussians": self.model.num_points,
        }
        if "psnr" in metrics:
            self._figures["psnr"] = float(metrics["psnr"])
        return loss, losses, metrics

    def _note_step(self, step: int) -> None:
        self.progress.step(step, self._figures)

    def _load_checkpoint(self) -> None:
        """Load what --load-dir or --load-checkpoint names; a damaged newest checkpoint gives way to the one before."""
        config = self.config
        if config.load_dir is not None:
            path, state = checkpoints.load_newest(Path(config.load_dir), config.load_step)
        elif config.load_checkpoint is not None:
            path, state = Path(config.load_checkpoint), checkpoints.load(Path(config.load_checkpoint))
        else:
            path, state = None, None
        if path is not None and state is not None:
            self._start_step = state["step"] + 1
            try:
                self.pipeline.load_pipeline(state["pipeline"], state["step"])
                self.optimizers.load_optimizers(state["optimizers"])
                if config.load_scheduler:
                    self.optimizers.load_schedulers(state["schedulers"])
                self.grad_scaler.load_state_dict(state["scalers"])
            except (KeyError, RuntimeError) as error:
                message = f"{path} does not fit this model: resume with the options that the run was started with"
                raise UserError(message) from error
            console.print(f"going on after step {state['step']} of {path}", highlight=False)
        stages = self.model.stages
        last = config.max_num_iterations or (stages[-1].end if stages else 0)
        # Nerfstudio counts iterations from where a run is resumed; ours end where the stages do.
        config.max_num_iterations = max(last - self._start_step, 0)
        self.step = max(self._start_step - 1, 0)

    def save_checkpoint(self, step: int) -> None:
        """Save the run, whole or not at all."""
        if self.local_rank != 0:
            return
        pipeline = self.pipeline.module if hasattr(self.pipeline, "module") else self.pipeline
        state = {
            "step": step,
            "pipeline": pipeline.state_dict(),  # type: ignore[union-attr]
            "optimizers": {name: value.state_dict() for name, value in self.optimizers.optimizers.items()},
            "schedulers": {name: value.state_dict() for name, value in self.optimizers.schedulers.items()},
            "scalers": self.grad_scaler.state_dict(),
        }
        keep = self.config.keep_checkpoints if self.config.save_only_latest_checkpoint else sys.maxsize
        checkpoints.save_checkpoint(self.checkpoint_dir, step, state, max(keep, 1))

    def _after_train(self) -> None:
        """Find the objects, then save and finish."""
        self.progress.close()
        self.step = max(self.step, self._start_step - 1, 0)
        if self.step + 1 >= self.model.stages[-1].end and self.model.config.finds_objects:
            finish(self.model, self.datamanager)
        super()._after_train()
