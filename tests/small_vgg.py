"""A network of VGG16's shape with random values, small enough for tests."""

import pytest
import torch


@pytest.fixture(scope="session")
def small_vgg(tmp_path_factory):
    """A file of VGG16's first three convolutions by torchvision's names, with random values."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    state = {}
    for place, (outputs, inputs) in {0: (64, 3), 2: (64, 64), 5: (128, 64)}.items():
        deviation = (2 / (9 * inputs)) ** 0.5
        state[f"features.{place}.weight"] = deviation * torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"features.{place}.bias"] = torch.zeros(outputs)
    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    save_file(state, path)
    return path
