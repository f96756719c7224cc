import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from trase_ns.errors import UserError
from trase_ns.learning import vgg
from trase_ns.learning.vgg import LAYERS, VGG16Features, load_vgg16
from trase_ns.weights import Weights


def test_features_are_those_of_torchvision(assets):
    from torchvision.models.vgg import cfgs, make_layers

    file = assets / "vgg16_features.safetensors"
    state = load_file(file)
    whole = make_layers(cfgs["D"])
    whole.load_state_dict({name.removeprefix("features."): value.float() for name, value in state.items()})
    picture = torch.rand(40, 56, 3, generator=torch.Generator().manual_seed(0))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((picture - mean) / deviation).permute(2, 0, 1)[None]
    for layer, last, stride in (("conv1_1", 1, 1), ("conv3_2", 13, 4), ("conv4_1", 18, 8), ("conv5_3", 29, 16)):
        network = load_vgg16(layer, file)
        expected = whole[: last + 1](x)[0].permute(1, 2, 0)
        torch.testing.assert_close(network(picture), expected, rtol=1e-4, atol=1e-4)
        assert network.stride == stride
    assert len(LAYERS) == 13


def test_loading_draws_no_random_numbers_and_wants_no_gradients(small_vgg):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    network = load_vgg16("conv2_1", small_vgg)
    assert torch.rand(1) == expected
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_torch_files_are_read_too(small_vgg, tmp_path):
    torch.save(load_file(small_vgg), tmp_path / "vgg.pth")
    picture = torch.rand(16, 16, 3)
    assert torch.equal(load_vgg16("conv2_1", tmp_path / "vgg.pth")(picture), load_vgg16("conv2_1", small_vgg)(picture))


class Trap:
    def __reduce__(self):
        return (print, ("a pickle was run",))


def test_files_that_hold_something_else(small_vgg, tmp_path, capsys):
    (tmp_path / "noise.safetensors").write_bytes(b"no weights at all")
    (tmp_path / "noise.pth").write_bytes(b"no weights at all")
    (tmp_path / "trap.pth").write_bytes(pickle.dumps(Trap()))
    torch.save([1, 2], tmp_path / "list.pth")
    state = load_file(small_vgg)
    save_file(
        {name: value for name, value in state.items() if name != "features.2.bias"}, tmp_path / "part.safetensors"
    )
    save_file({**state, "features.2.bias": torch.zeros(63)}, tmp_path / "odd.safetensors")
    reasons = {
        "noise.safetensors": "",
        "noise.pth": "",
        "trap.pth": "",
        "list.pth": "it holds a list",
        "part.safetensors": r"features.2.bias is absent, expected \[64\]",
        "odd.safetensors": r"features.2.bias is \[63\], expected \[64\]",
    }
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=f"{name} does not hold the weights of VGG16.*{reason}") as caught:
            load_vgg16("conv2_1", tmp_path / name)
        assert "\n" not in str(caught.value)
    assert "a pickle was run" not in capsys.readouterr().out


def test_missing_weights_and_unknown_layers(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist: correct --vgg-weights"):
        load_vgg16("conv2_1", tmp_path / "nowhere.pth")
    with pytest.raises(UserError, match="no layer 'conv6_1': take one of conv1_1, "):
        load_vgg16("conv6_1")
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(vgg, "VGG16", Weights("http://127.0.0.1:9/vgg16.pth", "0" * 64))
    with pytest.raises(UserError, match=r"cannot download vgg16\.pth from http://127.*--vgg-weights FILE"):
        load_vgg16("conv2_1")


def test_a_missing_parameter_is_a_value_error():
    with pytest.raises(ValueError, match=r"features.0.weight is absent, expected \[64, 3, 3, 3\]"):
        VGG16Features("conv1_1", {})
