import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns import weights
from trase_ns.errors import UserError
from trase_ns.learning import feature_extractors
from trase_ns.learning.feature_extractors import available_models, load_extractor
from trase_ns.weights import Weights


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)


def prepared(picture, width, height, mean, deviation):
    values = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255
    return torch.from_numpy((values - np.float32(mean)) / np.float32(deviation)).permute(2, 0, 1)[None]


def scaled(features):
    return features / features.square().mean(dim=-1, keepdim=True).sqrt()


@pytest.mark.parametrize(("folder", "registers"), [("dinov2", 0), ("dinov2-registers", 3)])
def test_dinov2s_features_are_its_patch_tokens(folder, registers, tiny_networks, picture):
    import transformers

    extractor = load_extractor("dinov2", tiny_networks[folder], longest=42)
    assert extractor.size(40, 20) == (42, 21)
    found = extractor(picture)
    assert found.shape == (3, 6, 16)
    kind = transformers.Dinov2WithRegistersModel if registers else transformers.Dinov2Model
    model = kind.from_pretrained(tiny_networks[folder]).eval()
    pixels = prepared(picture, 42, 21, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        tokens = model(pixel_values=pixels).last_hidden_state
    assert tokens.shape[1] == 1 + registers + 18
    for y in range(3):
        for x in range(6):
            torch.testing.assert_close(found[y, x], scaled(tokens[0, 1 + registers + 6 * y + x]), atol=1e-4, rtol=1e-4)


def test_clips_features_are_the_values_of_its_last_attention(tiny_networks, picture):
    """Worked out patch by patch with plain matrices from what goes into the last layer."""
    import transformers

    extractor = load_extractor("clip", tiny_networks["clip"], longest=48)
    found = extractor(picture)
    assert found.shape == (3, 6, 16)
    model = transformers.CLIPModel.from_pretrained(tiny_networks["clip"]).eval()
    processor = transformers.CLIPProcessor.from_pretrained(tiny_networks["clip"]).image_processor
    layer, inputs = model.vision_model.encoder.layers[-1], []
    layer.register_forward_pre_hook(lambda _, args, kwargs: inputs.extend([*args, *kwargs.values()]), with_kwargs=True)
    pixels = prepared(picture, 48, 24, processor.image_mean, processor.image_std)
    with torch.no_grad():
        model.vision_model(pixel_values=pixels, interpolate_pos_encoding=True)
        states = inputs[0][0, 1:].double().numpy()
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    prefix = f"vision_model.encoder.layers.{len(model.vision_model.encoder.layers) - 1}."

    def norm(x, name):
        x = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x, name):
        return state[f"{prefix}self_attn.{name}.weight"] @ x + state[f"{prefix}self_attn.{name}.bias"]

    for place, patch in enumerate(states):
        value = linear(linear(norm(patch, f"{prefix}layer_norm1"), "v_proj"), "out_proj")
        expected = state["visual_projection.weight"] @ norm(value, "vision_model.post_layernorm")
        expected = scaled(torch.from_numpy(expected)).float()
        torch.testing.assert_close(found[place // 6, place % 6], expected, atol=1e-4, rtol=1e-4)


def test_at_its_own_size_clips_positions_are_not_interpolated(tiny_networks, picture):
    import transformers

    extractor = load_extractor("clip", tiny_networks["clip"], longest=32)
    square = np.ascontiguousarray(picture[:, :20])
    model = transformers.CLIPModel.from_pretrained(tiny_networks["clip"]).eval()
    processor = transformers.CLIPProcessor.from_pretrained(tiny_networks["clip"]).image_processor
    pixels = prepared(square, 32, 32, processor.image_mean, processor.image_std)
    with torch.no_grad():
        states = model.vision_model.pre_layrnorm(model.vision_model.embeddings(pixels))  # its one layer's input
        layer = model.vision_model.encoder.layers[0]
        values = layer.self_attn.out_proj(layer.self_attn.v_proj(layer.layer_norm1(states[0, 1:])))
        expected = scaled(model.visual_projection(model.vision_model.post_layernorm(values)))
    torch.testing.assert_close(extractor(square).view(-1, 16), expected, atol=1e-4, rtol=1e-4)


def test_vgg16s_layers_are_put_together(small_vgg, picture):
    from trase_ns.learning.vgg import load_vgg16

    extractor = load_extractor("vgg16", small_vgg, layers=("conv2_1", "conv1_2"))
    found = extractor(picture)
    assert found.shape == (10, 20, 64 + 128)  # pictures are not enlarged unless asked for
    values = torch.from_numpy(picture.astype(np.float32) / 255)
    fine, coarse = (load_vgg16(layer, small_vgg)(values) for layer in ("conv1_2", "conv2_1"))
    fine, coarse = (torch.nn.functional.normalize(part, dim=2) for part in (fine, coarse))
    for y, x in ((0, 0), (4, 7), (9, 19)):
        mean = fine[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean(dim=(0, 1))
        expected = scaled(torch.cat([mean / mean.norm(), coarse[y, x]]))
        torch.testing.assert_close(found[y, x], expected, atol=1e-4, rtol=1e-4)


def test_sizes(small_vgg):
    extractor = load_extractor("vgg16", small_vgg, layers=("conv2_1",))
    assert extractor.size(40, 20) == (40, 20)
    assert extractor.size(2048, 1000) == (1024, 500)
    assert extractor.size(1, 3) == (2, 4)  # never less than one feature, and whole ones
    assert load_extractor("vgg16", small_vgg, layers=("conv2_1",), longest=80).size(40, 20) == (80, 40)


def test_the_key_tells_networks_apart(small_vgg, tiny_networks):
    def key(*arguments, **options):
        return str(load_extractor(*arguments, **options).key)

    first = key("vgg16", small_vgg, layers=("conv2_1",))
    assert key("vgg16", small_vgg, layers=("conv2_1",)) == first
    others = [
        key("vgg16", small_vgg, layers=("conv1_2",)),
        key("vgg16", small_vgg, layers=("conv1_1", "conv2_1")),
        key("vgg16", small_vgg, layers=("conv2_1",), longest=1024),
        key("dinov2", tiny_networks["dinov2"]),
        key("dinov2", tiny_networks["dinov2-registers"]),
    ]
    assert len({first, *others}) == 6


def test_what_cannot_be_loaded_is_one_message(tiny_networks, small_vgg, tmp_path, monkeypatch):
    def refused(message, *arguments, **options):
        with pytest.raises(UserError, match=message) as caught:
            load_extractor(*arguments, **options)
        assert "\n" not in str(caught.value)

    refused("model 'sift': there are dinov2, clip, vgg16", "sift")
    refused("--weights .*nowhere is no folder", "dinov2", tmp_path / "nowhere")
    refused("--weights nowhere is no folder", "clip", "nowhere")
    refused("of type clip, not dinov2 or dinov2_with_registers", "dinov2", tiny_networks["clip"])
    refused("of type dinov2, not clip", "clip", str(tiny_networks["dinov2"]))
    refused("--layers conv9_9: VGG16 has the layers conv1_1", "vgg16", small_vgg, layers=("conv1_1", "conv9_9"))
    refused("take another file with --weights", "vgg16", small_vgg, layers=("conv5_1",))
    refused("--longest 1: the network needs at least 8 pixels", "clip", tiny_networks["clip"], longest=1)
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path))
    refused("weights of vgg16 are not on this machine: add --download", "vgg16", download=False)
    name = "nobody-has/this-network"
    refused(f"weights of {name} are not on this machine: add --download, or .*FOLDER", "clip", name, download=False)


def test_models_whose_weights_are_here(tmp_path, monkeypatch):
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path))
    assert "vgg16" not in available_models()
    (tmp_path / "vgg.bin").write_bytes(b"weights")
    there = Weights("http://127.0.0.1:9/vgg.bin", weights.sha256(tmp_path / "vgg.bin"))
    monkeypatch.setattr(feature_extractors, "VGG16", there)
    assert "vgg16" in available_models()
    (tmp_path / "vgg.bin").write_bytes(b"weighs")
    assert "vgg16" not in available_models()
