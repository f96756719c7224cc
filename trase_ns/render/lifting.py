"""The transpose of rendering: from the pixels of a view to the Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor

from trase_ns.render.contributions import EPS2D, FAR_PLANE, NEAR_PLANE
from trase_ns.render.rasterization import check_arguments
from trase_ns.render.view import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


@torch.no_grad()
def lift(
    gaussians: Gaussians,
    camera: Camera,
    picture: Tensor,
    out: tuple[Tensor, Tensor] | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """Return W^T picture, for each Gaussian the sum over pixels of its blending weight times their values, and W^T 1.

    The same as `transpose_matmul` and `column_sums` of `contributions`, in about the time of rendering the picture: W
    is never in memory.

    Args:
        gaussians: N Gaussians at the camera's time.
        camera: OpenCV axes, on any device.
        picture: [H, W, C] float32 on the Gaussians' device.
        out: sums of other views, as this function returns them, to which those of this one are added in place.
        backend: as in `rasterize`.

    Returns:
        [N, C] float32, and [N] float32, the total weight of each Gaussian; `out` if it was given.

    Raises:
        ValueError: the picture has not the camera's size, or see `rasterize`.
    """
    if picture.dim() != 3 or picture.shape[:2] != (camera.height, camera.width):
        raise ValueError(f"a picture of {list(picture.shape)} for a camera of {camera.width} x {camera.height} pixels")
    g, device = gaussians, gaussians.means.device
    scene = g.means, g.quats, g.scales, g.opacities, camera.viewmat[None].to(device), camera.K[None].to(device)
    backend = check_arguments(*scene, camera.width, camera.height, backend)
    if out is None:
        out = torch.zeros(len(g), picture.shape[2], device=device), torch.zeros(len(g), device=device)
    if backend == "cpu":
        from trase_ns.render.cpu.functions import lift as lift_on_cpu

        lift_on_cpu(*scene, camera.width, camera.height, picture, NEAR_PLANE, FAR_PLANE, EPS2D, *out)
        return out
    ones = torch.ones_like(picture[..., :1])
    with torch.enable_grad():
        colors = torch.zeros(len(g), picture.shape[2] + 1, dtype=g.means.dtype, device=device, requires_grad=True)
        rendered = render_view(g, camera, colors=colors, backend=backend).color
    lifted = torch.autograd.grad(rendered, colors, torch.cat([picture, ones], dim=2).to(rendered))[0]
    return out[0].add_(lifted[:, :-1]), out[1].add_(lifted[:, -1])
