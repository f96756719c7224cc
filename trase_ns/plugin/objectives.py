"""What the methods learn from in a run: its frames, their masks and feature maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.learning.feature_maps import FeatureMaps
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.learning.features import FeatureStageConfig
from trase_ns.learning.methods.cgc import CgcObjective
from trase_ns.learning.methods.click import ClickObjective
from trase_ns.learning.methods.distilled import DistillationObjective
from trase_ns.learning.methods.joint import JointWeights
from trase_ns.learning.methods.options import (
    CgcOptions,
    ClickOptions,
    DgdOptions,
    Options,
    TraseOptions,
    UpliftOptions,
)
from trase_ns.learning.methods.training import Objective, View
from trase_ns.learning.methods.trase import TraseObjective, following_cameras
from trase_ns.learning.methods.uplifted import uplifted_maps, uplifted_masks
from trase_ns.learning.uplift import MaskWeights
from trase_ns.plugin.datamanager import TraseDataManager
from trase_ns.plugin.masks import pinhole_map
from trase_ns.scene.gaussians import DynamicGaussians

Trained = TraseOptions | CgcOptions | ClickOptions | DgdOptions
Make = Callable[[DynamicGaussians, JointWeights | None], Objective]

# Mask sets that are kept; one is some hundred kilobytes.
_KEPT = 128


class FrameViews(Sequence[View]):
    """Training frames of a run as views.

    Args:
        manager: gives cameras and masks.
        device: of the cameras.
        indices: the frames, by their places in the training split.
    """

    def __init__(self, manager: TraseDataManager, device: torch.device | str, indices: Sequence[int]):
        self._manager, self._device = manager, device
        self._indices = list(indices)
        self._view = lru_cache(maxsize=_KEPT)(self._load)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, place):  # type: ignore[override]
        """Return the view at a place."""
        return self._view(range(len(self))[place])

    def _load(self, place: int) -> View:
        index = self._indices[place]
        dataset = self._manager.train_dataset
        camera = dataset.camera(index).to(self._device)
        return View(place, dataset.frames[index].name, camera, self._manager.mask_set(index))


def masked_views(manager: TraseDataManager, device: torch.device | str, method: str) -> FrameViews:
    """Return the training frames that have masks.

    Raises:
        UserError: none has.
    """
    indices = [i for i in range(len(manager.train_dataset)) if manager.mask_set(i)]
    if not indices:
        raise UserError(
            f"method {method!r} needs masks, and no training frame has any. Make them first: "
            f"trase masks --data {manager.get_datapath()}"
        )
    return FrameViews(manager, device, indices)


class FrameMaps:
    """Feature maps of the training frames, as their pinhole cameras see them; frames without a map are left out.

    Args:
        manager: gives the frames.
        folder: where the maps are.
        pca: numbers that are kept of each feature; None: all.
        option: the option that named the folder, for messages.
        seed: of the sample that the principal components are found from.

    Raises:
        UserError: see `FeatureMaps`.
    """

    def __init__(self, manager: TraseDataManager, folder: Path, pca: int | None, option: str, seed: int = 0):
        self._manager, self._pca, self._seed = manager, pca, seed
        self._frames = {frame.name: frame for frame in manager.train_dataset.frames}
        self.files = FeatureMaps(folder, list(self._frames), option)

    def __contains__(self, frame: str) -> bool:
        return frame in self.files

    @cached_property
    def _basis(self) -> Tensor | None:
        few = self._pca is not None and self._pca < self.files.channels
        return self.files.reduction(self._pca, self._seed) if few and self._pca else None

    @property
    def channels(self) -> int:
        """Numbers of a feature."""
        return self.files.channels if self._basis is None else len(self._basis)

    def load(self, name: str) -> Tensor:
        """Return the map of a frame, [h, w, channels]."""
        values = self.files.load(name)
        values = values if self._basis is None else values @ self._basis.T
        return torch.from_numpy(pinhole_map(values.numpy(), self._frames[name]))

    @property
    def space(self) -> FeatureSpace:
        """What the numbers of a feature mean."""
        return FeatureSpace.of(self.files, self._basis)

    def views(self, device: torch.device | str) -> FrameViews:
        """Return the frames that have a map."""
        return FrameViews(self._manager, device, [i for i, name in enumerate(self._frames) if name in self])


@dataclass(frozen=True)
class Task:
    """A method on the frames of a run.

    Attributes:
        objective: makes what is minimised, for a scene; and for a joint training with the weights of a step.
        views: returns the views to learn from.
        teaches: whether a view can be learned from.
        shaping: in a joint training gradients reach the geometry, too.
    """

    objective: Make
    views: Callable[[], FrameViews]
    teaches: Callable[[View], bool]
    shaping: bool = False


def task(
    options: Trained,
    manager: TraseDataManager,
    device: torch.device | str,
    stage: FeatureStageConfig,
    prefix: str = "--",
    seed: int = 0,
) -> Task:
    """Return what the method of the options does with a run.

    Args:
        options: decide the method.
        manager: gives frames, masks and maps; nothing is read before it is needed.
        device: of the scene.
        stage: sizes and thresholds of TRASE.
        prefix: what the names of options begin with, for messages.
        seed: of what is drawn in the preparation.

    Raises:
        UserError: there are no maps for a method that needs them.
    """
    if isinstance(options, DgdOptions):
        assert options.maps is not None
        maps = FrameMaps(manager, options.maps, options.pca, _maps_option(options, prefix), seed)
        return Task(
            lambda scene, weights: DistillationObjective(scene, maps.load, maps.channels, options, weights),
            lambda: maps.views(device),
            lambda view: view.frame in maps,
            shaping=True,
        )
    if isinstance(options, CgcOptions):
        views = cache(partial(masked_views, manager, device, "cgc"))
        return Task(lambda scene, weights: CgcObjective(scene, options, weights), views, _has_masks)
    if isinstance(options, ClickOptions):
        views = cache(partial(masked_views, manager, device, "click"))
        return Task(lambda scene, _: ClickObjective(scene, views(), options, seed), views, _has_masks)
    views = cache(partial(masked_views, manager, device, "trase"))

    def trase(scene: DynamicGaussians, weights: JointWeights | None) -> TraseObjective:
        cameras = following_cameras([view.camera for view in views()]) if options.multi_frame else None
        return TraseObjective(scene, stage, cameras)

    return Task(trase, views, _has_masks)


def uplifted(
    options: UpliftOptions,
    scene: DynamicGaussians,
    manager: TraseDataManager,
    weights: Callable[[], MaskWeights | None],
    prefix: str = "--",
    seed: int = 0,
) -> Tensor:
    """Return the features [N, F] that LUDVIG makes of feature maps, or of masks.

    Args:
        options: say of which.
        scene: the trained scene.
        manager: gives frames, masks and maps.
        weights: returns the uplifted masks of the run.
        prefix, seed: see `task`.

    Raises:
        UserError: there are no masks, or no maps.
    """
    if options.maps is not None:
        maps = FrameMaps(manager, options.maps, options.pca, _maps_option(options, prefix), seed)
        return uplifted_maps(scene, maps.views(scene.device), maps.load)
    masked_views(manager, scene.device, "uplift")
    lifted = weights()
    assert lifted is not None
    return uplifted_masks(lifted, options.dimensions, seed).to(scene.device)


def feature_space(
    options: Options, manager: TraseDataManager, prefix: str = "--", seed: int = 0
) -> FeatureSpace | None:
    """Return what the numbers of the features mean that a method makes of maps, None for other methods.

    Args:
        options, manager, prefix, seed: those that the features were made with, see `task`.
    """
    if not isinstance(options, (DgdOptions, UpliftOptions)) or options.maps is None:
        return None
    return FrameMaps(manager, options.maps, options.pca, _maps_option(options, prefix), seed).space


def require_inputs(options: Options, objects: str, manager: TraseDataManager, prefix: str) -> None:
    """Check, before hours are spent, that a training has the masks and maps that its method needs.

    Args:
        options: decide the method.
        objects: how its objects will be found.
        manager: gives frames, masks and maps.
        prefix: what the names of options begin with, for messages.

    Raises:
        UserError: no frame has masks, or no frame has a feature map.
    """
    if isinstance(options, (DgdOptions, UpliftOptions)) and options.maps is not None:
        maps = FrameMaps(manager, options.maps, options.pca, _maps_option(options, prefix))
        names = [frame.name for frame in manager.train_dataset.frames]
        missing = [name for name in names if name not in maps]
        if missing:
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            warn(f"{len(missing)} of {len(names)} training frames have no map ({shown}); going on without them")
        if objects not in ("masks", "mask-features"):
            return
    manager.require_masks()


def _maps_option(options: DgdOptions | UpliftOptions, prefix: str) -> str:
    return f"{prefix}{'dgd' if isinstance(options, DgdOptions) else 'uplift'}.maps"


def _has_masks(view: View) -> bool:
    return view.masks is not None and len(view.masks) > 0
