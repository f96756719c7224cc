"""What is left where an object is removed: Gaussians that no picture ever showed clear of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from trase_ns.console import track
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.segmentation.portrait import spread_views
from trase_ns.segmentation.visibility import visible_weight

# Of what comes to light of a Gaussian, this share at least must have been seen clear of the object before.
SHOWN = 0.2
# Views are looked at in pictures of this many pixels along the longer side; of many views so many, evenly spaced.
SMALL = 256
VIEWS = 32
# A pixel is clear of the object if nowhere within this many pixels it makes up more than this share.
AROUND = 3
CLEAR = 0.1


@torch.no_grad()
def remains(
    scene: DynamicGaussians,
    mask: Tensor,
    cameras: Sequence[Camera],
    shown: float = SHOWN,
    at: Callable[[float], Gaussians] | None = None,
) -> Tensor:
    """Find what would come to light if a selection were removed although no picture ever showed it.

    Inside and behind an object there are Gaussians that training could put anywhere, in any colour, and others that it
    used for the object's border: once the object is gone they stand there as specks in its shape. What a picture did
    show, from another side or at another time, stays.

    Args:
        scene: the scene.
        mask: bool [N], what is to be removed.
        cameras: the views that the scene was trained with, with their times; some of many are used.
        shown: least share, in [0, 1], of a Gaussian's weight after the removal that pixels clear of the selection gave
            it before, summed over the views. 0 finds nothing; more finds more, at last the background where the
            object mostly hid it.
        at: returns the scene's Gaussians at a time; `scene.at` by default.

    Returns:
        bool [N], none of them in `mask`; none at all where there are no views.
    """
    before = scene.means.new_zeros(len(scene))
    after = torch.zeros_like(before)
    views = spread_views(cameras, VIEWS)
    for camera in track(views, "what it hides", len(views)):
        small = camera.scaled(min(1.0, SMALL / max(camera.width, camera.height)))
        gaussians = (at or scene.at)(camera.time)
        clear = ~_around(gaussians, mask, small)
        before += visible_weight(gaussians, small, clear[..., None])[:, 0]
        after[~mask] += visible_weight(gaussians.subset(~mask), small)[:, 0]
    return ~mask & (before < shown * after)


def _around(gaussians: Gaussians, mask: Tensor, camera: Camera) -> Tensor:
    """Where a selection is seen, or near: bool [H, W]."""
    from trase_ns.render import render_view

    share = render_view(gaussians, camera.to(mask.device), mask[:, None].to(gaussians.means)).color[..., 0]
    return max_pool2d((share > CLEAR).float()[None], 2 * AROUND + 1, stride=1, padding=AROUND)[0] > 0
