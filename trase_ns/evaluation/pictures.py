"""Pictures of predictions, ground truth and errors; all images are uint8 [H, W, 3], all masks bool [H, W]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Told apart also by people who cannot tell red from green.
PREDICTED = (255, 176, 0)
TRUE = (0, 190, 190)
AGREED = (120, 220, 130)
EXTRA = (240, 70, 60)
MISSED = (60, 110, 250)
GAP = 6


@dataclass(frozen=True)
class Mark:
    """A click to draw: pixel x (right) and y (down), and whether it asks for the object or excludes it."""

    x: float
    y: float
    positive: bool = True


def tint(image: np.ndarray, mask: np.ndarray, color: tuple[int, int, int], strength: float = 0.55) -> np.ndarray:
    """Return `image` with the pixels of `mask` mixed with `color` (8-bit RGB) at `strength` in [0, 1]."""
    tinted = image.astype(np.float32)
    tinted[mask] += strength * (np.asarray(color, np.float32) - tinted[mask])
    return tinted.round().astype(np.uint8)


def errors(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return a grey, dark `image` with agreement (green), extra (red) and missed (blue) pixels in colours."""
    grey = np.repeat(image.mean(axis=2, keepdims=True) * 0.6, 3, axis=2).astype(np.uint8)
    for mask, color in ((prediction & truth, AGREED), (prediction & ~truth, EXTRA), (truth & ~prediction, MISSED)):
        grey = tint(grey, mask, color, 0.7)
    return grey


def draw_marks(image: np.ndarray, marks: Sequence[Mark]) -> np.ndarray:
    """Return `image` with a ring for each mark: green with a plus to ask for, red with a minus to exclude."""
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image)
    canvas = ImageDraw.Draw(picture)
    radius = max(4.0, 0.016 * max(picture.size))
    for mark in marks:
        color = (60, 220, 90) if mark.positive else (255, 70, 70)
        for width, ink in ((5, (0, 0, 0)), (2, color)):
            reach = radius * 0.45
            canvas.circle((mark.x, mark.y), radius, outline=ink, width=width)
            canvas.line((mark.x - reach, mark.y, mark.x + reach, mark.y), fill=ink, width=width)
            if mark.positive:
                canvas.line((mark.x, mark.y - reach, mark.x, mark.y + reach), fill=ink, width=width)
    return np.asarray(picture)


def comparison(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray, marks: Sequence[Mark] = ()) -> np.ndarray:
    """Return image (with `marks`), prediction, ground truth and errors side by side: uint8 [H, 4 W + gaps, 3]."""
    panels = (
        draw_marks(image, marks),
        tint(image, prediction, PREDICTED),
        tint(image, truth, TRUE),
        errors(image, prediction, truth),
    )
    gap = np.full((image.shape[0], GAP, 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], axis=1)


def panels_of(picture: np.ndarray, count: int = 4) -> list[np.ndarray]:
    """Return the panels of a picture that `comparison` returned: image, prediction, ground truth and errors."""
    width = (picture.shape[1] - (count - 1) * GAP) // count
    return [picture[:, i * (width + GAP) :][:, :width] for i in range(count)]


def contact_sheet(rows: Sequence[tuple[str, Sequence[tuple[str, np.ndarray]]]], tile_width: int = 200) -> np.ndarray:
    """Return captioned pictures in rows, each row with a title above: uint8 [H, W, 3].

    Args:
        rows: for each row its title, and the caption and image of each of its tiles.
        tile_width: width to which each image is resized, in pixels.
    """
    from PIL import Image, ImageDraw, ImageFont

    title_font, caption_font = ImageFont.load_default(16), ImageFont.load_default(11)
    tiles = [[(caption, _to_width(image, tile_width)) for caption, image in row] for _, row in rows]
    heights = [max((tile.height for _, tile in row), default=0) + 18 for row in tiles]
    columns = max((len(row) for row in tiles), default=0)
    sheet = Image.new("RGB", (GAP + columns * (tile_width + GAP), GAP + sum(h + 28 for h in heights)), "white")
    canvas = ImageDraw.Draw(sheet)
    top = GAP
    for (title, _), row, height in zip(rows, tiles, heights):
        canvas.text((GAP, top), title, fill="black", font=title_font)
        for column, (caption, tile) in enumerate(row):
            left = GAP + column * (tile_width + GAP)
            sheet.paste(tile, (left, top + 24))
            canvas.text((left, top + 26 + tile.height), caption, fill=(70, 70, 70), font=caption_font)
        top += height + 28
    return np.asarray(sheet)


def save(image: np.ndarray, path: Path) -> None:
    """Write a uint8 [H, W, 3] image to `path` (PNG or JPEG by its suffix), whole or not at all."""
    from PIL import Image

    from trase_ns.files import atomic_write

    with atomic_write(path) as temporary:
        Image.fromarray(image).save(temporary, quality=90)


def _to_width(image: np.ndarray, width: int):
    from PIL import Image

    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
