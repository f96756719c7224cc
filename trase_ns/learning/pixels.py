"""Pixels of a frame, drawn at random, and the masks that cover them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trase_ns.masks import MaskSet


@dataclass(frozen=True)
class PixelSample:
    """P pixels of a frame.

    Attributes:
        pixels: [P, 2] int64, (x, y) in the camera's resolution, each pixel at most once.
        mask_vectors: [P, M] bool, which masks of the frame cover each pixel.
        mask_sizes: [M] float32, areas of the masks in pixels of their own resolution.
        paired: [P] bool, which pixels may form pairs: those under the masks that were drawn.
    """

    pixels: Tensor
    mask_vectors: Tensor
    mask_sizes: Tensor
    paired: Tensor


def sample_pixels(
    masks: MaskSet,
    width: int,
    height: int,
    count: int,
    mask_count: int | None = None,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> PixelSample:
    """Draw `count` pixels uniformly from the whole frame (TRASE's N_p), with the masks that cover them.

    Args:
        masks: masks of the frame, in any resolution of the same view.
        width, height: resolution of the camera.
        count: number of pixels; all of them where the frame has no more.
        mask_count: number of masks to draw (25 or 50 in the paper's runs): only pixels that one of them covers form
            pairs. `mask_vectors` keeps all masks, so that a pair which shares a mask that was not drawn is still no
            negative one. All masks if None.
        generator: source of both draws, on the CPU.
        device: where the result lies.
    """
    total = width * height
    # numpy draws a few of very many without touching them all; torch's generator stays the one source of chance.
    seed = int(torch.randint(2**62, (), generator=generator))
    place = np.random.default_rng(seed).choice(total, min(count, total), replace=False)
    pixels = np.stack([place % width, place // width], axis=1)
    vectors = torch.from_numpy(masks.at(to_mask_pixels(pixels, width, height, masks)))
    if mask_count is None or mask_count >= len(masks):
        paired = vectors.any(dim=1)
    else:
        paired = vectors[:, torch.randperm(len(masks), generator=generator)[:mask_count]].any(dim=1)
    return PixelSample(
        torch.from_numpy(pixels).to(device),
        vectors.to(device),
        torch.from_numpy(masks.areas.astype(np.float32)).to(device),
        paired.to(device),
    )


def to_mask_pixels(pixels: np.ndarray, width: int, height: int, masks: MaskSet) -> np.ndarray:
    """Return the pixels of `masks` [P, 2] under the centres of `pixels` [P, 2] of a width x height picture."""
    scale = np.array([masks.width / width, masks.height / height])
    return ((pixels + 0.5) * scale).astype(np.int64)
