"""How well a picture fits a text, by CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trase_ns.masks.pretrained import Pretrained, check_length, load_pretrained

CLIP = Pretrained("clip", "CLIPModel", "CLIPProcessor", "openai/clip-vit-large-patch14")
# What any picture is; a text must fit better than each of these (LERF).
CONTRAST = ("object", "things", "stuff", "texture")
TEMPERATURE = 0.1
# Pictures that go through the network at once.
BATCH = 16


class ClipScorer:
    """Compares pictures with a text.

    Args:
        model: transformers' CLIPModel.
        processor: its CLIPProcessor.
    """

    def __init__(self, model: Any, processor: Any):
        self._model = model
        self._processor = processor

    def __call__(self, pictures: Sequence[np.ndarray], text: str) -> np.ndarray:
        """Return LERF's relevancy [K] float32 of each picture: how much better the text fits than any contrast.

        The probability of the text against each of `CONTRAST` by a softmax of two cosines, the least of these: 0.5
        says as good as the best contrast.

        Args:
            pictures: K pictures [h, w, 3] uint8 sRGB of any size; they are padded to squares.
            text: a few words.

        Raises:
            UserError: the text is too long for the network.
        """
        import torch

        texts = [f"a photo of a {text}", *CONTRAST]
        tokens = self._processor(text=texts, padding=True, return_tensors="pt")
        check_length(tokens["input_ids"].shape[1], self._model.config.text_config.max_position_embeddings, text)
        scores = [np.zeros(0, np.float32)]
        for start in range(0, len(pictures), BATCH):
            images = [_square(picture) for picture in pictures[start : start + BATCH]]
            pixels = self._processor(images=images, return_tensors="pt")
            with torch.no_grad():
                outputs = self._model(**{k: v.to(self._model.device) for k, v in {**tokens, **pixels}.items()})
            cosines = torch.nn.functional.normalize(outputs.image_embeds, dim=1) @ (
                torch.nn.functional.normalize(outputs.text_embeds, dim=1).T
            )
            margin = (cosines[:, :1] - cosines[:, 1:]).min(dim=1).values
            scores.append(torch.sigmoid(margin / TEMPERATURE).float().cpu().numpy())
        return np.concatenate(scores)


def load_clip(checkpoint: Path | None = None, device: str = "cpu") -> ClipScorer:
    """Load CLIP.

    Args:
        checkpoint: folder with its weights; by default they come from the cache of huggingface_hub, or are downloaded.
        device: where to run it.

    Raises:
        UserError: see `load_pretrained`.
    """
    return ClipScorer(*load_pretrained(CLIP, checkpoint, device))


def _square(picture: np.ndarray) -> Image.Image:
    """The picture in the middle of a grey square: CLIP's own preparation would cut off what is long."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return Image.fromarray(square)
