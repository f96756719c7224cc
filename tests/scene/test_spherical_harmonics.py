import pytest
import torch

from trase_ns.scene.spherical_harmonics import basis, evaluate, rgb_to_sh0, sh0_to_rgb


def test_degree_zero_round_trip():
    rgb = torch.rand(10, 3)
    torch.testing.assert_close(sh0_to_rgb(rgb_to_sh0(rgb)), rgb)
    torch.testing.assert_close(evaluate(rgb_to_sh0(rgb)[:, None], torch.randn(10, 3)), rgb)


def test_basis_is_orthonormal_on_the_sphere():
    # Gauss-Legendre in z and even steps in the azimuth integrate products of degree 6 exactly.
    import numpy as np

    z, weights = np.polynomial.legendre.leggauss(8)
    azimuth = np.arange(16) * 2 * np.pi / 16
    z, azimuth = np.meshgrid(z, azimuth, indexing="ij")
    radius = np.sqrt(1 - z**2)
    directions = torch.from_numpy(np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=-1))
    area = torch.from_numpy(np.repeat(weights[:, None], 16, axis=1) * 2 * np.pi / 16)
    functions = basis(directions, 3).flatten(0, 1)
    gram = functions.T @ (area.flatten()[:, None] * functions)
    torch.testing.assert_close(gram, torch.eye(16, dtype=torch.float64))


def test_agrees_with_gsplat():
    reference = pytest.importorskip("gsplat.cuda._torch_impl")
    sh, directions = torch.randn(100, 16, 3), torch.randn(100, 3)
    for degree in range(4):
        expected = (reference._spherical_harmonics(degree, directions, sh) + 0.5).clamp_min(0)
        torch.testing.assert_close(evaluate(sh, directions, degree), expected)


def test_unsupported_degree():
    with pytest.raises(ValueError, match="degree 4"):
        basis(torch.ones(1, 3), 4)
