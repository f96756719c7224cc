"""Which Gaussians of a scene at rest cannot be at rest: those that the pictures of other times contradict."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from trase_ns.render import contributions, render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


@torch.no_grad()
def motion_evidence(gaussians: Gaussians, views: Iterable[tuple[Camera, Tensor]], background: Tensor) -> Tensor:
    """Return how likely each Gaussian is to move, [N] in [0, 1].

    What moves is elsewhere in nearly every picture, so the picture is wrong where it is drawn; what rests is wrong only
    where something passes before it. A Gaussian's error is the mean error of the pixels it contributes to.

    Args:
        gaussians: the scene as one that is at rest.
        views: cameras and pictures [H, W, 3] in [0, 1], of as many times as possible.
        background: [3] colour behind the Gaussians.
    """
    total = torch.zeros(len(gaussians), device=gaussians.means.device)
    seen = torch.zeros_like(total)
    for camera, picture in views:
        wrong = (render_view(gaussians, camera, background=background).color - picture).abs().mean(-1)
        weights = contributions(gaussians, camera)
        shares = weights.column_sums()
        mean = weights.transpose_matmul(wrong.reshape(-1, 1))[:, 0] / shares.clamp_min(1e-6)
        visible = shares > 0.1
        total += torch.where(visible, mean, 0.0)
        seen += visible
    error = total / seen.clamp_min(1)
    usual = error[seen > 0].median() if bool((seen > 0).any()) else error.median()
    high = torch.quantile(error[:1_000_000], 0.98).clamp_min(usual + 1e-6)
    return ((error - usual) / (high - usual)).clamp(0, 1)
