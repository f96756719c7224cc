"""What the header of a portable file says beside the tensors: JSON out, and in again with nothing taken on trust."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trase_ns.scene.camera import Camera
from trase_ns.scene.similarity import Similarity

if TYPE_CHECKING:
    from trase_ns.scene.portable import Portable

MAX_DEPTH = 48
MAX_NAME = 200
_MAX_CAMERAS = 10_000
_MAX_PIXELS = 32_768  # of a side of a picture
_LARGEST = 1e12  # of any number
_RIGID = 1e-3


def to_json(content: Portable) -> dict[str, Any]:
    """Return names, cameras, background, course of time and world of `content` as a JSON object."""
    world = content.data_world
    return {
        "names": list(content.names),
        "cameras": [
            {
                "viewmat": camera.viewmat.tolist(),
                "K": camera.K.tolist(),
                "width": int(camera.width),
                "height": int(camera.height),
                "time": float(camera.time),
            }
            for camera in content.cameras
        ],
        "background": [float(value) for value in content.background],
        "fps": content.fps,
        "duration": content.duration,
        "data_world": world
        and {
            "rotation": world.rotation.tolist(),
            "translation": world.translation.tolist(),
            "scale": float(world.scale),
        },
    }


def from_json(header: dict[str, Any], objects: int) -> dict[str, Any]:
    """Return what `to_json` described, by the names of the attributes of `Portable`.

    Args:
        header: a JSON object that may come from anywhere; what it leaves out gets its default.
        objects: number of objects in the file.

    Raises:
        ValueError: something in it cannot be meant; the message says what.
    """
    names, cameras = header.get("names", []), header.get("cameras", [])
    if not isinstance(names, list) or len(names) not in (0, objects):
        raise ValueError(f"names must be a list with a name for each of the {objects} objects")
    for name in names:
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise ValueError(f"{str(name)[:20]!r} is no name: it must be 1 to {MAX_NAME} printable characters")
    if not isinstance(cameras, list) or len(cameras) > _MAX_CAMERAS:
        raise ValueError(f"cameras must be a list of at most {_MAX_CAMERAS}")
    fps, duration, world = (header.get(name) for name in ("fps", "duration", "data_world"))
    return {
        "names": tuple(names),
        "cameras": tuple(_camera(camera, f"camera {i}") for i, camera in enumerate(cameras)),
        "background": tuple(_matrix(header.get("background", [0, 0, 0]), (3,), "background", 0, 1).tolist()),
        "fps": None if fps is None else _number(fps, "fps", 1e-6, 1e6),
        "duration": None if duration is None else _number(duration, "duration", 1e-6, 1e9),
        "data_world": None if world is None else _similarity(world),
    }


def objects(tensors: dict[str, Tensor], summary: Any, gaussians: int) -> dict[str, Any] | None:
    """Return the state of a segmentation of `gaussians` Gaussians; None where the file has none.

    Args:
        tensors: indptr, indices, labels, parents and support, perhaps centres and colors; see `Segmentation`.
        summary: a JSON object, or None where there are no objects.
        gaussians: N.

    Raises:
        ValueError: it would be no segmentation.
    """
    if summary is None and not tensors:
        return None
    names = {"indptr", "indices", "labels", "parents", "support"}
    if not isinstance(summary, dict) or not names <= tensors.keys() <= names | {"centres", "colors"}:
        raise ValueError("the objects must be a summary and the tensors " + ", ".join(sorted(names)))
    indptr, indices, labels, parents, support = (
        tensors[name] for name in ("indptr", "indices", "labels", "parents", "support")
    )
    if support.ndim != 1:
        raise ValueError("support of the objects must be [O]")
    count = len(support)
    shapes = {
        "indptr": (torch.int64, (count + 1,)),
        "indices": (torch.int64, tuple(indices.shape[:1]) or (0,)),
        "labels": (torch.int64, (gaussians,)),
        "parents": (torch.int64, (count,)),
        "support": (torch.float32, (count,)),
    }
    if "centres" in tensors:
        shapes["centres"] = (torch.float32, (count, *(tensors["centres"].shape[1:2] or (0,))))
    if "colors" in tensors:
        shapes["colors"] = (torch.float32, (count, 3))
    for name, (dtype, shape) in shapes.items():
        tensor = tensors[name]
        if tensor.dtype != dtype or tensor.shape != shape:
            raise ValueError(f"{name} of the objects is of a wrong shape or type")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name} of the objects has values that are not finite")
    if indptr[0] != 0 or indptr[-1] != len(indices) or (indptr.diff() < 0).any():
        raise ValueError("indptr of the objects does not divide their indices")
    owners = torch.repeat_interleave(torch.arange(count), indptr.diff())
    same = owners[1:] == owners[:-1]
    if not _within(indices, 0, gaussians) or (indices.diff()[same] <= 0).any():
        raise ValueError("indices of the objects must be Gaussians of the scene, ascending in each object")
    if not _within(labels, -1, count) or not _within(parents, -1, count) or not _within(support, 0, 1.001):
        raise ValueError("labels, parents or support of the objects are out of range")
    above = parents
    for _ in range(count.bit_length() + 1):  # each round looks twice as far up; no object may be above itself
        above = torch.where(above >= 0, above[above], -1)
    if (above >= 0).any():
        raise ValueError("parents of the objects go round in a circle")
    if "colors" in tensors and not _within(tensors["colors"], 0, 1.001):
        raise ValueError("colors of the objects are out of range")
    return {**tensors, "summary": json.dumps(summary)}


def depth(value: Any) -> int:
    """Return how many JSON objects and lists lie within each other."""
    levels, inside = 0, [value]
    while inside := [item for item in inside if isinstance(item, (dict, list))]:
        levels += 1
        inside = [child for item in inside for child in (item.values() if isinstance(item, dict) else item)]
    return levels


def _within(values: Tensor, least: float, end: float) -> bool:
    """Whether all `values` are at least `least` and smaller than `end`."""
    return bool(((values >= least) & (values < end)).all())


def _camera(value: Any, name: str) -> Camera:
    if not isinstance(value, dict) or not {"viewmat", "K", "width", "height"} <= value.keys():
        raise ValueError(f"{name} needs viewmat, K, width and height")
    viewmat, K = _matrix(value["viewmat"], (4, 4), f"viewmat of {name}"), _matrix(value["K"], (3, 3), f"K of {name}")
    _check_rotation(viewmat[:3, :3], f"viewmat of {name}")
    if viewmat[3].tolist() != [0, 0, 0, 1] or not (K[0, 0] > 0 and K[1, 1] > 0) or K[2].tolist() != [0, 0, 1]:
        raise ValueError(f"{name} is no pinhole camera")
    width, height = (_number(value[side], f"{side} of {name}", 1, _MAX_PIXELS) for side in ("width", "height"))
    time = _number(value.get("time", 0), f"time of {name}", 0, 1)
    return Camera(viewmat.float(), K.float(), int(width), int(height), time)


def _similarity(value: Any) -> Similarity:
    if not isinstance(value, dict) or value.keys() != {"rotation", "translation", "scale"}:
        raise ValueError("data_world needs rotation, translation and scale")
    rotation = _matrix(value["rotation"], (3, 3), "rotation of data_world")
    _check_rotation(rotation, "rotation of data_world")
    translation = _matrix(value["translation"], (3,), "translation of data_world")
    return Similarity(rotation, translation, _number(value["scale"], "scale of data_world", 1 / _LARGEST, _LARGEST))


def _check_rotation(matrix: Tensor, name: str) -> None:
    turned = matrix @ matrix.T
    if (turned - torch.eye(3, dtype=matrix.dtype)).abs().max() > _RIGID or matrix.det() < 0:
        raise ValueError(f"{name} is no rotation")


def _matrix(
    value: Any, shape: tuple[int, ...], name: str, least: float = -_LARGEST, largest: float = _LARGEST
) -> Tensor:
    """Return a list of numbers, or of rows, as float64 of `shape`."""
    rows = value if len(shape) == 2 else [value]
    shaped = isinstance(rows, list) and len(rows) == (shape[0] if len(shape) == 2 else 1)
    if not shaped or any(not isinstance(row, list) or len(row) != shape[-1] for row in rows):
        raise ValueError(f"{name} must be numbers {list(shape)}")
    numbers = [[_number(entry, name, least, largest) for entry in row] for row in rows]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


def _number(value: Any, name: str, least: float, largest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= largest:
        raise ValueError(f"{name} must be from {least:g} to {largest:g}")
    return float(value)
