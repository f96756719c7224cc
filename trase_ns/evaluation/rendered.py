"""Pictures of a scene along a camera path, as people look at it: the scene, a selection, its objects, its depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.evaluation.rendered_masks import label_colors, selection_mask
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.scene.moments import Moments
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.pictures import segment_colours, selection_overlay

Show = Literal["scene", "selection", "overlay", "segments", "depth", "mask", "labels"]
OF_SELECTION: tuple[Show, ...] = ("selection", "overlay", "mask")
OF_OBJECTS: tuple[Show, ...] = ("segments", "labels")

# Cameras that are asked for the range of depths, and the share of their picture's sides that is enough for that.
_ASKED = 8
_SCALE = 0.25
# Pixels that show less of the scene than this have no depth.
_SEEN = 0.5


def render_pictures(
    scene: DynamicGaussians,
    cameras: Sequence[Camera],
    show: Show = "scene",
    selection: Tensor | None = None,
    segmentation: Segmentation | None = None,
    background: Tensor | None = None,
    rasterize_mode: str = "classic",
) -> Iterator[np.ndarray]:
    """Render one picture after the other, with a progress bar.

    Args:
        scene: N Gaussians.
        cameras: views and times.
        show: "scene"; "selection", alone; "overlay", the scene with the selection tinted and all else dimmed;
            "segments", the Gaussians blended in their objects' colours; "depth", near red and far blue in one range for
            all cameras, black where nothing is; "mask", where the selection is seen in the scene, white on black;
            "labels", what object each pixel shows, in colours.
        selection: bool [N], for "selection", "overlay" and "mask".
        segmentation: for "segments" and "labels".
        background: [3] colour behind "scene", "selection" and "overlay"; None for transparent (not the overlay, which
            is then on black).
        rasterize_mode: "classic" or "antialiased".

    Returns:
        uint8 pictures, [H, W, 3], with straight alpha [H, W, 4], or [H, W] 0 and 255 for "mask".

    Raises:
        UserError: what is to be shown is not there.
    """
    options = {"rasterize_mode": rasterize_mode}
    draw: Callable[[Gaussians, Camera], np.ndarray]
    if show in OF_SELECTION and (selection is None or not bool(selection.any())):
        raise UserError(f"nothing is selected, so there is no {show} to show. Select something first.")
    if show in OF_OBJECTS and (segmentation is None or not len(segmentation)):
        raise UserError(f"there are no objects, so there are no {show} to show. Find them with `trase cluster`.")
    if show == "scene":
        draw = partial(_colors, background=background, **options)
    elif show == "selection":
        assert selection is not None
        scene = scene.subset(selection)
        draw = partial(_colors, background=background, **options)
    elif show == "overlay":
        draw = partial(_overlay, selection=selection, background=background, **options)
    elif show == "mask":
        assert selection is not None
        draw = partial(_mask, selection=selection)
    elif show == "depth":
        draw = partial(_depth, span=depth_range(scene, cameras), **options)
    else:
        assert segmentation is not None
        draw = partial({"segments": _segments, "labels": _labels}[show], segmentation=segmentation)
    return _drawn(scene, cameras, draw)


@torch.no_grad()
def depth_range(scene: DynamicGaussians, cameras: Sequence[Camera]) -> tuple[float, float]:
    """Return the depths between which nearly all is that the cameras see, in world units; a few of them are asked."""
    found = [torch.zeros(0)]
    for index in np.unique(np.linspace(0, len(cameras) - 1, _ASKED).round().astype(int)):
        camera = cameras[index].scaled(_SCALE)
        view = render_view(scene.at(camera.time), camera, depth=True)
        assert view.depth is not None
        found.append(view.depth[view.alpha > _SEEN].cpu())
    depths = torch.cat(found).numpy()
    near, far = np.percentile(depths, [1, 99]) if len(depths) else (0.0, 1.0)
    return float(near), float(max(far, near + 1e-6))


@torch.no_grad()
def _drawn(
    scene: DynamicGaussians, cameras: Sequence[Camera], draw: Callable[[Gaussians, Camera], np.ndarray]
) -> Iterator[np.ndarray]:
    moments = Moments(1)
    for camera in track(cameras, "rendering"):
        yield draw(moments.at(scene, camera.time), camera)


def _colors(gaussians: Gaussians, camera: Camera, background: Tensor | None, **options: Any) -> np.ndarray:
    view = render_view(gaussians, camera, background=background, **options)
    if background is not None:
        return _uint8(view.color)
    straight = view.color / view.alpha.clamp_min(1e-6)  # PNG's colours are not multiplied with alpha
    return _uint8(torch.cat([straight, view.alpha], dim=-1))


def _overlay(
    gaussians: Gaussians, camera: Camera, selection: Tensor, background: Tensor | None, **options: Any
) -> np.ndarray:
    rgb = render_view(gaussians, camera, background=background, **options).color.clamp(0, 1)
    weight = render_view(gaussians, camera, selection[:, None].to(rgb), **options).color
    return _uint8(selection_overlay(rgb, weight))


def _segments(gaussians: Gaussians, camera: Camera, segmentation: Segmentation) -> np.ndarray:
    colors = segment_colours(segmentation, len(gaussians))
    assert colors is not None
    return _uint8(render_view(gaussians, camera, colors.to(gaussians.means)).color)


def _labels(gaussians: Gaussians, camera: Camera, segmentation: Segmentation) -> np.ndarray:
    return label_colors(gaussians, segmentation, camera)


def _mask(gaussians: Gaussians, camera: Camera, selection: Tensor) -> np.ndarray:
    return selection_mask(gaussians, selection, camera).astype(np.uint8) * 255


def _depth(gaussians: Gaussians, camera: Camera, span: tuple[float, float], **options: Any) -> np.ndarray:
    import matplotlib

    view = render_view(gaussians, camera, depth=True, **options)
    assert view.depth is not None
    near, far = span
    share = ((far - view.depth) / (far - near)).clamp(0, 1)[..., 0].cpu().numpy()
    colors = matplotlib.colormaps["turbo"](share, bytes=True)[..., :3]
    return np.where((view.alpha > _SEEN).cpu().numpy(), colors, np.uint8(0))


def _uint8(picture: Tensor) -> np.ndarray:
    return (picture.clamp(0, 1) * 255).round().byte().cpu().numpy()
