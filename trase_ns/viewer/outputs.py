"""What is shown of a view: the outputs of Nerfstudio's viewer and renderer and of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trase_ns.render import render_view
from trase_ns.segmentation.pictures import segmentation_pictures

if TYPE_CHECKING:
    from nerfstudio.data.scene_box import OrientedBox

    from trase_ns.scene.camera import Camera
    from trase_ns.scene.gaussians import Gaussians
    from trase_ns.segmentation.objects import Segmentation


@torch.no_grad()
def view_outputs(
    gaussians: Gaussians,
    camera: Camera,
    background: Tensor,
    segmentation: Segmentation | None = None,
    selected: Tensor | None = None,
    sh_degree: int | None = None,
    crop: OrientedBox | None = None,
    rasterize_mode: str = "classic",
) -> dict[str, Tensor]:
    """Render all that can be looked at.

    Args:
        gaussians: the Gaussians at the camera's time.
        camera: the view.
        background: [3] colour behind them.
        segmentation: the objects of the scene, or None.
        selected: bool [N], what is selected of the scene, or None.
        sh_degree: degree of the harmonics in use; None for all.
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
        **segmentation_pictures(gaussians, camera, color, segmentation, selected, keep, rasterize_mode=rasterize_mode),
    }
