"""Outputs of a rendering as what pages take: bytes for the eye, and a depth that hides what is behind."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Longer side of the depth that is sent: it is compressed badly, and edges of gizmos need no more.
_DEPTH_SIZE = 256
# Where less than this is seen, nothing hides what is behind.
_SEEN = 0.5


def to_image(output: Tensor) -> NDArray[np.uint8]:
    """Return an output as a picture [H, W, 3].

    Args:
        output: [H, W, 3] colours in [0, 1], or [H, W, 1] of any range, which is stretched over the colours of "turbo".
    """
    if output.shape[-1] == 3:
        return (output.clamp(0.0, 1.0) * 255).round().to(torch.uint8).numpy(force=True)
    values = output[..., 0].float().nan_to_num(0.0, 0.0, 0.0)
    low, high = values.min(), values.max()
    index = (values - low) / (high - low).clamp_min(1e-9) * 255
    return _turbo()[index.to(torch.uint8).numpy(force=True)]


def depth_buffer(outputs: dict[str, Tensor], scale: float) -> NDArray[np.float32] | None:
    """Return how far away is what a picture shows, or None where the outputs do not say.

    Args:
        outputs: "depth" [H, W, 1] along the view in the scene's units, and "accumulation" [H, W, 1] in [0, 1].
        scale: the page's units in one of the scene.

    Returns:
        [h, w] in the page's units, far away where nothing is seen; of at most 256 pixels a side.
    """
    if "depth" not in outputs or "accumulation" not in outputs:
        return None
    step = -(-max(outputs["depth"].shape[:2]) // _DEPTH_SIZE)
    depth, alpha = (outputs[name][step // 2 :: step, step // 2 :: step, 0] for name in ("depth", "accumulation"))
    far = torch.full_like(depth, 1e6)
    return torch.where(alpha >= _SEEN, depth * scale, far).float().numpy(force=True)


@cache
def _turbo() -> NDArray[np.uint8]:
    """[256, 3] colours from dark blue over green to dark red."""
    import matplotlib

    return (matplotlib.colormaps["turbo"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
