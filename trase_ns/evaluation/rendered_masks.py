"""Masks that a scene gives of any view at any time: of a selection, and of all objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.evaluation.picture_files import NUMBERED, save_png
from trase_ns.evaluation.scoring import THRESHOLD
from trase_ns.files import atomic_folder
from trase_ns.masks.coco_dataset import CocoFrame, write_coco_dataset
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.scene.moments import Moments
from trase_ns.segmentation.objects import Segmentation

LABELS, COLORS, OBJECTS = "labels", "colors", "objects.json"
# Objects that are rendered in one pass.
_CHANNELS = 32


@torch.no_grad()
def selection_mask(gaussians: Gaussians, mask: Tensor, camera: Camera) -> np.ndarray:
    """Return where selected Gaussians make up at least half of a pixel, bool [H, W]; what hides them is respected.

    This is what `render_selection` at or above 0.5 says, and what selections are scored by.

    Args:
        gaussians: all N of the scene at the camera's time.
        mask: bool [N], the selected ones.
        camera: the view.
    """
    return (_shares(gaussians, mask[:, None], camera)[..., 0] >= THRESHOLD).cpu().numpy()


@torch.no_grad()
def label_image(gaussians: Gaussians, segmentation: Segmentation, camera: Camera) -> Tensor:
    """Return for each pixel the object that makes up most of it, int64 [H, W], -1 where that is none.

    Each Gaussian counts for its natural object (`Segmentation.labels`), so objects do not overlap.

    Args:
        gaussians: all N of the scene at the camera's time.
        segmentation: objects over them.
        camera: the view.
    """
    labels = segmentation.labels.to(gaussians.means.device)
    shape = camera.height, camera.width
    best = labels.new_full(shape, -1)
    most, total = gaussians.means.new_zeros(shape), gaussians.means.new_zeros(shape)
    present = labels.unique()
    for objects in present[present >= 0].split(_CHANNELS):
        shares = _shares(gaussians, labels[:, None] == objects, camera)
        share, place = shares.max(dim=-1)
        best = torch.where(share > most, objects[place], best)
        most = torch.maximum(most, share)
        total += shares.sum(dim=-1)
    return torch.where(most > 1 - total, best, -1)


@torch.no_grad()
def object_masks(gaussians: Gaussians, segmentation: Segmentation, camera: Camera) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each object that is seen and its mask, bool [H, W], as `selection_mask` says; parts lie in their wholes.

    Args:
        gaussians: all N of the scene at the camera's time.
        segmentation: objects over them.
        camera: the view.
    """
    device = gaussians.means.device
    for start in range(0, len(segmentation), _CHANNELS):
        objects = range(start, min(start + _CHANNELS, len(segmentation)))
        members = torch.stack([segmentation.members(i).to(device) for i in objects], dim=1)
        seen = (_shares(gaussians, members, camera) >= THRESHOLD).cpu().numpy()
        for i, index in enumerate(objects):
            if seen[..., i].any():
                yield index, seen[..., i]


def write_label_images(
    scene: DynamicGaussians,
    segmentation: Segmentation,
    cameras: Sequence[Camera],
    names: Sequence[str],
    folder: Path,
    object_names: Sequence[str] | None = None,
    overwrite: bool = False,
) -> None:
    """Write the label images of all objects; the names appear when all are written.

    folder/labels/NAME.png, 16 bits: 0 for none, i + 1 for object i. folder/colors/NAME.png: the same in the objects'
    colours. folder/objects.json: "objects", a list with the value, number, name, colour (8 bits) and whole ("part_of",
    a number or null) of each.

    Args:
        scene: N Gaussians.
        segmentation: objects over them, at most 65535.
        cameras: views and times.
        names: of the pictures, '/' separated, without suffix.
        folder: receives the files.
        object_names: [O], by default "object 0" and so on.
        overwrite: replace files of the same names, and numbered ones of before.

    Raises:
        UserError: the folder holds files and `overwrite` is false, it cannot be written, or there are too many objects.
    """
    if len(segmentation) >= 1 << 16:
        raise UserError(f"{len(segmentation)} objects are too many for label images: they hold up to 65535.")
    palette = _palette(segmentation)
    objects = [
        {
            "value": i + 1,
            "object": i,
            "name": name,
            "color": palette[i].tolist(),
            "part_of": None if segmentation.parents[i] < 0 else int(segmentation.parents[i]),
        }
        for i, name in enumerate(object_names or default_names(segmentation))
    ]
    moments = Moments(1)
    with atomic_folder(folder, overwrite, [f"{LABELS}/{NUMBERED}", f"{COLORS}/{NUMBERED}"]) as staging:
        for camera, name in track(list(zip(cameras, names)), "rendering labels"):
            labels = label_image(moments.at(scene, camera.time), segmentation, camera).cpu().numpy()
            save_png((labels + 1).astype(np.uint16), staging / LABELS / f"{name}.png")
            save_png(palette[labels], staging / COLORS / f"{name}.png")
        text = json.dumps({"version": 1, "objects": objects}, indent=2)
        (staging / OBJECTS).write_text(text + "\n", encoding="utf-8")


def label_colors(gaussians: Gaussians, segmentation: Segmentation, camera: Camera) -> np.ndarray:
    """Return the label image of a view in the objects' colours, black where there is none, uint8 [H, W, 3]."""
    return _palette(segmentation)[label_image(gaussians, segmentation, camera).cpu().numpy()]


def write_coco_masks(
    scene: DynamicGaussians,
    masks: Tensor | Segmentation,
    cameras: Sequence[Camera],
    names: Sequence[str],
    path: Path,
    object_names: Sequence[str] | None = None,
) -> int:
    """Write the masks of a selection, or of all objects, as one COCO data set of instances.

    Args:
        scene: N Gaussians.
        masks: bool [N], a selection; or the objects, whose parts lie in their wholes.
        cameras: views and times.
        names: of the pictures, without suffix; NAME.png is in the file.
        path: the file, .json.
        object_names: names of the categories, by default "selection", or "object 0" and so on.

    Returns:
        The number of masks.

    Raises:
        UserError: the file cannot be written.
    """
    moments = Moments(1)

    def frames() -> Iterator[CocoFrame]:
        for camera, name in track(list(zip(cameras, names)), "rendering masks"):
            gaussians = moments.at(scene, camera.time)
            if isinstance(masks, Tensor):
                mask = selection_mask(gaussians, masks, camera)
                found = [(0, mask)] if mask.any() else []
            else:
                found = list(object_masks(gaussians, masks, camera))
            yield CocoFrame(f"{name}.png", camera.width, camera.height, camera.time, found)

    default = ["selection"] if isinstance(masks, Tensor) else default_names(masks)
    return write_coco_dataset(frames(), object_names or default, path)


def default_names(segmentation: Segmentation) -> list[str]:
    """Return "object 0", "object 1", ...: the names of objects that nobody named."""
    return [f"object {i}" for i in range(len(segmentation))]


def _shares(gaussians: Gaussians, values: Tensor, camera: Camera) -> Tensor:
    """Blend `values` [N, C] into [H, W, C] on black."""
    return render_view(gaussians, camera, colors=values.to(gaussians.means)).color


def _palette(segmentation: Segmentation) -> np.ndarray:
    """Return the objects' colours and, as the last, black: uint8 [O + 1, 3]."""
    colors = torch.cat([segmentation.palette.cpu(), torch.zeros(1, 3)])
    return (colors * 255).round().byte().numpy()
