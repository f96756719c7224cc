"""Masks of what points lie on, by SAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trase_ns.masks.sam import load_sam, recognise
from trase_ns.masks.weights import find_weights

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


class PointSegmenter:
    """Turns points into masks with SAM's prompt encoder.

    Args:
        model: the network, in evaluation mode, on the device to use (see `sam.load_sam`).
    """

    def __init__(self, model: Sam):
        from segment_anything import SamPredictor

        self._predictor: Any = SamPredictor(model)

    def look(self, picture: np.ndarray) -> None:
        """Take a picture, [H, W, 3] uint8 sRGB; this is what takes time."""
        self._predictor.set_image(picture)

    def __call__(self, points: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
        """Return the mask of what points lie on, [H, W] bool.

        SAM gives three masks, for a part, a thing and what it belongs to.

        Args:
            points: [n, 2] x right and y down in pixels of the picture.
            like: [H, W] bool, roughly the mask that is wanted: of the three the one most like it (IoU) is taken. By
                default the one that SAM holds for the best.
        """
        masks, scores, _ = self._predictor.predict(points, np.ones(len(points), np.int64), multimask_output=True)
        if like is not None:
            common, either = (masks & like).sum(axis=(1, 2)), (masks | like).sum(axis=(1, 2))
            scores = common / np.maximum(either, 1)
        return masks[int(np.argmax(scores))]


def load_point_segmenter(name: str = "mobile", checkpoint: Path | None = None, device: str = "cpu") -> PointSegmenter:
    """Load SAM for points.

    Args:
        name: one of `sam.MODELS`.
        checkpoint: file with its weights, whose model is recognised; by default the official ones.
        device: where to run it.

    Raises:
        UserError: the weights do not exist, are damaged, or cannot be downloaded.
    """
    path, _ = find_weights(name, checkpoint)
    return PointSegmenter(load_sam(name if checkpoint is None else recognise(path), path, device))
