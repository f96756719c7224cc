import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.masks.detection import BOXES, Detector, load_detector

ENGINES = ["grounding-dino", "owlv2"]


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def everything(engine, tiny_networks) -> Detector:
    """A detector that keeps boxes of any score."""
    detector = load_detector(engine, tiny_networks[engine])
    detector.threshold = 0.0
    return detector


def by_hand(engine, folder, picture, prompt):
    """Boxes [K, 4] in pixels and scores [K] of all queries, from the network's raw output."""
    import transformers

    model = transformers.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = transformers.AutoProcessor.from_pretrained(folder)
    with torch.no_grad():
        outputs = model(**processor(images=Image.fromarray(picture), text=prompt, return_tensors="pt"))
    x, y, w, h = outputs.pred_boxes[0].unbind(-1)
    height, width = picture.shape[:2]
    # OWLv2 pads pictures to squares at the right and the bottom.
    sx, sy = (width, height) if engine == "grounding-dino" else (max(width, height),) * 2
    boxes = torch.stack([(x - w / 2) * sx, (y - h / 2) * sy, (x + w / 2) * sx, (y + h / 2) * sy], dim=1).numpy()
    return boxes.clip(0, [width, height, width, height]), outputs.logits[0].sigmoid().max(dim=-1).values.numpy()


@pytest.mark.parametrize(
    ("engine", "prompt"), [("grounding-dino", "red book."), ("owlv2", "a photo of a red book")], ids=ENGINES
)
def test_boxes_are_those_of_the_network_in_pixels(tiny_networks, picture, engine, prompt):
    found = everything(engine, tiny_networks)(picture, "Red  book.")
    boxes, scores = by_hand(engine, tiny_networks[engine], picture, prompt)
    kept = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(axis=1).nonzero()[0]
    kept = kept[np.argsort(-scores[kept], kind="stable")][:BOXES]
    assert len(found.boxes) == len(kept) > 3
    np.testing.assert_allclose(found.boxes, boxes[kept], atol=1e-3)
    np.testing.assert_allclose(found.scores, scores[kept], atol=1e-5)
    assert found.boxes.dtype == found.scores.dtype == np.float32


@pytest.mark.parametrize("engine", ENGINES)
def test_the_text_matters(tiny_networks, picture, engine):
    detector = everything(engine, tiny_networks)
    assert not np.array_equal(detector(picture, "red book").scores, detector(picture, "green cup").scores)


@pytest.mark.parametrize("engine", ENGINES)
def test_boxes_below_the_threshold_are_left_out(tiny_networks, picture, engine):
    detector = everything(engine, tiny_networks)
    scores = detector(picture, "red book").scores
    detector.threshold = float(scores[:2].mean())
    np.testing.assert_array_equal(detector(picture, "red book").scores, scores[:1])
    detector.threshold = 1.0
    nothing = detector(picture, "red book")
    assert nothing.boxes.shape == (0, 4)
    assert nothing.scores.shape == (0,)


@pytest.mark.parametrize("engine", ENGINES)
def test_texts_that_are_too_long(tiny_networks, picture, engine):
    with pytest.raises(UserError, match="tokens, the network reads"):
        everything(engine, tiny_networks)(picture, "red book cup " * 200)
