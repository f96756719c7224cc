"""The picture of one camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from trase_ns.render.rasterization import rasterize
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


@dataclass(frozen=True)
class View:
    """What one camera sees.

    Attributes:
        color: [H, W, C] colours, or whatever channels were asked for.
        alpha: [H, W, 1] in [0, 1].
        depth: [H, W, 1] expected depth along the camera's axis in world units (0 where nothing is), or None.
        info: what densification reads; see `rasterize`.
    """

    color: Tensor
    alpha: Tensor
    depth: Tensor | None
    info: dict[str, Any]


def render_view(
    gaussians: Gaussians,
    camera: Camera,
    colors: Tensor | None = None,
    background: Tensor | None = None,
    depth: bool = False,
    sh_degree: int | None = None,
    **options: Any,
) -> View:
    """Render what `camera` sees of `gaussians`, on their device.

    Args:
        gaussians: N Gaussians at the camera's time.
        camera: OpenCV axes, on any device.
        colors: [N, C] channels to blend; by default the colours of the spherical harmonics.
        background: [C], black by default.
        depth: also render the expected depth.
        sh_degree: highest degree of the spherical harmonics to use; all by default.
        **options: passed on to `rasterize`, such as `absgrad`, `rasterize_mode` and `backend`.

    Raises:
        ValueError: see `rasterize`.
    """
    device = gaussians.means.device
    if colors is None:
        colors = gaussians.sh
        sh_degree = gaussians.sh_degree if sh_degree is None else min(sh_degree, gaussians.sh_degree)
    else:
        sh_degree = None
    pictures, alphas, info = rasterize(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        colors,
        camera.viewmat[None].to(device),
        camera.K[None].to(device),
        camera.width,
        camera.height,
        sh_degree=sh_degree,
        backgrounds=None if background is None else background.to(device)[None],
        render_mode="RGB+ED" if depth else "RGB",
        **options,
    )
    picture = pictures[0]
    return View(
        color=picture[..., :-1] if depth else picture,
        alpha=alphas[0],
        depth=picture[..., -1:] if depth else None,
        info=info,
    )
