"""Features of a finished run by any method, and the objects that go with them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.learning.feature_maps import FeatureMaps
from trase_ns.learning.granularity import Level
from trase_ns.learning.methods.cgc import CgcObjective
from trase_ns.learning.methods.click import ClickObjective
from trase_ns.learning.methods.distilled import DistillationObjective
from trase_ns.learning.methods.options import (
    CgcOptions,
    ClickOptions,
    DgdOptions,
    TraseOptions,
    UpliftOptions,
)
from trase_ns.learning.methods.training import View, train_features
from trase_ns.learning.methods.trase import TraseObjective, following_cameras
from trase_ns.learning.methods.uplifted import uplifted_maps, uplifted_masks
from trase_ns.plugin import checkpoints
from trase_ns.plugin.masks import pinhole_map
from trase_ns.plugin.preset import preset
from trase_ns.plugin.run import Run, read_config, write_derived
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.feature_objects import filtered, no_objects, objects_by_threshold, objects_of_candidates
from trase_ns.segmentation.find import find_objects
from trase_ns.segmentation.objects import Segmentation

Options = TraseOptions | CgcOptions | ClickOptions | DgdOptions | UpliftOptions
Objects = Literal["masks", "mask-features", "hdbscan", "dbscan", "candidates", "threshold", "clicks"]
# Click-Gaussian's: from features to the candidates of each level.
Candidates = Callable[[Tensor], dict[Level, Tensor]]

# Mask sets that are kept; one is some hundred kilobytes.
_KEPT = 128


class RunViews(Sequence[View]):
    """Training frames of a run as views.

    Args:
        run: the run.
        indices: the frames, by their places in the training split.
    """

    def __init__(self, run: Run, indices: Sequence[int]):
        self._run = run
        self._indices = list(indices)
        self._view = lru_cache(maxsize=_KEPT)(self._load)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place):  # type: ignore[override]
        """Return the view at a place."""
        return self._view(range(len(self))[place])

    def _load(self, place: int) -> View:
        manager, index = self._run.datamanager, self._indices[place]
        dataset = manager.train_dataset
        camera = dataset.camera(index).to(self._run.model.device)
        return View(place, dataset.frames[index].name, camera, manager.mask_set(index))

    @staticmethod
    def with_masks(run: Run, method: str) -> RunViews:
        """Return the frames that have masks.

        Raises:
            UserError: none has.
        """
        manager = run.datamanager
        indices = [i for i in range(len(manager.train_dataset)) if manager.mask_set(i)]
        if not indices:
            raise UserError(
                f"method {method!r} needs masks, and no training frame has any. Make them first: "
                f"trase masks --data {manager.get_datapath()}"
            )
        return RunViews(run, indices)


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
    scene = run.scene
    if isinstance(options, TraseOptions):
        return _trase(run, scene, options, seed), None
    if isinstance(options, CgcOptions):
        views = RunViews.with_masks(run, "cgc")
        return train_features(CgcObjective(scene, options), views, options.steps, seed), None
    if isinstance(options, ClickOptions):
        views = RunViews.with_masks(run, "click")
        click = ClickObjective(scene, views, options, seed)
        return train_features(click, views, options.steps, seed), click.candidates
    if isinstance(options, DgdOptions):
        assert options.maps is not None
        views, load, dimensions = _mapped(run, options.maps, options.pca, "--dgd.maps", seed)
        objective = DistillationObjective(scene, load, dimensions, options)
        return train_features(objective, views, options.steps, seed), None
    return _uplifted(run, scene, options, seed), None


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
    objects = objects or default_objects(run, options)
    scene = replace(run.scene, features=features)
    weights = None if objects in ("clicks", "hdbscan", "dbscan") else run.lifted_masks()
    if objects == "clicks":
        segmentation = no_objects(features)
    elif objects == "candidates":
        assert candidates is not None
        segmentation = objects_of_candidates(features, candidates(features), weights)
    elif objects == "threshold":
        segmentation = objects_by_threshold(features, getattr(options, "threshold", 0.7), weights, seed)
    else:
        segmentation = find_objects(scene, weights, objects, seed=seed)
    return segmentation if similarity is None else filtered(segmentation, features, similarity)


def default_objects(run: Run, options: Options) -> Objects:
    """Return how objects are found with a method unless something else is asked for."""
    if isinstance(options, TraseOptions):
        return run.model.config.objects
    if isinstance(options, ClickOptions):
        return "candidates"
    if isinstance(options, UpliftOptions) and options.maps is None:
        return "masks"
    return "threshold"


def save_features(
    run: Run, features: Tensor, segmentation: Segmentation, output_dir: Path | None = None, suffix: str = "features"
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

    Returns:
        The checkpoint, or config.yml of the derived run.

    Raises:
        UserError: a file cannot be written.
    """
    state = checkpoints.load(run.checkpoint)
    values = features.detach().cpu()
    values = values.half() if float(values.abs().max()) < torch.finfo(torch.float16).max else values
    state["pipeline"]["_model.gauss_params.object_features"] = values.clone()
    state["pipeline"]["_model._extra_state"] = segmentation.to("cpu").to_state()
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


def _trase(run: Run, scene: DynamicGaussians, options: TraseOptions, seed: int) -> Tensor:
    """TRASE's features; what the options leave open is as the run was configured."""
    base = run.model.config.features
    names = {f.name for f in fields(base)}
    given = {k: v for k, v in vars(options).items() if k in names and v is not None}
    views = RunViews.with_masks(run, "trase")
    cameras = following_cameras([view.camera for view in views]) if options.multi_frame else None
    steps = options.steps or run.model.config.feature_steps or preset().feature_steps
    return train_features(TraseObjective(scene, replace(base, **given), cameras), views, steps, seed)


def _uplifted(run: Run, scene: DynamicGaussians, options: UpliftOptions, seed: int) -> Tensor:
    if options.maps is not None:
        views, load, _ = _mapped(run, options.maps, options.pca, "--uplift.maps", seed)
        return uplifted_maps(scene, views, load)
    RunViews.with_masks(run, "uplift")
    weights = run.lifted_masks()
    assert weights is not None
    return uplifted_masks(weights, options.dimensions, seed).to(scene.device)


def _mapped(
    run: Run, folder: Path, pca: int | None, option: str, seed: int
) -> tuple[RunViews, Callable[[str], Tensor], int]:
    """The frames that have feature maps, what loads a map as the pinhole camera sees it, and its channels."""
    frames = {frame.name: frame for frame in run.datamanager.train_dataset.frames}
    maps = FeatureMaps(folder, list(frames), option)
    basis = None if pca is None or pca >= maps.channels else maps.reduction(pca, seed)
    indices = [i for i, name in enumerate(frames) if name in maps]

    def load(name: str) -> Tensor:
        values = maps.load(name) if basis is None else maps.load(name) @ basis.T
        return torch.from_numpy(pinhole_map(values.numpy(), frames[name]))

    return RunViews(run, indices), load, maps.channels if basis is None else len(basis)
