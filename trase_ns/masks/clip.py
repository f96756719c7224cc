"""How well a picture fits a text, by CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from trase_ns.masks.pretrained import Pretrained, check_length, load_pretrained

if TYPE_CHECKING:
    from torch import Tensor

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

        tokens = _tokens(self._model, self._processor, text)
        scores = [np.zeros(0, np.float32)]
        for start in range(0, len(pictures), BATCH):
            images = [_square(picture) for picture in pictures[start : start + BATCH]]
            pixels = self._processor(images=images, return_tensors="pt")
            with torch.no_grad():
                outputs = self._model(**{k: v.to(self._model.device) for k, v in {**tokens, **pixels}.items()})
            cosines = torch.nn.functional.normalize(outputs.image_embeds, dim=1) @ (
                torch.nn.functional.normalize(outputs.text_embeds, dim=1).T
            )
            scores.append(relevancy(cosines).float().cpu().numpy())
        return np.concatenate(scores)


class ClipTexts:
    """Encodes texts into the space that they share with pictures, and with dense features of them.

    Args:
        model: transformers' CLIPModel.
        processor: its CLIPProcessor.
    """

    def __init__(self, model: Any, processor: Any):
        self.model = model
        self._processor = processor

    def __call__(self, text: str) -> Tensor:
        """Return [1 + len(CONTRAST), C] float32 of length one: the text, and those that it is compared with.

        Raises:
            UserError: the text is too long for the network.
        """
        import torch

        tokens = _tokens(self.model, self._processor, text)
        with torch.no_grad():
            outputs = self.model.text_model(**{k: v.to(self.model.device) for k, v in tokens.items()})
            encoded = self.model.text_projection(outputs.pooler_output)
        return torch.nn.functional.normalize(encoded.float(), dim=1)


def relevancy(cosines: Tensor) -> Tensor:
    """Return LERF's relevancy [K] from the cosines [K, 1 + n] with a text and with n contrasts; see `ClipScorer`."""
    import torch

    margin = (cosines[:, :1] - cosines[:, 1:]).min(dim=1).values
    return torch.sigmoid(margin / TEMPERATURE)


def load_clip_texts(checkpoint: Path | None = None, device: str = "cpu") -> ClipTexts:
    """Load CLIP for texts; arguments and errors as for `load_clip`."""
    return ClipTexts(*load_pretrained(CLIP, checkpoint, device))


def load_clip(checkpoint: Path | None = None, device: str = "cpu") -> ClipScorer:
    """Load CLIP.

    Args:
        checkpoint: folder with its weights; by default they come from the cache of huggingface_hub, or are downloaded.
        device: where to run it.

    Raises:
        UserError: see `load_pretrained`.
    """
    return ClipScorer(*load_pretrained(CLIP, checkpoint, device))


def _tokens(model: Any, processor: Any, text: str) -> Any:
    """The text and `CONTRAST` as CLIP reads them."""
    tokens = processor(text=[f"a photo of a {text}", *CONTRAST], padding=True, return_tensors="pt")
    check_length(tokens["input_ids"].shape[1], model.config.text_config.max_position_embeddings, text)
    return tokens


def _square(picture: np.ndarray) -> Image.Image:
    """The picture in the middle of a grey square: CLIP's own preparation would cut off what is long."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return Image.fromarray(square)
