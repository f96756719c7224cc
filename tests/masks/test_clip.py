import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.masks.clip import BATCH, CONTRAST, load_clip, load_clip_texts


@pytest.fixture
def scorer(tiny_networks):
    return load_clip(tiny_networks["clip"])


@pytest.fixture
def pictures():
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(BATCH + 3)]


def test_relevancy_is_the_least_probability_against_a_contrast(scorer, pictures, tiny_networks):
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(tiny_networks["clip"]).eval()
    processor = CLIPProcessor.from_pretrained(tiny_networks["clip"])
    texts = ["a photo of a red book", *CONTRAST]
    inputs = processor(text=texts, images=[Image.fromarray(p) for p in pictures], padding=True, return_tensors="pt")
    with torch.no_grad():
        cosines = model(**inputs).logits_per_image / model.logit_scale.exp()
    expected = [min(torch.softmax(10 * row[[0, i]], dim=0)[0] for i in range(1, 5)) for row in cosines]
    found = scorer(pictures, "red book")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.std() > 1e-4


def test_long_pictures_are_seen_to_their_ends(scorer):
    """CLIP's own preparation cuts a square from the middle."""
    plain = np.full((32, 128, 3), 90, np.uint8)
    ends = plain.copy()
    ends[:, :20] = 255
    scores = scorer([plain, ends], "red book")
    assert abs(scores[0] - scores[1]) > 1e-5


def test_no_pictures(scorer):
    assert scorer([], "red book").shape == (0,)


def test_texts_that_are_too_long(scorer, pictures):
    with pytest.raises(UserError, match="tokens, the network reads 40"):
        scorer(pictures, "red book " * 30)


def test_texts_are_encoded_as_clip_does(tiny_networks):
    from transformers import CLIPModel, CLIPProcessor

    model = CLIPModel.from_pretrained(tiny_networks["clip"]).eval()
    processor = CLIPProcessor.from_pretrained(tiny_networks["clip"])
    texts = ["a photo of a red book", *CONTRAST]
    inputs = processor(text=texts, images=Image.new("RGB", (32, 32)), padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).text_embeds
    torch.testing.assert_close(load_clip_texts(tiny_networks["clip"])("red book"), expected, atol=1e-5, rtol=1e-5)
