"""Masks as COCO-RLE JSON, as segment-anything writes them with output_mode="coco_rle"."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.masks.frame_folder import FrameFolder
from trase_ns.masks.mask_set import MaskSet
from trase_ns.masks.rle import compress, run_lengths

SUFFIX = ".json"


def read_coco(path: Path, frame: str) -> MaskSet:
    """Read the masks of one frame from a JSON list of records with a `segmentation` (`size`, `counts`).

    Args:
        path: the file; `counts` may be compressed text or a list, `predicted_iou` becomes the score.
        frame: name of the frame.

    Raises:
        UserError: the file is missing, truncated, or holds something else; sizes differ between masks.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the masks {path} ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"the mask file {path} is not valid JSON ({error}): write it again or delete it.") from error
    if isinstance(records, dict):
        records = records.get("annotations")
    if not isinstance(records, list):
        raise UserError(f"the mask file {path} must be a JSON list of masks, each with a COCO-RLE 'segmentation'.")
    if not records:  # nothing was found in the frame, and nothing tells the size
        return MaskSet(frame, 1, 1, (), np.zeros(0, dtype=np.float32))
    rles, scores, sizes = [], [], set()
    for index, record in enumerate(records):
        try:
            segmentation = record["segmentation"]
            height, width = (int(side) for side in segmentation["size"])
            runs = run_lengths(segmentation["counts"], height, width)
            score = float(record.get("predicted_iou", 1.0))
            if not math.isfinite(score):
                raise ValueError("predicted_iou is not finite")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(
                f"the mask file {path} is damaged: mask {index} is no COCO-RLE ({error}); write it again or delete it."
            ) from error
        sizes.add((height, width))
        if runs[1::2].any():
            counts = segmentation["counts"]
            rles.append(counts.encode("ascii") if isinstance(counts, str) else compress(runs))
            scores.append(score)
    if len(sizes) > 1:
        raise UserError(f"the mask file {path} has masks of different sizes: {sorted(sizes)}; write it again.")
    height, width = sizes.pop()
    return MaskSet(frame, height, width, tuple(rles), np.array(scores, dtype=np.float32))


def write_coco(masks: MaskSet, path: Path) -> None:
    """Write masks as a JSON list of COCO-RLE records with `segmentation`, `area`, `bbox` and `predicted_iou`.

    Args:
        masks: the masks of one frame.
        path: the file, replaced at one stroke.

    Raises:
        UserError: it cannot be written.
    """
    records: list[dict[str, Any]] = []
    for index, (counts, score) in enumerate(zip(masks.rles, masks.scores, strict=True)):
        rows, columns = np.nonzero(masks.mask(index))
        left, top = int(columns.min()), int(rows.min())
        records.append(
            {
                "segmentation": {"size": [masks.height, masks.width], "counts": counts.decode("ascii")},
                "area": int(masks.areas[index]),
                "bbox": [left, top, int(columns.max()) - left, int(rows.max()) - top],
                "predicted_iou": float(score),
            }
        )
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(records), encoding="utf-8")


class CocoFolder(FrameFolder):
    """A folder of COCO-RLE JSON files, `<frame name>.json` for each frame."""

    suffix = SUFFIX

    def load(self, frame: str) -> MaskSet:
        """Read the masks of a frame.

        Raises:
            UserError: there is no file, or it is damaged.
        """
        if frame not in self:
            raise UserError(f"frame {frame} has no masks in {self.directory}: make them with `trase masks --data DIR`.")
        return read_coco(self.path(frame), frame)
