"""VGG16's features of a picture, which style transfer compares and feature maps are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trase_ns import weights as network_weights
from trase_ns.errors import UserError
from trase_ns.weights import Weights

VGG16 = Weights(
    "https://download.pytorch.org/models/vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
)
# Convolutions of each block; between blocks the picture is halved.
_BLOCKS = (2, 2, 3, 3, 3)
LAYERS = tuple(f"conv{block + 1}_{i + 1}" for block, count in enumerate(_BLOCKS) for i in range(count))
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG16Features(nn.Module):
    """VGG16 (Simonyan and Zisserman 2015) up to one of its convolutions and the ReLU behind it.

    Args:
        layer: one of `LAYERS`.
        state: VGG16's parameters by torchvision's names; others may be among them.

    Raises:
        ValueError: a parameter is missing or has another shape.
    """

    def __init__(self, layer: str, state: dict[str, Tensor]):
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        pools = int(layer[4]) - 1
        with torch.device("meta"):  # neither memory nor random numbers for values that are replaced
            layers = make_layers(cfgs["D"][: LAYERS.index(layer) + 1 + pools])
        own = {name: state.get(f"features.{name}") for name in layers.state_dict()}
        for name, expected in layers.state_dict().items():
            value = own[name]
            if not isinstance(value, Tensor) or value.shape != expected.shape:
                found = list(value.shape) if isinstance(value, Tensor) else "absent"
                raise ValueError(f"features.{name} is {found}, expected {list(expected.shape)}")
        layers.load_state_dict({name: value.float() for name, value in own.items() if value is not None}, assign=True)
        self.layers = layers.requires_grad_(False).eval().to(memory_format=torch.channels_last)  # type: ignore
        self.stride = 2**pools

    def forward(self, picture: Tensor) -> Tensor:
        """Return the features [H // stride, W // stride, C] of `picture` [H, W, 3], sRGB in [0, 1]; differentiable."""
        normalised = (picture - picture.new_tensor(_MEAN)) / picture.new_tensor(_DEVIATION)
        return self.layers(normalised.permute(2, 0, 1)[None])[0].permute(1, 2, 0)

    def of_layers(self, picture: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Return the features behind several convolutions, in the order of `LAYERS`; otherwise as `forward`."""
        places = {2 * LAYERS.index(layer) + int(layer[4]) for layer in layers}  # of the ReLUs, the pools among them
        values = ((picture - picture.new_tensor(_MEAN)) / picture.new_tensor(_DEVIATION)).permute(2, 0, 1)[None]
        found = []
        for place, layer in enumerate(self.layers):  # type: ignore[arg-type]
            values = layer(values)
            if place in places:
                found.append(values[0].permute(1, 2, 0))
        return found


def load_vgg16(
    layer: str = "conv4_1",
    file: Path | None = None,
    device: torch.device | str = "cpu",
    option: str = "--vgg-weights",
) -> VGG16Features:
    """Load VGG16 as torchvision trained it on ImageNet; without `file` it is downloaded once (528 MB).

    Args:
        layer: one of `LAYERS`.
        file: torchvision's parameters, all or the convolutions alone, as .safetensors or torch.save writes them.
        device: where the network shall be.
        option: the option that names `file`, for messages.

    Raises:
        UserError: no such layer, no such file, one that holds something else, or the download failed.
    """
    if layer not in LAYERS:
        raise UserError(f"VGG16 has no layer {layer!r}: take one of {', '.join(LAYERS)}.")
    path, _ = network_weights.find(VGG16, file, option)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
        return VGG16Features(layer, state).to(device)
    except Exception as error:  # a broken file fails in as many ways as its format has
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} does not hold the weights of VGG16 as torchvision names them ({reason}): "
            f"take another file with {option}."
        ) from error
