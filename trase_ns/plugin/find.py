"""The objects of a run, found from its scene, its features and its masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

import torch
from torch import Tensor

from trase_ns.console import console
from trase_ns.learning.granularity import Level
from trase_ns.learning.methods.click import ClickObjective
from trase_ns.learning.methods.options import ClickOptions, Objects, Options, TraseOptions, UpliftOptions
from trase_ns.learning.uplift import MaskWeights, uplift_masks
from trase_ns.masks import MaskSet
from trase_ns.plugin.datamanager import TraseDataManager
from trase_ns.plugin.feature_training import PREFIX
from trase_ns.plugin.model import TraseModel
from trase_ns.plugin.objectives import feature_space, uplifted
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.feature_objects import filtered, no_objects, objects_by_threshold, objects_of_candidates
from trase_ns.segmentation.find import find_objects
from trase_ns.segmentation.objects import Segmentation

Candidates = Callable[[Tensor], Mapping[Level, Tensor]]


def training_views(
    datamanager: TraseDataManager, device: torch.device | str = "cpu"
) -> Iterator[tuple[Camera, MaskSet]]:
    """Yield the camera and the masks of every training frame that has masks, in the order of the frames."""
    dataset = datamanager.train_dataset
    for index in range(len(dataset)):
        masks = datamanager.mask_set(index)
        if masks is not None and len(masks):
            yield dataset.camera(index).to(device), masks


def lifted_masks(model: TraseModel, datamanager: TraseDataManager) -> MaskWeights | None:
    """Lift the masks of all training frames into the model's scene; None where no frame has masks."""
    if next(training_views(datamanager), None) is None:
        return None
    return uplift_masks(model.scene.detach(), training_views(datamanager, model.device))


def default_objects(options: Options) -> Objects:
    """Return how objects are found with a method unless something else is asked for."""
    if isinstance(options, ClickOptions):
        return "candidates"
    if isinstance(options, TraseOptions) or (isinstance(options, UpliftOptions) and options.maps is None):
        return "masks"
    return "threshold"


def objects_of_features(
    scene: DynamicGaussians,
    objects: Objects,
    weights: Callable[[], MaskWeights | None],
    *,
    threshold: float = 0.7,
    candidates: Candidates | None = None,
    similarity: float | None = None,
    seed: int = 0,
) -> Segmentation:
    """Find the objects that go with the features of a scene, however a method does it.

    Args:
        scene: the scene with its features.
        objects: how, see docs/methods.md.
        weights: returns the uplifted masks, None without masks; not called where they are not needed.
        threshold: least cosine, of "threshold".
        candidates: finds Click-Gaussian's candidates of features, of "candidates".
        similarity: keep of each object the Gaussians with at least this cosine to its mean feature.
        seed: of all that is drawn.

    Raises:
        UserError: no masks for objects that are made of them.
    """
    features = scene.features
    lifted = None if objects in ("clicks", "hdbscan", "dbscan") else weights()
    if objects == "clicks":
        segmentation = no_objects(features)
    elif objects == "candidates":
        assert candidates is not None
        segmentation = objects_of_candidates(features, candidates(features), lifted)
    elif objects == "threshold":
        segmentation = objects_by_threshold(features, threshold, lifted, seed)
    else:
        segmentation = find_objects(scene, lifted, objects, seed=seed)
    return segmentation if similarity is None else filtered(segmentation, features, similarity)


def finish(model: TraseModel, manager: TraseDataManager) -> None:
    """Give the model what a training ends with: features where they are made without training, and the objects.

    Args:
        model: the trained model.
        manager: gives the training views.

    Raises:
        UserError: masks or maps that the method needs are missing, or cannot be read.
    """
    options = model.config.options()
    weights = cache(lambda: lifted_masks(model, manager))
    if isinstance(options, UpliftOptions):
        console.print("uplifting the features")
        features = uplifted(options, model.scene.detach(), manager, weights, PREFIX)
        model.gauss_params["object_features"].data = features
    model.space = feature_space(options, manager, PREFIX)
    console.print("finding the objects")
    click = model.learning.objective if isinstance(options, ClickOptions) else None
    model.segmentation = objects_of_features(
        model.scene.detach(),
        model.config.objects or default_objects(options),
        weights,
        threshold=getattr(options, "threshold", 0.7),
        candidates=click.candidates if isinstance(click, ClickObjective) else None,
    )
