"""What the model shows of a view, to Nerfstudio's viewer and renderer."""

from __future__ import annotations

import torch
from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.scene_box import OrientedBox
from torch import Tensor

from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians
from trase_ns.viewer.controller import SegmentationController


def scene_camera(camera: Cameras, device: torch.device | str) -> Camera:
    """Turn one Nerfstudio camera (OpenGL axes) into ours; without a time it is at time 0."""
    flat = camera.reshape((-1,))
    fx, fy, cx, cy = (float(getattr(flat, name)[0]) for name in ("fx", "fy", "cx", "cy"))
    time = float(flat.times[0]) if flat.times is not None else 0.0
    width, height = int(flat.width[0]), int(flat.height[0])
    return Camera.from_opengl(flat.camera_to_worlds[0].cpu(), fx, fy, cx, cy, width, height, time).to(device)


@torch.no_grad()
def view_outputs(
    gaussians: Gaussians,
    camera: Camera,
    background: Tensor,
    controller: SegmentationController,
    sh_degree: int,
    crop: OrientedBox | None = None,
    rasterize_mode: str = "classic",
) -> dict[str, Tensor]:
    """Render all that can be looked at.

    Args:
        gaussians: the Gaussians at the camera's time.
        camera: the view.
        background: [3] colour behind them.
        controller: what is selected.
        sh_degree: degree of the harmonics in use.
        crop: show only Gaussians inside this box.
        rasterize_mode: "classic" or "antialiased".

    Returns:
        "rgb" [H, W, 3], "depth" and "accumulation" [H, W, 1], "background", "segments" and "selection" [H, W, 3].
    """
    keep = None
    if crop is not None:
        keep = crop.within(gaussians.means).reshape(-1)
        gaussians = gaussians.subset(keep)
    view = render_view(
        gaussians, camera, background=background, depth=True, sh_degree=sh_degree, rasterize_mode=rasterize_mode
    )
    color = view.color.clamp(0, 1)
    assert view.depth is not None
    # Where nothing is seen the depth is that of the farthest thing seen, so that pictures of it have a range.
    depth = torch.where(view.alpha > 0, view.depth, view.depth.max())
    return {
        "rgb": color,
        "depth": depth,
        "accumulation": view.alpha,
        "background": background.expand(camera.height, camera.width, 3),
        **controller.pictures(gaussians, camera, color, keep, rasterize_mode=rasterize_mode),
    }
