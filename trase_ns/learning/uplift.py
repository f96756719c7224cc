"""2D masks and feature maps lifted into the scene by the blending weights of their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

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

# Bytes of lifted masks that are kept; of longer videos every second, fourth, ... frame is.
BUDGET = 192 * 2**20


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
def uplift_masks(scene: DynamicGaussians, views: Iterable[tuple[Camera, MaskSet]], budget: int = BUDGET) -> MaskWeights:
    """Lift all masks of all frames at once: for each mask m the row 1_m^T W of its view.

    One view is in memory at a time. LUDVIG's sum before its division, each view taken at its own time.

    Args:
        scene: the Gaussians and their deformation.
        views: camera and masks of each frame; masks of another resolution are resized to the camera's.
        budget: bytes of the result. Where all frames would take more, every second is lifted, or every fourth, and so
            on, so that memory does not grow with the length of a video; the frames of the result are those alone.

    Raises:
        ValueError: there is no view.
    """
    from scipy import sparse

    kept: list[tuple[int, Any, Any]] = []  # number of the frame, inside, visibility
    step = 1
    for number, (camera, masks) in enumerate(_tracked(views, "lifting masks")):
        if number % step:
            continue
        blending = _view_weights(scene, camera).to_scipy()
        inside = _pixels(masks.resized(camera.height, camera.width)) @ blending
        kept.append((number, _compact(inside), _compact(sparse.csr_matrix(blending.sum(axis=0)[None]))))
        while sum(_nbytes(part) for entry in kept for part in entry[1:]) > budget and len(kept) > 1:
            step *= 2
            kept = [entry for entry in kept if entry[0] % step == 0]
    if not kept:
        raise ValueError("no view to lift masks from")
    frame_of_mask = np.repeat(np.arange(len(kept)), [inside.shape[0] for _, inside, _ in kept])
    inside = sparse.csr_matrix(sparse.vstack([inside for _, inside, _ in kept]))
    return MaskWeights(inside, sparse.csr_matrix(sparse.vstack([seen for *_, seen in kept])), frame_of_mask)


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
    for camera, features in _tracked(views, "lifting features"):
        if features.shape[:2] != (camera.height, camera.width):
            raise ValueError(
                f"a feature map of {features.shape[1]} x {features.shape[0]} for a camera of "
                f"{camera.width} x {camera.height} pixels"
            )
        weights = _view_weights(scene, camera)
        lifted = weights.transpose_matmul(features.flatten(0, 1).to(scene.device, torch.float32))
        total = lifted if total is None else total + lifted
        weight += weights.column_sums()[:, None]
    if total is None:
        raise ValueError("no view to lift features from")
    return torch.where(weight > 0, total / weight.clamp_min(torch.finfo(weight.dtype).tiny), 0.0)


def _view_weights(scene: DynamicGaussians, camera: Camera) -> Contributions:
    """The blending weights of a whole view, at its own time."""
    from trase_ns.render import contributions

    return contributions(scene.at(camera.time), camera)


def _tracked(views: Iterable[tuple[Camera, T]], description: str) -> Iterator[tuple[Camera, T]]:
    return track(views, description, total=len(views) if isinstance(views, Sized) else None)


def _pixels(masks: np.ndarray) -> csr_matrix:
    """The masks [M, H, W] bool as a matrix [M, H * W] of ones; far faster than scipy's own way from a dense one."""
    from scipy import sparse

    inside = [np.flatnonzero(mask) for mask in masks]
    indptr = np.cumsum([0, *map(len, inside)])
    parts = np.ones(indptr[-1], np.float32), np.concatenate([*inside, np.zeros(0, np.int64)]), indptr
    return sparse.csr_matrix(parts, shape=(len(masks), masks.shape[1] * masks.shape[2]))


def _compact(matrix: Any) -> csr_matrix:
    """The same matrix with indices of four bytes."""
    from scipy import sparse

    parts = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return sparse.csr_matrix(parts, shape=matrix.shape)


def _nbytes(matrix: csr_matrix) -> int:
    return matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
