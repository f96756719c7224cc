"""2D masks and feature maps lifted into the scene by the blending weights of their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track
from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from trase_ns.render import Contributions

T = TypeVar("T")


@dataclass(frozen=True)
class MaskWeights:
    """How much of every Gaussian each mask of each frame shows.

    Attributes:
        inside: [M, N] scipy CSR float32: sum of each Gaussian's blending weights over the pixels of each mask, in
            pixels of the camera. Masks in the order of the frames, then of their set.
        visibility: [F, N] scipy CSR float32: the same sum over all pixels of each frame.
        frame_of_mask: [M] int64, the frame (row of `visibility`) that each mask belongs to.
    """

    inside: csr_matrix
    visibility: csr_matrix
    frame_of_mask: np.ndarray


@torch.no_grad()
def uplift_masks(scene: DynamicGaussians, views: Iterable[tuple[Camera, MaskSet]]) -> MaskWeights:
    """Lift all masks of all frames at once: for each mask m the row 1_m^T W of its view.

    One view is in memory at a time. LUDVIG's sum before its division, each view taken at its own time.

    Args:
        scene: the Gaussians and their deformation.
        views: camera and masks of each frame; masks of another resolution are resized to the camera's.

    Raises:
        ValueError: there is no view.
    """
    from scipy import sparse

    inside, visibility, frame_of_mask = [], [], []
    for frame, (weights, (camera, masks)) in enumerate(_weights_of_views(scene, views, "lifting masks")):
        blending = weights.to_scipy()
        pixels = masks.resized(camera.height, camera.width).reshape(len(masks), camera.height * camera.width)
        inside.append(sparse.csr_matrix(pixels, dtype=np.float32) @ blending)
        visibility.append(sparse.csr_matrix(blending.sum(axis=0)[None]))
        frame_of_mask += [frame] * len(masks)
    if not visibility:
        raise ValueError("no view to lift masks from")
    return MaskWeights(
        sparse.csr_matrix(sparse.vstack(inside)),
        sparse.csr_matrix(sparse.vstack(visibility)),
        np.array(frame_of_mask, dtype=np.int64),
    )


@torch.no_grad()
def uplift_features(scene: DynamicGaussians, views: Iterable[tuple[Camera, Tensor]]) -> Tensor:
    """Lift feature maps: f = D^-1 W^T F, each Gaussian's mean of what it was seen with (LUDVIG), over all views.

    Args:
        scene: the Gaussians and their deformation.
        views: camera and feature map [H, W, C] of each view, of the camera's size.

    Returns:
        [N, C] on the scene's device; 0 for Gaussians that no view shows.

    Raises:
        ValueError: there is no view, or a map has not its camera's size.
    """
    total: Tensor | None = None
    weight = torch.zeros(len(scene), 1, device=scene.device)
    for weights, (camera, features) in _weights_of_views(scene, views, "lifting features"):
        if features.shape[:2] != (camera.height, camera.width):
            raise ValueError(
                f"a feature map of {features.shape[1]} x {features.shape[0]} for a camera of "
                f"{camera.width} x {camera.height} pixels"
            )
        lifted = weights.transpose_matmul(features.flatten(0, 1).to(scene.device, torch.float32))
        total = lifted if total is None else total + lifted
        weight += weights.column_sums()[:, None]
    if total is None:
        raise ValueError("no view to lift features from")
    return torch.where(weight > 0, total / weight.clamp_min(torch.finfo(weight.dtype).tiny), 0.0)


def _weights_of_views(
    scene: DynamicGaussians, views: Iterable[tuple[Camera, T]], description: str
) -> Iterator[tuple[Contributions, tuple[Camera, T]]]:
    """Yield the blending weights of each whole view, at its own time, beside the view."""
    from trase_ns.render import contributions

    total = len(views) if isinstance(views, Sized) else None
    for camera, content in track(views, description, total=total):
        yield contributions(scene.at(camera.time), camera), (camera, content)
