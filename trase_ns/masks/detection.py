"""Boxes around what a text names, by detectors of an open vocabulary: Grounding DINO and OWLv2."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from trase_ns.masks.pretrained import Pretrained, check_length, load_pretrained

# Most boxes of a picture that are kept, the best first.
BOXES = 20


class Detections(NamedTuple):
    """Boxes of a picture, the best first.

    Attributes:
        boxes: [K, 4] float32, left, top, right and bottom in pixels from the upper left corner.
        scores: [K] float32 in [0, 1].
    """

    boxes: np.ndarray
    scores: np.ndarray


class _Engine(NamedTuple):
    """A detector: its network, the words around the text, and the score from which a box counts."""

    network: Pretrained
    prompt: str
    threshold: float


ENGINES = {
    # Threshold of TRASE's own program. Grounding DINO was trained on small letters with a full stop.
    "grounding-dino": _Engine(
        Pretrained(
            "grounding-dino",
            "GroundingDinoForObjectDetection",
            "GroundingDinoProcessor",
            "IDEA-Research/grounding-dino-tiny",
        ),
        "{}.",
        0.3,
    ),
    "owlv2": _Engine(
        Pretrained("owlv2", "Owlv2ForObjectDetection", "Owlv2Processor", "google/owlv2-base-patch16-ensemble"),
        "a photo of a {}",
        0.2,
    ),
}


class Detector:
    """Finds what a text names in a picture.

    Args:
        engine: a key of `ENGINES`.
        model: the network.
        processor: what prepares its input and reads its output.
        threshold: least score of a box; that of the engine by default.
    """

    def __init__(self, engine: str, model: Any, processor: Any, threshold: float | None = None):
        self._engine = ENGINES[engine]
        self._model = model
        self._processor = processor
        self.threshold = self._engine.threshold if threshold is None else threshold

    def __call__(self, picture: np.ndarray, text: str) -> Detections:
        """Find boxes.

        Args:
            picture: [H, W, 3] uint8 sRGB.
            text: a few words; full stops, which part phrases for Grounding DINO, are left out.

        Raises:
            UserError: the text is too long for the network.
        """
        import torch

        prompt = self._engine.prompt.format(" ".join(text.replace(".", " ").lower().split()))
        height, width = picture.shape[:2]
        inputs = self._processor(images=Image.fromarray(picture), text=prompt, return_tensors="pt")
        check_length(inputs["input_ids"].shape[1], self._longest(), text)
        with torch.no_grad():
            outputs = self._model(**inputs.to(self._model.device))
        found = self._processor.post_process_grounded_object_detection(
            outputs, threshold=self.threshold, target_sizes=[(height, width)]
        )[0]
        boxes, scores = (found[key].float().cpu().numpy() for key in ("boxes", "scores"))
        boxes = boxes.reshape(-1, 4).clip(0, np.array([width, height, width, height], np.float32))
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = np.flatnonzero((sides >= 1).all(axis=1))
        kept = kept[np.argsort(-scores[kept], kind="stable")][:BOXES]
        return Detections(boxes[kept], scores[kept])

    def _longest(self) -> int:
        config = self._model.config
        longest = config.text_config.max_position_embeddings
        return min(longest, getattr(config, "max_text_len", longest))


def load_detector(engine: str, checkpoint: Path | None = None, device: str = "cpu") -> Detector:
    """Load a detector.

    Args:
        engine: a key of `ENGINES`.
        checkpoint: folder with its weights; by default they come from the cache of huggingface_hub, or are downloaded.
        device: where to run it.

    Raises:
        UserError: see `load_pretrained`.
    """
    return Detector(engine, *load_pretrained(ENGINES[engine].network, checkpoint, device))
