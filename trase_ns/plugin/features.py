"""Features of a finished run by any method, and the objects that go with them."""

from __future__ import annotations

import os
import shutil
from dataclasses import fields, replace
from pathlib import Path

import torch
from torch import Tensor

from trase_ns.files import atomic_write
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.learning.methods.click import ClickObjective
from trase_ns.learning.methods.options import Objects, Options, TraseOptions, UpliftOptions
from trase_ns.learning.methods.training import train_features
from trase_ns.plugin import checkpoints
from trase_ns.plugin.find import Candidates, default_objects, objects_of_features
from trase_ns.plugin.model import extra_state
from trase_ns.plugin.objectives import task, uplifted
from trase_ns.plugin.preset import preset
from trase_ns.plugin.pruning import prune_state
from trase_ns.plugin.run import Run, read_config, write_derived
from trase_ns.segmentation.objects import Segmentation


def make_features(
    run: Run,
    options: Options,
    objects: Objects | None = None,
    similarity: float | None = None,
    seed: int = 0,
) -> tuple[Tensor, Segmentation]:
    """Make the features of a run's scene by the method that the options belong to, and find its objects.

    The run is left as it is; see `save_features`.

    Args:
        run: the run.
        options: decide the method.
        objects: how objects are found; by default as the method does (see docs/methods.md).
        similarity: keep of each object the Gaussians with at least this cosine to its mean feature.
        seed: of all that is drawn.

    Returns:
        [N, F] features on the scene's device, and the objects.

    Raises:
        UserError: masks or maps that the method needs are missing, or cannot be read.
    """
    features, candidates = train(run, options, seed)
    return features, objects_of(run, options, features, candidates, objects, similarity, seed)


def train(run: Run, options: Options, seed: int = 0) -> tuple[Tensor, Candidates | None]:
    """Make the features alone: the first half of `make_features`, with its arguments and errors.

    Returns:
        [N, F] features on the scene's device; and what finds Click-Gaussian's candidates, for that method.
    """
    manager, scene, base = run.datamanager, run.scene, run.model.config
    if isinstance(options, UpliftOptions):
        return uplifted(options, scene, manager, run.lifted_masks, seed=seed), None
    steps, stage = options.steps, base.features
    if isinstance(options, TraseOptions):  # what it leaves open is as the run was configured
        names = {f.name for f in fields(stage)}
        stage = replace(stage, **{k: v for k, v in vars(options).items() if k in names and v is not None})
        own = base.feature_steps if base.method == "trase" else 0
        steps = options.steps or own or preset().feature_steps
    assert steps is not None
    learned = task(options, manager, scene.device, stage, seed=seed)
    views = learned.views()
    objective = learned.objective(scene, None)
    features = train_features(objective, views, steps, seed)
    return features, objective.candidates if isinstance(objective, ClickObjective) else None


def objects_of(
    run: Run,
    options: Options,
    features: Tensor,
    candidates: Candidates | None = None,
    objects: Objects | None = None,
    similarity: float | None = None,
    seed: int = 0,
) -> Segmentation:
    """Find the objects that go with the features that `train` returned: the second half of `make_features`."""
    base = run.model.config
    if objects is None and isinstance(options, TraseOptions) and base.method == "trase":
        objects = base.objects
    return objects_of_features(
        replace(run.scene, features=features),
        objects or default_objects(options),
        run.lifted_masks,
        threshold=getattr(options, "threshold", 0.7),
        candidates=candidates,
        similarity=similarity,
        seed=seed,
    )


def save_features(
    run: Run,
    features: Tensor,
    segmentation: Segmentation,
    output_dir: Path | None = None,
    suffix: str = "features",
    space: FeatureSpace | None = None,
    kept: Tensor | None = None,
) -> Path:
    """Put features and objects into the run's checkpoint, or into a derived run.

    The checkpoint as it was trained is kept beside its folder, as trained-step-STEP.ckpt, the first time. All is
    written at the end, whole or not at all.

    Args:
        run: the run.
        features: [N, F], of any F.
        segmentation: the objects.
        output_dir: as for ns-train: write a run of its own there and leave this one alone.
        suffix: of the name of that one.
        space: what the features mean, see `feature_space`; None: nothing beyond the scene.
        kept: which Gaussians of the checkpoint are left of the run's scene, see `prune`; None: all.

    Returns:
        The checkpoint, or config.yml of the derived run.

    Raises:
        UserError: a file cannot be written.
    """
    state = checkpoints.load(run.checkpoint)
    if kept is not None:
        prune_state(state, kept)
    values = features.detach().cpu()
    values = values.half() if float(values.abs().max()) < torch.finfo(torch.float16).max else values
    state["pipeline"]["_model.gauss_params.object_features"] = values.clone()
    state["pipeline"]["_model._extra_state"] = extra_state(segmentation.to("cpu"), space)
    # What the optimizer remembers belongs to the old features.
    for part in ("optimizers", "schedulers"):
        state[part] = {name: value for name, value in state[part].items() if name != "object_features"}
    if output_dir is not None:
        return write_derived(read_config(run.config_path), state, suffix, output_dir)
    original = run.directory / f"trained-{run.checkpoint.name}"
    if not original.exists():
        _keep(run.checkpoint, original)
    checkpoints.write(run.checkpoint, state)
    return run.checkpoint


def _keep(path: Path, copy: Path) -> None:
    """Give a file that will be replaced a second name; it is copied only where the file system has no such names."""
    try:
        os.link(path, copy)
    except OSError:
        with atomic_write(copy) as temporary:
            shutil.copyfile(path, temporary)
