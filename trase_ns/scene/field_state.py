"""Scenes taken apart into tensors and plain JSON, and put together again, whatever fields move them."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor

from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import MAX_DEGREE

# The kinds of fields that may be named in a file, and where they are.
KINDS = {
    "mlp": ("trase_ns.scene.deformation", "DeformationField"),
    "basis": ("trase_ns.scene.motion_basis", "MotionBasis"),
    "keys": ("trase_ns.scene.baked", "KeyTimes"),
    "arrangement": ("trase_ns.scene.arrangement", "Arrangement"),
}
_CANONICAL = ("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "features")
_FIELD = "field."


def scene_to_state(scene: DynamicGaussians) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Take a scene apart.

    Returns:
        The tensors, detached: `means` and so on as in `DynamicGaussians`, and `field.NAME` for those of the field's
        `state_dict`; and what `describe_field` says of the field.
    """
    tensors = {name: getattr(scene, name).detach() for name in _CANONICAL}
    if scene.motion is not None:
        tensors["motion"] = scene.motion.detach()
    if scene.field is not None:
        tensors |= {_FIELD + name: tensor.detach() for name, tensor in scene.field.state_dict().items()}
    return tensors, describe_field(scene.field)


def scene_from_state(tensors: dict[str, Tensor], described: Any) -> DynamicGaussians:
    """Put together what `scene_to_state` took apart; the tensors are shared, not copied, and get no gradients.

    Everything is checked: names, shapes, types and sizes, that values are finite (opacities may be 0), that the motion
    fits the field. So the state may come from a file that nobody vouches for.

    Raises:
        ValueError: something is missing, wrong or too much; the message says what.
    """
    of_field = below(tensors, _FIELD)
    own = {name: tensor for name, tensor in tensors.items() if not name.startswith(_FIELD)}
    motion = own.pop("motion", None)
    _check_canonical(own)
    for name, tensor in {**of_field, **({} if motion is None else {"motion": motion})}.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name} of the field has values that are not finite")
    field = field_from_state(described, of_field)
    if field is not None:
        field.check_motion(motion, len(own["means"]))
    elif motion is not None:
        raise ValueError("there is motion, but no field")
    return DynamicGaussians(**{name: own[name] for name in _CANONICAL}, field=field, motion=motion)


def describe_field(field: Field | None) -> dict[str, Any] | None:
    """Return the kind of a field and its `spec` as a JSON object, None for None; fields of fields nest it."""
    return None if field is None else {"kind": field.kind, "spec": field.spec()}


def field_from_state(described: Any, tensors: dict[str, Tensor]) -> Field | None:
    """Make a field again.

    Args:
        described: what `describe_field` returned.
        tensors: the field's `state_dict`, finite; see `below`.

    Raises:
        ValueError: there is no such kind of field, or something is missing, wrong or too much.
    """
    if described is None:
        if tensors:
            raise ValueError("there are tensors of a field, but no field")
        return None
    if not isinstance(described, dict) or described.keys() != {"kind", "spec"}:
        raise ValueError("what describes the field needs kind and spec")
    kind, spec = described["kind"], described["spec"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"unknown kind of field {str(kind)[:40]!r}; known are {', '.join(KINDS)}")
    if not isinstance(spec, dict):
        raise ValueError("the spec of the field must be a JSON object")
    module, name = KINDS[kind]
    return getattr(import_module(module), name).from_state(spec, tensors)


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return those of `tensors` whose names begin with `prefix`, named by the rest."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def finite(scene: DynamicGaussians) -> Tensor:
    """Return bool [N], true for Gaussians with finite values and scales; opacities may be exactly 0 or 1."""
    fine = ~scene.logit_opacities.isnan() & scene.log_scales.exp().isfinite().all(dim=1)
    for tensor in (scene.means, scene.quats, scene.log_scales, scene.sh0, scene.sh_rest, scene.features, scene.motion):
        if tensor is not None:
            fine = fine & tensor[:, None].isfinite().flatten(1).all(dim=1)
    return fine


def _check_canonical(tensors: dict[str, Tensor]) -> None:
    missing, unknown = sorted(set(_CANONICAL) - tensors.keys()), sorted(tensors.keys() - set(_CANONICAL))
    if missing or unknown:
        raise ValueError(f"there is no tensor {missing[0]}" if missing else f"unknown tensor {unknown[0][:80]!r}")
    count = len(tensors["means"]) if tensors["means"].ndim else 0
    if not count:
        raise ValueError("there are no Gaussians")
    rest = tensors["sh_rest"].shape[1] if tensors["sh_rest"].ndim == 3 else 0
    if rest + 1 not in [(degree + 1) ** 2 for degree in range(MAX_DEGREE + 1)]:
        raise ValueError(f"{rest + 1} coefficients are no degree of spherical harmonics up to {MAX_DEGREE}")
    shapes = {
        "means": (3,),
        "quats": (4,),
        "log_scales": (3,),
        "logit_opacities": (),
        "sh0": (3,),
        "sh_rest": (rest, 3),
        "features": tuple(tensors["features"].shape[1:2]) or (0,),
    }
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.shape != (count, *shape) or tensor.dtype != torch.float32:
            found = f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
            raise ValueError(f"{name} must be float32 {[count, *shape]}, not {found}")
    broken = ~finite(DynamicGaussians(**cast("dict[str, Any]", tensors)))
    if broken.any():
        raise ValueError(f"{int(broken.sum())} of {count} Gaussians have values that are not finite")
