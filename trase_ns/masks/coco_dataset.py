"""Masks of many pictures as one COCO data set of instances, which the field's tools read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.files import atomic_write
from trase_ns.masks.rle import encode


@dataclass(frozen=True)
class CocoFrame:
    """The masks of one picture.

    Attributes:
        file_name: name of the picture.
        width, height: its size in pixels.
        time: its moment in [0, 1].
        masks: category (counted from 0) and mask (bool [H, W]) of each; they may overlap.
    """

    file_name: str
    width: int
    height: int
    time: float
    masks: list[tuple[int, np.ndarray]]


def write_coco_dataset(frames: Iterable[CocoFrame], categories: Sequence[str], path: Path) -> int:
    """Write images, categories and annotations; each category is one instance, the same in all pictures.

    Annotations have `segmentation` (compressed RLE), `area`, `bbox` (x, y, width, height in pixels) and `iscrowd` 0;
    all ids count from 1. Images have their `time` as well.

    Args:
        frames: taken one at a time; only their encoded masks are kept.
        categories: names.
        path: the file, replaced at one stroke.

    Returns:
        The number of annotations.

    Raises:
        UserError: it cannot be written.
    """
    from pycocotools import mask as coco

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame in frames:
        size = {"width": frame.width, "height": frame.height}
        images.append({"id": len(images) + 1, "file_name": frame.file_name, **size, "time": frame.time})
        for category, mask in frame.masks:
            counts = encode(mask)
            rle: Any = {"size": [frame.height, frame.width], "counts": counts}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": len(images),
                    "category_id": category + 1,
                    "segmentation": {**rle, "counts": counts.decode("ascii")},
                    "area": int(coco.area(rle)),
                    "bbox": coco.toBbox(rle).tolist(),
                    "iscrowd": 0,
                }
            )
    named = [{"id": i + 1, "name": name, "supercategory": "object"} for i, name in enumerate(categories)]
    with atomic_write(path) as temporary:
        content = {"images": images, "annotations": annotations, "categories": named}
        temporary.write_text(json.dumps(content), encoding="utf-8")
    return len(annotations)
