"""Small pictures of objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.segmentation.visibility import visible_weight

# Views are compared in pictures of this many pixels along the longer side; of many views so many, evenly spaced.
SMALL = 96
VIEWS = 12
# Of what is seen of an object, this share is left out at each edge of its picture: specks far off.
SPECKS = 0.01
MARGIN = 0.12
# What makes up less of all pixels than this is not seen: it shines through.
SHINES = 0.1
# What is in view but not of the object keeps this brightness.
DIM = 0.3
# A dark object is brightened until its bright parts are as bright as this, at most so many times.
BRIGHT, BRIGHTENED = 0.85, 2.5


@torch.no_grad()
def visible_shares(
    scene: DynamicGaussians, cameras: Sequence[Camera], at: Callable[[float], Gaussians] | None = None
) -> Tensor:
    """Return [F, N] float32, the share of each view's picture that each Gaussian makes up.

    The views are rendered small. Times a mask as a column it says which view sees an object best; make it once for
    the portraits of all objects.

    Args:
        scene: the scene.
        cameras: F views with their times.
        at: returns the scene's Gaussians at a time; `scene.at` by default.
    """
    rows = []
    for camera in cameras:
        small = camera.scaled(min(1.0, SMALL / max(camera.width, camera.height)))
        weight = visible_weight((at or scene.at)(camera.time), small)[:, 0]
        rows.append(weight / (small.width * small.height))
    return torch.stack(rows) if rows else scene.means.new_zeros(0, len(scene))


def spread_views(cameras: Sequence[Camera], count: int = VIEWS) -> list[Camera]:
    """Return at most `count` of the cameras, evenly spaced over them."""
    step = max(len(cameras) / count, 1)
    return [cameras[int((i + 0.5) * step)] for i in range(min(len(cameras), count))]


@torch.no_grad()
def portrait(
    scene: DynamicGaussians,
    mask: Tensor,
    cameras: Sequence[Camera],
    size: int = 96,
    shares: Tensor | None = None,
    background: Tensor | None = None,
    at: Callable[[float], Gaussians] | None = None,
) -> Tensor:
    """Take a picture of an object: from the view that shows the most of it, cropped to it, all else dimmed.

    A dark object is brightened. An object that no view shows is pictured alone, from the first.

    Args:
        scene: the scene.
        mask: bool [N], the object.
        cameras: the views to choose from, with their times, at least one; few (see `spread_views`), for each is
            rendered small unless `shares` are given.
        size: width and height of the picture in pixels.
        shares: what `visible_shares` returned for these cameras; worked out by default.
        background: [3] RGB in [0, 1], black by default.
        at: returns the scene's Gaussians at a time; `scene.at` by default.

    Returns:
        [size, size, 3] uint8 on the CPU.

    Raises:
        UserError: nothing is selected.
        ValueError: there is no camera.
    """
    from trase_ns.render import render_view

    if not bool(mask.any()):
        raise UserError("nothing is selected: there is nothing to take a picture of.")
    if not cameras:
        raise ValueError("no camera to take a picture with")
    at = at or scene.at
    shares = visible_shares(scene, cameras, at) if shares is None else shares
    camera = cameras[int((shares @ mask.to(shares)).argmax())].to(scene.device)
    gaussians = at(camera.time)
    close = _close_up(gaussians, mask, camera, size)
    if close is None:
        gaussians, mask = gaussians.subset(mask), mask[mask]
        close = _close_up(gaussians, mask, camera, size) or camera.resized(size, size)
    picture = render_view(gaussians, close, background=background).color.clamp(0, 1)
    weight = render_view(gaussians, close, colors=mask[:, None].to(gaussians.means)).color.clamp(0, 1)
    shown = picture[weight[..., 0] >= 0.5]
    if len(shown):
        bright = shown.amax(dim=1).quantile(0.95)
        picture = (picture * (BRIGHT / bright.clamp_min(1e-6)).clamp(1, BRIGHTENED)).clamp_max(1)
    picture = picture * torch.lerp(weight.new_tensor(DIM), weight.new_tensor(1.0), weight)
    return (picture * 255).round().to(torch.uint8).cpu()


def _close_up(gaussians: Gaussians, mask: Tensor, camera: Camera, size: int) -> Camera | None:
    """Return the square camera that shows what `camera` sees of the object, or None if that is less than a pixel."""
    from trase_ns.render import render_view

    small = camera.scaled(min(1.0, SMALL / max(camera.width, camera.height)))
    weight = render_view(gaussians, small, colors=mask[:, None].to(gaussians.means)).color[..., 0]
    weight = weight.where(weight >= (0.5 * weight.max()).clamp_min(SHINES), 0)  # not what only shines through
    if float(weight.sum()) < 1:
        return None
    (left, right), (top, bottom) = _extent(weight.sum(dim=0)), _extent(weight.sum(dim=1))
    side = max(right - left, bottom - top, 2) * (1 + 2 * MARGIN)
    K = small.K.clone()
    K[0, 2] -= (left + right - side) / 2
    K[1, 2] -= (top + bottom - side) / 2
    K[:2] *= size / side
    return Camera(small.viewmat, K, size, size, small.time)


def _extent(profile: Tensor) -> tuple[int, int]:
    """Return where the bulk of a profile [n] begins and ends, in pixels."""
    share = (profile.cumsum(0) / profile.sum()).contiguous()
    start, end = torch.searchsorted(share, share.new_tensor([SPECKS, 1 - SPECKS])).tolist()
    return int(start), int(min(end, len(profile) - 1)) + 1
