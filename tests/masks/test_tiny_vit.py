import pytest
import torch

from trase_ns.masks.tiny_vit import Block, TinyViT, WindowAttention


def test_keys_are_those_of_the_official_file(assets):
    official = torch.load(assets / "mobile_sam.pt", weights_only=True)
    classifier = ("image_encoder.head.", "image_encoder.norm_head.")
    encoder = {key: value.shape for key, value in official.items() if key.startswith("image_encoder.")}
    encoder = {key: shape for key, shape in encoder.items() if not key.startswith(classifier)}
    ours = {f"image_encoder.{key}": value.shape for key, value in TinyViT().state_dict().items()}
    assert ours == encoder


@pytest.mark.parametrize("size", [64, 128])
def test_embedding_has_a_sixteenth_of_the_size(size):
    with torch.no_grad():
        assert TinyViT(size).eval()(torch.zeros(2, 3, size, size)).shape == (2, 256, size // 16, size // 16)


def test_attention_is_the_literal_formula():
    torch.manual_seed(0)
    attention = WindowAttention(8, 2, 3).double()
    torch.nn.init.normal_(attention.attention_biases)
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    qkv = attention.qkv(attention.norm(x)).view(2, 9, 2, 12)
    expected = torch.zeros(2, 9, 2, 4, dtype=torch.float64)
    for window in range(2):
        for head in range(2):
            query, key, value = qkv[window, :, head].split(4, dim=1)
            for i in range(9):
                logits = torch.stack(
                    [
                        query[i] @ key[j] / 2
                        + attention.attention_biases[head, abs(i // 3 - j // 3) * 3 + abs(i % 3 - j % 3)]
                        for j in range(9)
                    ]
                )
                expected[window, i, head] = logits.softmax(0) @ value
    torch.testing.assert_close(attention(x), attention.proj(expected.reshape(2, 9, 8)))


def test_attention_stays_in_its_window():
    torch.manual_seed(0)
    block = Block(8, 2, 4).eval()
    x = torch.randn(1, 8, 8, 8)
    changed = x.clone()
    changed[:, :, :4, :4] += torch.randn(1, 8, 4, 4)
    with torch.no_grad():
        difference = (block._attend(changed) - block._attend(x)).abs().amax((0, 1))
    assert (difference[:4, :4] > 0).all()
    assert difference[4:].max() == difference[:, 4:].max() == 0
