"""Nerfstudio's cameras as ours."""

from __future__ import annotations

import torch
from nerfstudio.cameras.cameras import Cameras

from trase_ns.scene.camera import Camera


def scene_camera(camera: Cameras, device: torch.device | str) -> Camera:
    """Turn one Nerfstudio camera (OpenGL axes) into ours; without a time it is at time 0."""
    flat = camera.reshape((-1,))
    fx, fy, cx, cy = (float(getattr(flat, name)[0]) for name in ("fx", "fy", "cx", "cy"))
    time = float(flat.times[0]) if flat.times is not None else 0.0
    width, height = int(flat.width[0]), int(flat.height[0])
    return Camera.from_opengl(flat.camera_to_worlds[0].cpu(), fx, fy, cx, cy, width, height, time).to(device)
