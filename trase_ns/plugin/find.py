"""The objects of a run, found from its scene and its masks."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trase_ns.learning.uplift import MaskWeights, uplift_masks
from trase_ns.masks import MaskSet
from trase_ns.plugin.datamanager import TraseDataManager
from trase_ns.plugin.model import TraseModel
from trase_ns.scene.camera import Camera
from trase_ns.segmentation.find import find_objects
from trase_ns.segmentation.objects import Segmentation


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


def find_run_objects(model: TraseModel, datamanager: TraseDataManager, **options) -> Segmentation:
    """Find the objects of the model's scene with the masks of the training frames.

    Args:
        model: the trained model.
        datamanager: gives the training views.
        options: those of `find_objects`; `method` defaults to the model's configuration.
    """
    options.setdefault("method", model.config.objects)
    return find_objects(model.scene.detach(), lifted_masks(model, datamanager), **options)
