import pytest
import torch

from trase_ns.scene import quaternions, spherical_harmonics
from trase_ns.scene.gaussians import Gaussians
from trase_ns.scene.similarity import Similarity, rotate_harmonics


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(7)


@pytest.fixture
def similarity(generator):
    rotation = quaternions.to_matrix(quaternions.random(1, generator).double())[0]
    return Similarity(rotation, torch.tensor([0.3, -1.2, 2.0], dtype=torch.float64), 1.7)


def covariances(gaussians):
    axes = quaternions.to_matrix(gaussians.quats) * gaussians.scales[:, None, :]
    return axes @ axes.transpose(1, 2)


def some_gaussians(generator, degree=3):
    return Gaussians(
        torch.randn(20, 3, generator=generator).double(),
        quaternions.random(20, generator).double() * 3,
        torch.rand(20, 3, generator=generator).double() + 0.1,
        torch.rand(20, generator=generator).double(),
        torch.randn(20, (degree + 1) ** 2, 3, generator=generator).double(),
    )


def test_shape_moves_as_its_points_do(similarity, generator):
    gaussians = some_gaussians(generator)
    mapped = similarity.gaussians(gaussians)
    linear = similarity.scale * similarity.rotation
    torch.testing.assert_close(covariances(mapped), linear @ covariances(gaussians) @ linear.T)
    expected = similarity.scale * (gaussians.means @ similarity.rotation.T + similarity.translation)
    torch.testing.assert_close(mapped.means, expected)
    torch.testing.assert_close(mapped.opacities, gaussians.opacities)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_colours_turn_with_the_scene(similarity, generator, degree):
    gaussians = some_gaussians(generator, degree)
    directions = torch.nn.functional.normalize(torch.randn(20, 3, generator=generator).double(), dim=1)
    before = spherical_harmonics.evaluate(gaussians.sh, directions)
    turned = rotate_harmonics(gaussians.sh, similarity.rotation)
    after = spherical_harmonics.evaluate(turned, directions @ similarity.rotation.T)
    torch.testing.assert_close(after, before)


def test_there_and_back(similarity, generator):
    gaussians = some_gaussians(generator)
    back = similarity.inverse().gaussians(similarity.gaussians(gaussians))
    torch.testing.assert_close(back.means, gaussians.means)
    torch.testing.assert_close(covariances(back), covariances(gaussians))
    torch.testing.assert_close(back.sh, gaussians.sh)
