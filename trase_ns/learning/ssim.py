"""Structural similarity of two pictures, differentiable in the first."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(color: Tensor, target: Tensor) -> Tensor:
    """Return the mean structural similarity (Wang et al. 2004), as 3DGS takes it: zero outside of the pictures.

    Args:
        color: [H, W, C] picture in [0, 1]; differentiable.
        target: [H, W, C] picture to compare it with; no gradient goes there.

    Returns:
        Scalar, at most 1.

    Raises:
        ValueError: the pictures differ in shape.
    """
    if color.shape != target.shape:
        raise ValueError(f"pictures differ in shape: {tuple(color.shape)} and {tuple(target.shape)}")
    target = target.detach()
    if color.device.type == "cpu" and color.dtype == torch.float32:
        return _Similarity.apply(color, target.float())
    return _convolved(color, target)


def _convolved(color: Tensor, target: Tensor) -> Tensor:
    """The same by torch's convolutions, on any device and in any precision."""
    channels = color.shape[-1]
    window = _window().to(color)
    x, y = (picture.permute(2, 0, 1)[None] for picture in (color, target))
    stack = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    rows = window.view(1, 1, -1, 1).expand(5 * channels, 1, -1, 1)
    columns = window.view(1, 1, 1, -1).expand(5 * channels, 1, 1, -1)
    half = _WINDOW // 2
    blurred = functional.conv2d(stack, rows, padding=(half, 0), groups=5 * channels)
    blurred = functional.conv2d(blurred, columns, padding=(0, half), groups=5 * channels)
    x, y, xx, yy, xy = blurred.split(channels, dim=1)
    numerator = (2 * x * y + _C1) * (2 * (xy - x * y) + _C2)
    return (numerator / ((x * x + y * y + _C1) * (xx - x * x + yy - y * y + _C2))).mean()


class _Similarity(torch.autograd.Function):
    """The CPU kernels; the gradient is made with the value, from the same blurred moments."""

    @staticmethod
    def forward(ctx: Any, color: Tensor, target: Tensor) -> Tensor:
        from trase_ns.learning import ssim_cpu
        from trase_ns.render.cpu.runtime import kernels

        height, _, channels = color.shape
        x, y = (picture.detach().contiguous().view(height, -1) for picture in (color, target))
        sums, means = x.new_empty(5, *x.shape), x.new_empty(5, *x.shape)
        gradients, blurred = x.new_empty(3, *x.shape), x.new_empty(3, *x.shape)
        rows = torch.empty(height, dtype=torch.float64)
        window = _window().numpy()
        with kernels():
            ssim_cpu.moments(x.numpy(), y.numpy(), sums.numpy())
            ssim_cpu.blur(sums.numpy(), window, channels, means.numpy())
            ssim_cpu.similarity(means.numpy(), _C1, _C2, gradients.numpy(), rows.numpy())
            if ctx.needs_input_grad[0]:
                ssim_cpu.blur(gradients.numpy(), window, channels, blurred.numpy())
        if ctx.needs_input_grad[0]:
            # The window is symmetric, so blurring is its own adjoint.
            gradient = blurred[0] + 2 * x * blurred[1] + y * blurred[2]
            ctx.save_for_backward(gradient.view(color.shape) / color.numel())
        return (rows.sum() / max(color.numel(), 1)).float()

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * incoming[0], None


@lru_cache(maxsize=1)
def _window() -> Tensor:
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return (weights / weights.sum()).float()
