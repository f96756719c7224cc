"""Options of the methods, with the papers' numbers as defaults; apart from torch, for the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from trase_ns.errors import UserError

Method = Literal["trase", "cgc", "click", "dgd", "uplift"]
# How objects are found, see docs/methods.md.
Objects = Literal["masks", "mask-features", "hdbscan", "dbscan", "candidates", "threshold", "clicks"]
T = TypeVar("T")


@dataclass(frozen=True)
class TraseOptions:
    """TRASE; what is not given is as the run was configured."""

    steps: int | None = None
    """Steps. Default: the feature steps of the run, or where it had none those of this machine."""
    pixels: int | None = None
    """Pixels drawn from a frame in a step."""
    masks: int | None = None
    """Masks drawn from a frame in a step whose pixels form pairs."""
    mining: Literal["soft", "hard", "none"] | None = None
    """Which pairs count: soft (the paper), hard, or none (all pairs)."""
    shared_only_large: Literal["positive", "ignore", "negative"] | None = None
    """What two pixels are that share only masks larger than their finest."""
    multi_frame: bool = False
    """Carry the masks of each frame on to the next moment by the motion of the Gaussians, and learn there, too: the
    paper's ablation, at twice the cost."""


@dataclass(frozen=True)
class CgcSettings:
    """What Contrastive Gaussian Clustering minimises."""

    dimensions: int = 16
    """Numbers of a feature."""
    pixels: int | None = None
    """Pixels drawn from a frame in a step. Default: all of them."""
    smallest_segment: int | None = None
    """Segments of fewer pixels are left out. Default: 100 as in the paper, in small pictures a thousandth of them."""
    temperature: Literal["program", "paper"] = "program"
    """The temperature of each segment: as in the paper it learns little, the authors' program takes ten times that."""
    threshold: float = 0.7
    """Least cosine of what belongs to an object."""
    spatial_every: int = 2
    """Steps between those that also regularise in space (100 and 50 in the paper)."""
    spatial_sample: int = 1000
    """Gaussians drawn for that."""


@dataclass(frozen=True)
class CgcOptions(CgcSettings):
    """Contrastive Gaussian Clustering."""

    steps: int = 600
    """Steps: in the paper's 30,000, every 50th contrasts segments."""
    learning_rate: float = 0.0025
    """Rate of Adam; the paper names none."""


@dataclass(frozen=True)
class ClickSettings:
    """What Click-Gaussian minimises."""

    dimensions: int = 24
    """Numbers of a feature; the first half says which whole, all of them which part."""
    pixels: int = 10_000
    """Pixels drawn from a frame in a step."""
    guidance_from: float = 2 / 3
    """Share of the steps after which Gaussians are guided by the candidates of all views."""
    refresh_every: int = 200
    """Steps after which the candidates are found anew; the paper says at intervals."""
    neighbours: int = 5
    """Neighbours that a Gaussian is to resemble."""
    spatial_sample: int = 100_000
    """Gaussians drawn for that."""


@dataclass(frozen=True)
class ClickOptions(ClickSettings):
    """Click-Gaussian."""

    steps: int = 3000
    """Steps."""
    learning_rate: float = 0.01
    """Rate of Adam."""


@dataclass(frozen=True)
class DgdSettings:
    """What DGD minimises."""

    maps: Path | None = None
    """Folder with a map for each frame, FRAME.npy or FRAME.safetensors: numbers [height, width, channels] of any
    resolution that cover the picture."""
    pca: int | None = None
    """Numbers that are kept of each feature, by their principal components. Default: all."""
    pixels: int = 5000
    """Pixels drawn from a frame in a step; the paper takes all."""
    threshold: float = 0.7
    """Least cosine of what belongs to an object: theta, which the paper chooses for each scene."""


@dataclass(frozen=True)
class DgdOptions(DgdSettings):
    """DGD: distillation of feature maps."""

    steps: int = 15_000
    """Steps: the authors' program trains features in its last 15,000."""
    learning_rate: float = 0.0025
    """Rate of Adam."""


@dataclass(frozen=True)
class UpliftOptions:
    """LUDVIG: uplifting, without training."""

    maps: Path | None = None
    """Folder with a feature map for each frame, as for DGD. Default: the masks are uplifted."""
    pca: int | None = 40
    """Numbers that are kept of each feature of the maps."""
    dimensions: int = 64
    """Numbers of a feature that is made of masks."""
    threshold: float = 0.7
    """Least cosine of what belongs to an object that is found by features."""


Options = TraseOptions | CgcOptions | ClickOptions | DgdOptions | UpliftOptions
OPTIONS: dict[Method, type[Options]] = {
    "trase": TraseOptions,
    "cgc": CgcOptions,
    "click": ClickOptions,
    "dgd": DgdOptions,
    "uplift": UpliftOptions,
}


def converted(kind: type[T], source: Any, **more: Any) -> T:
    """Return a dataclass `kind` with what it has in common with the dataclass `source`, and with `more`.

    Options become settings so, and settings with steps become options.
    """
    shared = {f.name: getattr(source, f.name) for f in fields(kind) if hasattr(source, f.name)}  # type: ignore[arg-type]
    return kind(**{**shared, **more})


def check_options(
    method: Method, groups: Mapping[str, Any], defaults: Mapping[str, Any] | None = None, prefix: str = "--"
) -> None:
    """Check the options of a method before anything is loaded.

    Args:
        method: the method.
        groups: options or settings of methods, by method.
        defaults: what these are where nothing is given; by default those of their classes.
        prefix: what the names of options begin with, for messages.

    Raises:
        UserError: one is out of its range, belongs to another method, or is missing.
    """
    for name, group in groups.items():
        default = type(group)() if defaults is None else defaults[name]
        for entry in fields(group):
            value, option = getattr(group, entry.name), f"{prefix}{name}.{entry.name.replace('_', '-')}"
            if name != method and value != getattr(default, entry.name):
                raise UserError(f"{option} is no option of {prefix}method {method}, but of {name}.")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if entry.name == "threshold" and not -1 <= value <= 1:
                raise UserError(f"{option} {value:g}: it is a cosine, from -1 to 1.")
            if entry.name == "guidance_from" and not 0 <= value <= 1:
                raise UserError(f"{option} {value:g}: it is a share of the steps, from 0 to 1.")
            if entry.name not in ("threshold", "guidance_from") and not 0 < value < float("inf"):
                raise UserError(f"{option} {value:g}: use a number above 0.")
    if method == "click" and groups["click"].dimensions % 2:
        dimensions = groups["click"].dimensions
        raise UserError(f"{prefix}click.dimensions {dimensions}: use an even number, half for each level.")
    if method == "dgd" and groups["dgd"].maps is None:
        raise UserError(f"{prefix}method dgd needs feature maps: name their folder with {prefix}dgd.maps.")
