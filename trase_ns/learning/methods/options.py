"""Options of the methods, with the papers' numbers as defaults; apart from torch, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Method = Literal["trase", "cgc", "click", "dgd", "uplift"]


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
class CgcOptions:
    """Contrastive Gaussian Clustering."""

    steps: int = 600
    """Steps: in the paper's 30,000, every 50th contrasts segments."""
    dimensions: int = 16
    """Numbers of a feature."""
    pixels: int | None = None
    """Pixels drawn from a frame in a step. Default: all of them."""
    smallest_segment: int = 100
    """Segments of fewer pixels of the frame are left out."""
    temperature: Literal["program", "paper"] = "program"
    """The temperature of each segment: as in the paper it learns little, the authors' program takes ten times that."""
    threshold: float = 0.7
    """Least cosine of what belongs to an object."""
    spatial_every: int = 2
    """Steps between those that also regularise in space (100 and 50 in the paper)."""
    spatial_sample: int = 1000
    """Gaussians drawn for that."""
    learning_rate: float = 0.0025
    """Rate of Adam; the paper names none."""


@dataclass(frozen=True)
class ClickOptions:
    """Click-Gaussian."""

    steps: int = 3000
    """Steps."""
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
    learning_rate: float = 0.01
    """Rate of Adam."""


@dataclass(frozen=True)
class DgdOptions:
    """DGD: distillation of feature maps."""

    maps: Path | None = None
    """Folder with a map for each frame, FRAME.npy or FRAME.safetensors: numbers [height, width, channels] of any
    resolution that cover the picture."""
    pca: int | None = None
    """Numbers that are kept of each feature, by their principal components. Default: all."""
    steps: int = 15_000
    """Steps: the authors' program trains features in its last 15,000."""
    pixels: int = 5000
    """Pixels drawn from a frame in a step; the paper takes all."""
    threshold: float = 0.7
    """Least cosine of what belongs to an object: theta, which the paper chooses for each scene."""
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
