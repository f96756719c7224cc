"""Masks of what lies in boxes, by SAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trase_ns.masks.sam import load_sam, recognise
from trase_ns.masks.weights import find_weights

if TYPE_CHECKING:
    from segment_anything.modeling import Sam


class BoxSegmenter:
    """Turns boxes into masks with SAM's prompt encoder.

    Args:
        model: the network, in evaluation mode, on the device to use (see `sam.load_sam`).
    """

    def __init__(self, model: Sam):
        from segment_anything import SamPredictor

        self._predictor = SamPredictor(model)

    def __call__(self, picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Return the mask of what each box surrounds, [K, H, W] bool.

        Args:
            picture: [H, W, 3] uint8 sRGB.
            boxes: [K, 4] left, top, right and bottom in pixels from the upper left corner.
        """
        import torch

        if not len(boxes):
            return np.zeros((0, *picture.shape[:2]), dtype=bool)
        self._predictor.set_image(picture)
        prompts = torch.as_tensor(np.asarray(boxes, np.float32), device=self._predictor.device)
        prompts = self._predictor.transform.apply_boxes_torch(prompts, picture.shape[:2])  # pyright: ignore
        # A box, unlike a point, leaves little doubt: SAM's single mask is the better one.
        masks, _, _ = self._predictor.predict_torch(None, None, prompts, multimask_output=False)
        return masks[:, 0].cpu().numpy()


def load_box_segmenter(name: str = "mobile", checkpoint: Path | None = None, device: str = "cpu") -> BoxSegmenter:
    """Load SAM for boxes.

    Args:
        name: one of `sam.MODELS`.
        checkpoint: file with its weights, whose model is recognised; by default the official ones.
        device: where to run it.

    Raises:
        UserError: the weights do not exist, are damaged, or cannot be downloaded.
    """
    path, _ = find_weights(name, checkpoint)
    return BoxSegmenter(load_sam(name if checkpoint is None else recognise(path), path, device))
