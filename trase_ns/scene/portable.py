"""A moving scene in one file: a safetensors file that plays, composes and exports without its data set."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.scene import portable_header
from trase_ns.scene.camera import Camera
from trase_ns.scene.field_state import below, finite, scene_from_state, scene_to_state
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity

SUFFIX = ".safetensors"
VERSION = 1
_KEY = "trase_scene"
_OBJECTS = "objects."
_TYPES = (torch.float16, torch.float32, torch.float64, torch.int32, torch.int64)
_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True)
class Portable:
    """What a portable file holds.

    Attributes:
        scene: the moving scene.
        objects: its objects, as `Segmentation.to_state` returns them and `Segmentation.from_state` takes them, or None.
        names: a name for each object, at most 200 printable characters; or none at all.
        cameras: views to begin with, in the coordinates of the scene.
        background: colour behind the Gaussians, red, green and blue in [0, 1].
        fps: frames per second of the recording, or None where it is not known.
        duration: seconds from time 0 to time 1, or None where it is not known.
        data_world: map from the scene's coordinates to those of the data set that it was made from, or None.
    """

    scene: DynamicGaussians
    objects: dict[str, Any] | None = None
    names: tuple[str, ...] = ()
    cameras: tuple[Camera, ...] = ()
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fps: float | None = None
    duration: float | None = None
    data_world: Similarity | None = None


def write_portable(path: Path, content: Portable, half_features: bool = True) -> None:
    """Write a moving scene as one safetensors file, whole or not at all; `docs/portable.md` specifies it.

    Gaussians with values that are not finite are hidden, with a warning: nothing could show them, and all others keep
    their numbers.

    Args:
        path: the file, by custom with the suffix `.safetensors`.
        content: what to write, on any device.
        half_features: write the features in half precision; all else keeps its own.

    Raises:
        UserError: the content is nothing that could be read again, or the file cannot be written.
    """
    from safetensors.numpy import save_file

    path = Path(path)
    try:
        tensors, field = scene_to_state(_without_broken(content.scene, path))
        tensors = {
            name: t.float() if t.dtype == torch.float64 and "." not in name else t for name, t in tensors.items()
        }
        if half_features:
            tensors["features"] = tensors["features"].clamp(-_HALF, _HALF).half()
        summary = None
        if content.objects is not None:
            tensors |= {_OBJECTS + name: t for name, t in content.objects.items() if isinstance(t, Tensor)}
            summary = json.loads(content.objects["summary"])
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        header = {"version": VERSION, "field": field, "objects": summary, **portable_header.to_json(content)}
        text = json.dumps(header)
        _assemble(tensors, json.loads(text))
    except (ValueError, KeyError) as error:
        raise UserError(f"cannot write {path}: {error}. Mend the scene, or leave that out.") from error
    with atomic_write(path) as temporary:
        save_file({name: tensor.numpy() for name, tensor in tensors.items()}, temporary, metadata={_KEY: text})


def read_portable(path: Path) -> Portable:
    """Read what `write_portable` wrote; on the CPU, float32, without gradients.

    Everything in the file is checked, and no more memory is taken than twice its size: it may come from anywhere.

    Raises:
        UserError: the file is missing, cut short, no portable scene, from a newer version, or holds what is no scene.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such file: {path}. Name a scene that `trase export` wrote.")
    try:
        with safe_open(path, framework="pt") as file:  # checks that sizes and places of all tensors fit the file
            text = (file.metadata() or {}).get(_KEY)
            if text is None:
                raise ValueError("it is a safetensors file, but no portable scene")
            header = _parsed(text)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
        return _assemble(tensors, header)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix("Error while deserializing header: ") or type(error).__name__
        raise UserError(f"cannot read {path}: {reason[:300]}. Export the scene again.") from error


def _parsed(text: str) -> dict[str, Any]:
    """Return the header, of a version that is known and no deeper than any scene needs."""
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    version = header.get("version")
    if not isinstance(version, int) or version < 1:
        raise ValueError("its header says no version")
    if version > VERSION:
        raise ValueError(
            f"it is of version {version} of the format, which is newer than this program's ({VERSION}); update trase_ns"
        )
    if portable_header.depth(header) > portable_header.MAX_DEPTH:
        raise ValueError("its header is nested too deeply")
    return header


def _assemble(tensors: dict[str, Tensor], header: dict[str, Any]) -> Portable:
    """Make what the tensors and the header of a file say, or say what is wrong with them (ValueError)."""
    for name, tensor in tensors.items():
        if tensor.dtype not in _TYPES:
            raise ValueError(f"tensor {name[:80]!r} is of type {str(tensor.dtype).removeprefix('torch.')}")
    of_scene = {name: tensor for name, tensor in tensors.items() if not name.startswith(_OBJECTS)}
    if "features" in of_scene and of_scene["features"].dtype == torch.float16:
        of_scene["features"] = of_scene["features"].float()
    scene = scene_from_state(of_scene, header.get("field"))
    objects = portable_header.objects(below(tensors, _OBJECTS), header.get("objects"), len(scene))
    count = 0 if objects is None else len(objects["support"])
    return Portable(scene, objects, **portable_header.from_json(header, count))


def _without_broken(scene: DynamicGaussians, path: Path) -> DynamicGaussians:
    """Return the scene with those Gaussians hidden that no file may hold."""
    fine = finite(scene)
    if fine.all():
        return scene
    warn(f"{path}: {int((~fine).sum())} Gaussians that are not finite are hidden")
    names = ("means", "quats", "log_scales", "sh0", "sh_rest", "features", "motion")
    values = {name: getattr(scene, name).clone() for name in names if getattr(scene, name) is not None}
    for name, value in values.items():
        if name != "motion" or value.is_floating_point():
            value[~fine] = 0
    values["quats"][~fine, 0] = 1
    hidden = scene.logit_opacities.masked_fill(~fine, -torch.inf)
    return replace(scene, **values, logit_opacities=hidden)
