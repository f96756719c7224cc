"""Two pictures of a segmentation: its objects in stable colours, and what is selected of a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from trase_ns.scene.camera import Camera
    from trase_ns.scene.gaussians import Gaussians
    from trase_ns.segmentation.objects import Segmentation

NO_OBJECT = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Overlay:
    """How a selection is shown over the picture.

    Attributes:
        tint: RGB in [0, 1], the colour of what is selected.
        strength: share of the tint in what is selected, in [0, 1].
        dim: brightness that is left to what is not selected, in [0, 1].
    """

    tint: tuple[float, float, float] = (1.0, 0.55, 0.1)
    strength: float = 0.45
    dim: float = 0.4


def segment_colours(segmentation: Segmentation, count: int) -> Tensor | None:
    """Return the colour of each Gaussian's object: the same object has the same colour in every view.

    Args:
        segmentation: the objects of the scene.
        count: number of Gaussians of the scene, N.

    Returns:
        [N, 3] float32 RGB in [0, 1], on the device of the labels, grey for Gaussians of no object; None where the
        segmentation belongs to another number of Gaussians.
    """
    labels = segmentation.labels
    if len(labels) != count:
        return None
    grey = torch.tensor([NO_OBJECT], device=labels.device)
    palette = torch.as_tensor(segmentation.palette, dtype=torch.float32, device=labels.device).reshape(-1, 3)
    return torch.cat([palette, grey])[labels]  # label -1 is the last row


def selection_overlay(rgb: Tensor, weight: Tensor, overlay: Overlay | None = None) -> Tensor:
    """Return the picture with the selection tinted and all else dimmed.

    Args:
        rgb: [H, W, 3] picture in [0, 1].
        weight: [H, W, 1] share of each pixel that selected Gaussians make up, in [0, 1].
        overlay: colours and strengths; the default ones where it is None.

    Returns:
        [H, W, 3] in [0, 1].
    """
    overlay = overlay or Overlay()
    selected = torch.lerp(rgb, rgb.new_tensor(overlay.tint), overlay.strength)
    return torch.lerp(rgb * overlay.dim, selected, weight.clamp(0.0, 1.0)).clamp(0.0, 1.0)


@torch.no_grad()
def segmentation_pictures(
    gaussians: Gaussians,
    camera: Camera,
    rgb: Tensor,
    segmentation: Segmentation | None,
    selected: Tensor | None,
    keep: Tensor | None = None,
    overlay: Overlay | None = None,
    **options: Any,
) -> dict[str, Tensor]:
    """Render the objects and the selection of a view; one pass for both.

    Args:
        gaussians: the Gaussians of the scene at the camera's time, or M of them.
        camera: the view.
        rgb: [H, W, 3] its picture in [0, 1].
        segmentation: the objects of the scene, or None.
        selected: bool [N], the selection, or None.
        keep: bool [N] or integers [M], which Gaussians of the scene `gaussians` holds; None for all.
        overlay: how the selection is shown.
        options: further options of `render_view`.

    Returns:
        "segments": [H, W, 3], the objects in their colours, grey where there is none. "selection": [H, W, 3],
        the picture with the selection tinted and all else dimmed; the picture itself where nothing is selected.
    """
    from trase_ns.render import render_view

    pictures = {"segments": rgb.mean(-1, keepdim=True).expand_as(rgb), "selection": rgb}
    count = len(gaussians) if keep is None else None
    values = []
    if segmentation is not None and count in (None, segmentation.gaussians):
        colours = segment_colours(segmentation, segmentation.gaussians)
        assert colours is not None
        values.append(colours.to(rgb.device))
    if selected is not None and count in (None, len(selected)):
        values.append(selected[:, None].to(rgb))
    if not values:
        return pictures
    colors = torch.cat(values, dim=-1)
    picture = render_view(gaussians, camera, colors if keep is None else colors[keep], **options).color
    if values[0].shape[1] == 3:
        pictures["segments"] = picture[..., :3].clamp(0.0, 1.0)
    if values[-1].shape[1] == 1:
        pictures["selection"] = selection_overlay(rgb, picture[..., -1:], overlay)
    return pictures
