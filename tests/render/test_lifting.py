import pytest
import torch

from trase_ns.render import contributions, lift
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


@pytest.fixture(scope="module")
def view(make_scene):
    scene = make_scene(count=800, channels=5)
    gaussians = Gaussians(scene.means, scene.quats, scene.scales, scene.opacities, torch.zeros(800, 1, 3))
    return gaussians, Camera(scene.viewmats[0], scene.Ks[0], scene.width, scene.height)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("channels", [1, 5, 16, 33])
def test_lifting_is_the_transpose_of_rendering(view, backend, channels):
    gaussians, camera = view
    picture = torch.randn(camera.height, camera.width, channels, generator=torch.Generator().manual_seed(0))
    weights = contributions(gaussians, camera)
    expected = weights.transpose_matmul(picture.flatten(0, 1))
    lifted, total = lift(gaussians, camera, picture, backend=backend)
    assert lifted.shape == (800, channels)
    assert lifted.any(dim=1).sum() > 100
    torch.testing.assert_close(lifted, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(total, weights.column_sums(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_views_add_up(view, backend):
    gaussians, camera = view
    picture = torch.rand(camera.height, camera.width, 3, generator=torch.Generator().manual_seed(1))
    once = lift(gaussians, camera, picture, backend=backend)
    out = once[0].clone(), once[1].clone()
    twice = lift(gaussians, camera, picture, out, backend=backend)
    assert twice[0] is out[0]
    for sums, half in zip(out, once):
        torch.testing.assert_close(sums, 2 * half)


def test_nothing_in_sight_is_zero(view):
    gaussians, camera = view
    behind = gaussians.subset(torch.zeros(800, dtype=torch.bool))
    picture = torch.ones(camera.height, camera.width, 2)
    assert lift(behind, camera, picture)[0].shape == (0, 2)
    turned = Camera(torch.diag(torch.tensor([-1.0, 1, -1, 1])) @ camera.viewmat, camera.K, camera.width, camera.height)
    assert not any(sums.any() for sums in lift(gaussians, turned, picture))


def test_lifting_carries_no_gradient_and_wants_the_cameras_size(view):
    gaussians, camera = view
    picture = torch.ones(camera.height, camera.width, 2, requires_grad=True)
    assert not any(sums.requires_grad for sums in lift(gaussians, camera, picture))
    with pytest.raises(ValueError, match="a picture of"):
        lift(gaussians, camera, picture[1:])


@pytest.mark.cuda
def test_cuda_agrees_with_the_reference(view):
    gaussians, camera = view
    picture = torch.randn(camera.height, camera.width, 5, generator=torch.Generator().manual_seed(0))
    expected = lift(gaussians, camera, picture, backend="reference")
    for found, wanted in zip(lift(gaussians.to("cuda"), camera, picture.cuda()), expected):
        torch.testing.assert_close(found.cpu(), wanted, rtol=1e-3, atol=1e-3)
