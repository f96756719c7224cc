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

    inside, visibility = _Rows(len(scene), budget), _Rows(len(scene), budget)
    step = 1
    for number, (camera, masks) in enumerate(_tracked(views, "lifting masks")):
        if number % step:
            continue
        blending = _view_weights(scene, camera).to_scipy()
        frame = _pixels(masks.resized(camera.height, camera.width)) @ blending
        seen = sparse.csr_matrix(blending.sum(axis=0)[None])
        while number and number % step == 0 and inside.nbytes_with(frame) + visibility.nbytes_with(seen) > budget:
            step *= 2
            inside.thin()
            visibility.thin()
        if number % step == 0:
            inside.append(frame)
            visibility.append(seen)
    if not len(inside):
        raise ValueError("no view to lift masks from")
    return MaskWeights(inside.matrix(), visibility.matrix(), np.repeat(np.arange(len(inside)), inside.heights()))


@torch.no_grad()
def uplift_features(scene: DynamicGaussians, views: Iterable[tuple[Camera, Tensor]]) -> tuple[Tensor, Tensor]:
    """Lift feature maps: f = D^-1 W^T F, each Gaussian's mean of what it was seen with, over all views.

    LUDVIG's equations 3 and 5, each view taken at its own time.

    Args:
        scene: the Gaussians and their deformation.
        views: camera and feature map [H, W, C] of each view, of the camera's size.

    Returns:
        [N, C] features on the scene's device, 0 for Gaussians that no view shows; and [N] their total weight, the
        diagonal of D.

    Raises:
        ValueError: there is no view, or a map has not its camera's size.
    """
    from trase_ns.render import lift

    sums: tuple[Tensor, Tensor] | None = None
    for camera, features in _tracked(views, "lifting features"):
        if features.shape[:2] != (camera.height, camera.width):
            raise ValueError(
                f"a feature map of {features.shape[1]} x {features.shape[0]} for a camera of "
                f"{camera.width} x {camera.height} pixels"
            )
        sums = lift(scene.at(camera.time), camera, features.to(scene.device, torch.float32), out=sums)
    if sums is None:
        raise ValueError("no view to lift features from")
    total, weight = sums
    return total.div_(weight.clamp_min(torch.finfo(weight.dtype).tiny)[:, None]), weight


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


class _Rows:
    """A sparse matrix that grows by the rows of one frame after the other, in memory that is taken but once.

    Matrices of single frames, kept to be put together at the end, would take that memory twice and break up the rest.

    Args:
        columns: number of columns.
        budget: most bytes that it is meant to hold; memory is only taken where it is filled.
    """

    def __init__(self, columns: int, budget: int):
        self._columns = columns
        self._indices = np.empty(budget // 8, np.int32)
        self._data = np.empty(budget // 8, np.float32)
        self._lengths: list[np.ndarray] = []  # of the rows of each frame

    def __len__(self) -> int:
        return len(self._lengths)

    def nbytes_with(self, matrix: Any) -> int:
        """Return how many bytes are filled when the rows of `matrix` are added."""
        entries = self._filled() + matrix.nnz
        return 8 * entries + 4 * (sum(map(len, self._lengths)) + len(self) + matrix.shape[0] + 1)

    def append(self, matrix: Any) -> None:
        """Add the rows of a frame."""
        end = self._filled()
        if end + matrix.nnz > len(self._data):
            self._indices = np.concatenate([self._indices[:end], np.empty(matrix.nnz, np.int32)])
            self._data = np.concatenate([self._data[:end], np.empty(matrix.nnz, np.float32)])
        self._indices[end : end + matrix.nnz] = matrix.indices
        self._data[end : end + matrix.nnz] = matrix.data
        self._lengths.append(np.diff(matrix.indptr))

    def thin(self) -> None:
        """Drop every second frame, from the second on."""
        end = start = 0
        for number, lengths in enumerate(self._lengths):
            size = int(lengths.sum())
            if number % 2 == 0:
                for array in (self._indices, self._data):
                    array[end : end + size] = array[start : start + size].copy()
                end += size
            start += size
        self._lengths = self._lengths[::2]

    def heights(self) -> list[int]:
        """Return the number of rows of each frame."""
        return [len(lengths) for lengths in self._lengths]

    def _filled(self) -> int:
        return sum(int(lengths.sum()) for lengths in self._lengths)

    def matrix(self) -> csr_matrix:
        """Return the matrix; it shares this one's memory."""
        from scipy import sparse

        indptr = np.cumsum(np.concatenate([[0], *self._lengths]))
        parts = self._data[: indptr[-1]], self._indices[: indptr[-1]], indptr
        return sparse.csr_matrix(parts, shape=(len(indptr) - 1, self._columns))
