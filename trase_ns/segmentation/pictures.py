"""Two pictures of a segmentation: its objects in stable colours, and what is selected of a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
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
