"""What evaluation has to know of a trained run; the plugin's runs are such."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from trase_ns.capture.frame import Frame
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.objects import Segmentation


class ScoredFrame(Protocol):
    """A frame of a run: what scoring has to know of it."""

    @property
    def name(self) -> str:
        """Name of the frame in the data set."""
        ...

    @property
    def split(self) -> str:
        """The split in which the frame is: "train", "val" or "test"."""
        ...

    @property
    def camera(self) -> Camera:
        """The view and its time, at training resolution."""
        ...

    @property
    def source(self) -> Frame:
        """The frame in its capture: picture, size and lens."""
        ...


class ScoredRun(Protocol):
    """A trained run: what scoring has to know of it."""

    @property
    def scene(self) -> DynamicGaussians:
        """The trained scene."""
        ...

    @property
    def segmentation(self) -> Segmentation | None:
        """Its objects."""
        ...

    @property
    def config_path(self) -> Path:
        """The run's config.yml."""
        ...

    def frame(self, name: str) -> ScoredFrame:
        """Return the frame called `name`; UserError where there is none."""
        ...
