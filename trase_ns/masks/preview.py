"""A picture of masks over their image, to judge them at a glance."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from PIL import Image

from trase_ns.files import atomic_write
from trase_ns.masks.mask_set import MaskSet


def on_white(image: np.ndarray) -> np.ndarray:
    """Put an image with transparency on white; [H, W, 3 or 4] uint8 to [H, W, 3] uint8."""
    if image.shape[2] == 3:
        return image
    alpha = image[..., 3:].astype(np.float32) / 255.0
    return (image[..., :3] * alpha + 255.0 * (1.0 - alpha)).round().astype(np.uint8)


def overlay(image: np.ndarray, masks: MaskSet) -> np.ndarray:
    """Paint masks over their image, large ones first, each in its own colour with a light border.

    Args:
        image: [H, W, 3] uint8.
        masks: its masks, at any size.

    Returns:
        [H, W, 3] uint8.
    """
    height, width = image.shape[:2]
    dense = masks.resized(height, width)
    picture = image.astype(np.float32)
    for place, index in enumerate(np.argsort(-masks.areas)):
        mask = dense[index]
        # Steps of the golden ratio around the colour circle keep neighbours in the list apart.
        color = 255.0 * np.array(colorsys.hsv_to_rgb(place * 0.618034 % 1.0, 0.75, 1.0))
        picture[mask] = 0.5 * picture[mask] + 0.5 * color
        border = mask & ~(np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1))
        picture[border] = 0.3 * color + 0.7 * 255.0
    return picture.round().astype(np.uint8)


def write_preview(path: Path, image: np.ndarray, masks: MaskSet) -> None:
    """Write `overlay(image, masks)` to a picture file.

    Raises:
        UserError: it cannot be written.
    """
    with atomic_write(path) as temporary:
        Image.fromarray(overlay(image, masks)).save(temporary)
