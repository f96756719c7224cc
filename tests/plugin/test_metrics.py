"""Picture metrics against scikit-image's formulas by hand and against torchmetrics' own LPIPS."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from trase_ns.errors import UserError
from trase_ns.plugin.metrics import ImageMetrics, LpipsFromFile


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 72, 80, 3, generator=generator)


@pytest.fixture
def alexnet(tmp_path):
    """AlexNet's convolutions with random weights, as torchvision names them."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    network = alexnet(weights=None)
    state = {f"features.{name}": value.contiguous() for name, value in network.features.state_dict().items()}
    save_file(state, tmp_path / "alexnet_features.safetensors")
    return network


def test_psnr_is_that_of_its_definition(pictures):
    found = ImageMetrics(lpips="off")(pictures[0], pictures[1])
    error = float(((pictures[0].double() - pictures[1].double()) ** 2).mean())
    assert found["psnr"] == pytest.approx(-10 * torch.tensor(error).log10().item(), abs=1e-4)
    assert set(found) == {"psnr", "ssim"}


def test_ssim_agrees_with_scikit_image(pictures):
    skimage = pytest.importorskip("skimage.metrics")
    a, b = (picture.double().numpy() for picture in (pictures[0], 0.5 * (pictures[0] + pictures[1])))
    wanted = skimage.structural_similarity(
        a, b, channel_axis=2, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    found = ImageMetrics(lpips="off")(torch.from_numpy(a), torch.from_numpy(b))
    assert found["ssim"] == pytest.approx(float(wanted), abs=2e-3)  # they treat the border differently


def test_lpips_from_a_file_is_torchmetrics_own(pictures, alexnet, tmp_path, monkeypatch):
    """torchmetrics is given the same network where it would download its own."""
    from torchmetrics.functional.image import lpips

    monkeypatch.setattr(lpips, "_get_tv_model_features", lambda name, pretrained: alexnet.features)
    a, b = (picture.permute(2, 0, 1)[None] for picture in pictures)
    with torch.no_grad():
        wanted = lpips._LPIPS(pretrained=True, net="alex")(2 * a - 1, 2 * b - 1).mean()
    monkeypatch.undo()
    monkeypatch.setenv("TRASE_ASSETS", str(tmp_path))
    monkeypatch.setattr("trase_ns.plugin.metrics._alexnet_is_here", lambda: False)
    found = ImageMetrics()(pictures[0], pictures[1])
    assert found["lpips"] == pytest.approx(float(wanted), rel=1e-4)
    assert found["lpips"] > 0
    assert ImageMetrics()(pictures[0], pictures[0])["lpips"] == pytest.approx(0, abs=1e-6)


def test_a_file_of_something_else_is_one_message(tmp_path):
    for content in (b"", b"no tensors"):
        (tmp_path / "a.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="does not hold AlexNet's convolutions"):
            LpipsFromFile(tmp_path / "a.safetensors")
    save_file({"features.0.weight": nn.Conv2d(3, 8, 3).weight.detach()}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="does not hold AlexNet's convolutions"):
        LpipsFromFile(tmp_path / "a.safetensors")


def test_without_weights_there_is_no_lpips(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path))
    monkeypatch.delenv("TRASE_ASSETS", raising=False)
    monkeypatch.setattr("trase_ns.plugin.metrics._alexnet_is_here", lambda: False)
    assert "lpips" not in ImageMetrics()(pictures[0], pictures[1])
