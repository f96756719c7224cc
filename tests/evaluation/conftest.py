"""A run made by hand: two balls, one that moves and passes behind the other, seen by a real camera on real pictures."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from trase_ns.capture import load_capture
from trase_ns.capture.frame import Capture, Frame
from trase_ns.capture.undistort import pinhole
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.objects import Segmentation

WIDTH, HEIGHT, FOCAL = 96, 72, 90.0
TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)


class Slide(nn.Module):
    """The Gaussians of `moving` (bool [N]) go two units along x from time 0 to 1."""

    def __init__(self, moving):
        super().__init__()
        self.moving = moving

    def move(self, means, quats, log_scales, motion, time):
        shift = torch.zeros_like(means)
        shift[:, 0] = 2.0 * time * self.moving
        return means + shift, quats, log_scales


@dataclass
class HandFrame:
    source: Frame
    camera: Camera

    @property
    def name(self):
        return self.source.name

    @property
    def split(self):
        return self.source.split


@dataclass
class HandRun:
    scene: DynamicGaussians
    segmentation: Segmentation | None
    capture: Capture
    config_path: Path

    def frame(self, name):
        frame = self.capture.frame(name)
        fx, fy, cx, cy = pinhole(frame)
        return HandFrame(
            frame, Camera.from_opengl(frame.c2w, fx, fy, cx, cy, frame.width, frame.height, frame.time).resized(48, 36)
        )


def ball(centre, color, generator):
    offsets = nn.functional.normalize(torch.randn(300, 3, generator=generator), dim=1) * 0.35
    return torch.tensor(centre) + offsets, torch.tensor(color).expand(300, 3)


def make_run(folder, distortion=None):
    """Write a capture of five moments and return the run; object 0 is in front, object 1 slides by behind it."""
    generator = torch.Generator().manual_seed(0)
    front, red = ball([0.0, 0.0, 0.5], [1.5, -1.5, -1.5], generator)
    back, blue = ball([-1.0, 0.0, -0.5], [-1.5, -1.5, 1.5], generator)
    moving = torch.arange(600) >= 300
    scene = DynamicGaussians(
        torch.cat([front, back]),
        torch.tensor([1.0, 0, 0, 0]).expand(600, 4),
        torch.full((600, 3), 0.06).log(),
        torch.full((600,), 4.0),
        torch.cat([red, blue]),
        torch.zeros(600, 0, 3),
        torch.zeros(600, 4),
        Slide(moving),
    )
    pose = np.eye(4)
    pose[2, 3] = 4.0
    (folder / "images").mkdir(parents=True)
    frames = []
    for i, time in enumerate(TIMES):
        camera = Camera.from_opengl(pose, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT, time)
        picture = render_view(scene.at(time), camera).color.clamp(0, 1)
        Image.fromarray((picture * 255).byte().numpy()).save(folder / "images" / f"image{i}.png")
        frames.append({"file_path": f"images/image{i}.png", "time": time, "transform_matrix": pose.tolist()})
    document = {"fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "w": WIDTH, "h": HEIGHT}
    names = [frame["file_path"] for frame in frames]
    document |= {"frames": frames, "train_filenames": names[:4], "test_filenames": names[4:], **(distortion or {})}
    document["camera_model"] = "OPENCV"
    (folder / "transforms.json").write_text(json.dumps(document))
    objects = Segmentation.from_members([~moving, moving], 600, features=None)
    return HandRun(scene, objects, load_capture(folder), folder / "config.yml")


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "data")


@pytest.fixture
def straight_camera():
    """The camera of all moments at full size, without a lens."""
    pose = torch.eye(4)
    pose[2, 3] = 4.0
    return Camera.from_opengl(pose, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT)
