"""Defaults that fit the device: a 2-core laptop and a GPU get the same method at another size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import yaml


@dataclass(frozen=True)
class Preset:
    """Sizes and schedule of a run; every number is the default of an option of `ns-train trase`."""

    max_pixels: int
    random_seeds: int
    random_seeds_without_points: int
    window_from: int
    window_until: int
    max_gaussians: int
    sh_degree: int
    field_depth: int
    field_width: int
    warmup_steps: int
    geometry_steps: int
    densify_until: int
    densify_gradient: float
    opacity_reset_every: int
    time_noise_steps: int
    deformation_lr_steps: int
    feature_steps: int
    feature_pixels: int
    steps_per_save: int


def device() -> Literal["cpu", "cuda"]:
    """Return the device that this machine trains on: "cuda" where there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@lru_cache(maxsize=1)
def preset() -> Preset:
    """Return the preset of this machine's device, from `trase_ns/configs`."""
    text = (files("trase_ns") / "configs" / f"{device()}.yaml").read_text(encoding="utf8")
    return Preset(**yaml.safe_load(text))
