"""Nerfstudio's view of a capture: cameras with times, splits and seed points."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from nerfstudio.cameras.cameras import Cameras, CameraType
from nerfstudio.data.dataparsers.base_dataparser import DataParser, DataParserConfig, DataparserOutputs
from nerfstudio.data.scene_box import SceneBox

from trase_ns.capture import Capture, load_capture
from trase_ns.capture.frame import Frame
from trase_ns.capture.load import Format
from trase_ns.capture.undistort import pinhole
from trase_ns.capture.world import World, normalise, points_in_view
from trase_ns.errors import UserError
from trase_ns.plugin.keeps_up import KeepsUp
from trase_ns.plugin.preset import preset


@dataclass
class TraseDataParserConfig(KeepsUp, DataParserConfig):
    """How a capture is read."""

    _target: type = field(default_factory=lambda: TraseDataParser)
    data: Path = Path()
    """Folder of the data set."""
    format: Format = "auto"
    """Layout of the data set. auto: by the files in its folder."""
    image_scale: int | None = None
    """Read the pictures that were made smaller by this factor (rgb/2x, images_2x). Default: 2 where there are any."""
    moments: tuple[int, int] | None = field(default_factory=lambda: preset().moments)
    """Of several cameras, only the pictures numbered from the first up to, not including, the second."""
    time_from_order: bool = False
    """Give the frames times in [0, 1] by their order instead of reading `time` from the file."""
    eval_every: int = 8
    """Hold out every n-th frame where the file names no splits."""
    downscale_factor: float | None = None
    """Divide the image size by this, 1 or more. Default: so that a picture has at most max_pixels."""
    max_pixels: int = field(default_factory=lambda: preset().max_pixels)
    """Pixels of a training picture at most, if downscale_factor is not given."""
    max_points: int = field(default_factory=lambda: preset().max_gaussians // 2)
    """Sparse points at most that start Gaussians; of more, as many are drawn at random."""
    random_seeds: int = field(default_factory=lambda: preset().random_seeds)
    """Random points in the cameras' view that start the Gaussians beside the sparse points."""
    random_seeds_without_points: int = field(default_factory=lambda: preset().random_seeds_without_points)
    """The same where the capture has no sparse points."""


@dataclass
class TraseDataParser(DataParser):
    """Turns a `Capture` into Nerfstudio's parser outputs; `metadata["frames"]` keeps the frames of the split."""

    config: TraseDataParserConfig
    includes_time: bool = True

    def __init__(self, config: TraseDataParserConfig):
        super().__init__(config)
        self.downscale_factor = config.downscale_factor
        self._capture: Capture | None = None

    @property
    def capture(self) -> Capture:
        """The capture, read once."""
        if self._capture is None:
            if self.config.data == Path():
                raise UserError("no data: name the folder of the capture with --data DIR")
            self._capture = load_capture(
                self.config.data,
                time_from_order=self.config.time_from_order,
                eval_every=self.config.eval_every,
                format=self.config.format,
                image_scale=self.config.image_scale,
                moments=self.config.moments,
            )
        return self._capture

    def _generate_dataparser_outputs(self, split: str = "train", **_) -> DataparserOutputs:
        capture = self.capture
        # A capture without held-out frames is evaluated on what it was trained on rather than not at all.
        frames = capture.split(split) or capture.split("train")
        if not frames:
            raise UserError(f"{self.config.data}: no frame to train on; every frame is held out")

        world = normalise(np.stack([frame.c2w for frame in capture.frames]), capture.seed_points, capture.bounds)
        metadata: dict = {"frames": frames}
        if split == "train":
            points, colors = self._seeds(capture, frames, world)
            metadata["points3D_xyz"], metadata["points3D_rgb"] = points, colors
        return DataparserOutputs(
            image_filenames=[frame.image_path for frame in frames],
            cameras=self._cameras(frames, world),
            scene_box=SceneBox(aabb=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])),
            metadata=metadata,
            dataparser_transform=torch.from_numpy(world.transform).float(),
            dataparser_scale=world.scale,
        )

    def _factor(self, frame: Frame) -> float:
        if self.config.downscale_factor is not None:
            if not self.config.downscale_factor >= 1:
                raise UserError("--pipeline.datamanager.dataparser.downscale-factor: give a number of 1 or more")
            return self.config.downscale_factor
        return max(1.0, math.sqrt(frame.width * frame.height / self.config.max_pixels))

    def _cameras(self, frames: list[Frame], world: World) -> Cameras:
        poses = world.poses(np.stack([frame.c2w for frame in frames]))
        rows = []
        for frame in frames:
            factor = self._factor(frame)
            width, height = max(1, round(frame.width / factor)), max(1, round(frame.height / factor))
            fx, fy, cx, cy = pinhole(frame)
            x, y = width / frame.width, height / frame.height
            rows.append((fx * x, fy * y, cx * x, cy * y, width, height))
        fx, fy, cx, cy, width, height = torch.tensor(rows, dtype=torch.float64).T
        return Cameras(
            camera_to_worlds=torch.from_numpy(poses).float(),
            fx=fx.float(),
            fy=fy.float(),
            cx=cx.float(),
            cy=cy.float(),
            width=width.int(),
            height=height.int(),
            camera_type=CameraType.PERSPECTIVE,
            times=torch.tensor([frame.time for frame in frames], dtype=torch.float32),
        )

    def _seeds(self, capture: Capture, frames: list[Frame], world: World) -> tuple[torch.Tensor, torch.Tensor]:
        """Sparse points where there are any, and random ones that the training cameras see."""
        sparse = capture.seed_points if capture.seed_points is not None else np.zeros((0, 3), np.float32)
        count = self.config.random_seeds if len(sparse) else self.config.random_seeds_without_points
        tan = np.array([[f.width / (2 * f.fx), f.height / (2 * f.fy)] for f in frames])
        poses = world.poses(np.stack([f.c2w for f in frames]))
        # Far surfaces have sparse points or are few: random seeds serve what moves, in the near half of the view.
        far = (world.near + world.far) / 2 if len(sparse) else world.far
        random = points_in_view(poses, tan, world.near, far, count, seed=0)
        colored = capture.seed_colors if capture.seed_colors is not None else np.full((len(sparse), 3), 128, np.uint8)
        if len(sparse) > self.config.max_points:
            kept = np.random.default_rng(0).choice(len(sparse), self.config.max_points, replace=False)
            sparse, colored = sparse[kept], colored[kept]
        points = np.concatenate([world.points(sparse).astype(np.float32), random])
        colors = np.concatenate([colored, np.full((len(random), 3), 128, np.uint8)])
        return torch.from_numpy(points), torch.from_numpy(colors)
