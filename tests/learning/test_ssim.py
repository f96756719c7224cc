"""Structural similarity: against torchmetrics, and its gradient against the same by convolutions in float64."""

import pytest
import torch

from trase_ns.learning.ssim import _convolved, ssim


def pictures(height=40, width=37, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(height, width, channels, generator=generator) for _ in range(2)]


def test_identical_pictures_are_one():
    color, _ = pictures()
    assert float(ssim(color, color)) == pytest.approx(1.0, abs=1e-6)


def test_agrees_with_torchmetrics_away_from_the_border():
    """torchmetrics mirrors at the border, 3DGS takes zeros; a black frame as wide as the window makes both the same."""
    from torchmetrics.functional.image import structural_similarity_index_measure

    color, target = (torch.nn.functional.pad(p, (0, 0, 12, 12, 12, 12)) for p in pictures())
    a, b = (p.permute(2, 0, 1)[None] for p in (color, target))
    expected = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)[1]
    assert float(ssim(color, target)) == pytest.approx(float(expected.mean()), abs=1e-5)


@pytest.mark.parametrize("shape", [(40, 37, 3), (5, 4, 1), (1, 1, 3), (64, 48, 4)])
def test_kernels_agree_with_convolutions(shape):
    color, target = pictures(*shape)
    color.requires_grad_()
    exact = color.detach().double().requires_grad_()
    value, expected = ssim(color, target), _convolved(exact, target.double())
    (3 * value).backward()
    (3 * expected).backward()
    assert float(value) == pytest.approx(float(expected), abs=1e-5)
    scale = exact.grad.abs().max()
    torch.testing.assert_close(color.grad.double() / scale, exact.grad / scale, atol=1e-4, rtol=0)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="differ in shape"):
        ssim(torch.rand(8, 8, 3), torch.rand(8, 9, 3))


@pytest.mark.cuda
def test_cuda_agrees_with_the_cpu():
    color, target = pictures()
    assert float(ssim(color.cuda(), target.cuda())) == pytest.approx(float(ssim(color, target)), abs=1e-5)
