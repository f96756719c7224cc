"""Defaults that fit the device: a 2-core laptop and a GPU get the same method at another size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

from trase_ns.errors import UserError
from trase_ns.learning.methods.options import OPTIONS, Method, Options

PRESETS = ("cpu", "cuda", "motion", "rig")
# Of data sets: a base for each device and what differs from it.
FAMILIES = ("nerf-ds", "hypernerf", "dnerf", "dycheck", "neu3d", "immersive", "technicolor")

_family: ContextVar[str | None] = ContextVar("family", default=None)


@dataclass(frozen=True)
class Preset:
    """Sizes and schedule of a run; every number is the default of an option of `ns-train trase`."""

    max_pixels: int
    random_seeds: int
    random_seeds_without_points: int
    window_from: int
    window_until: int
    window_start: float
    max_gaussians: int
    sh_degree: int
    field_type: Literal["mlp", "basis"]
    field_motions: int
    field_keys: int
    field_smoothness: float
    field_depth: int
    field_width: int
    field_position_bands: int
    field_time_bands: int
    warmup_steps: int
    geometry_steps: int
    densify_from: int
    densify_until: int
    densify_gradient: float
    opacity_reset_every: int
    time_noise_steps: int
    deformation_lr_steps: int
    feature_steps: int
    feature_pixels: int
    steps_per_save: int
    moments: tuple[int, int] | None = None


def device() -> Literal["cpu", "cuda"]:
    """Return the device that this machine trains on: "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def preset() -> Preset:
    """Return the preset of this machine's device, or of the family of `for_family`, from `trase_ns/configs`.

    The environment variable TRASE_PRESET ("cpu", "cuda", "motion" or "rig") asks for another one: "motion" follows
    things that move far, which the schedules of the devices average away; "rig" follows fast things that several
    cameras film.

    Raises:
        UserError: TRASE_PRESET names no preset.
    """
    return chosen(_family.get())


@contextmanager
def for_family(name: str) -> Iterator[None]:
    """Let `preset` return that of a family of data sets, one of `FAMILIES`."""
    token = _family.set(name)
    try:
        yield
    finally:
        _family.reset(token)


@cache
def chosen(family: str | None) -> Preset:
    """Return the preset that TRASE_PRESET asks for, else that of `family`, else that of the device; read once.

    Raises:
        UserError: TRASE_PRESET names no preset.
    """
    name = os.environ.get("TRASE_PRESET")
    if name and name not in PRESETS:
        raise UserError(f"TRASE_PRESET is {name!r}: set it to cpu, cuda, motion or rig, or unset it")
    if name or family is None:
        return Preset(**_read(name or device()))
    settings = _read(family)
    own = settings[device()]
    base = _read(own.pop("preset"))
    moments = settings.get("moments")
    return Preset(**{**base, **own, "moments": tuple(moments) if moments else None})


@cache
def method_options(method: Method) -> Options:
    """Return the options of a method with the defaults of this machine's device: without a GPU it does less."""
    return OPTIONS[method](**(_read("methods").get(device()) or {}).get(method, {}))


def _read(name: str) -> dict[str, Any]:
    path = files("trase_ns") / "configs" / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf8"))
