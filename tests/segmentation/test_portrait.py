import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import rgb_to_sh0
from trase_ns.segmentation.clicks import render_selection
from trase_ns.segmentation.portrait import portrait, spread_views, visible_shares


def plate(x: float, y: float, z: float, half: float) -> torch.Tensor:
    line = torch.linspace(-half, half, 15)
    xs, ys = torch.meshgrid(line + x, line + y, indexing="xy")
    return torch.stack([xs.flatten(), ys.flatten(), torch.full((225,), z)], dim=1)


@pytest.fixture
def scene() -> DynamicGaussians:
    """A red plate at the left (0-224), a green one at the right (225-449), a blue one that the green one hides from
    the front (450-674)."""
    means = torch.cat([plate(-1, 0, 4, 0.3), plate(1, 0, 4, 0.6), plate(1, 0, 4.5, 0.3)])
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]).repeat_interleave(225, 0)
    n = len(means)
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), -3.0),
        torch.full((n,), 8.0),
        rgb_to_sh0(colors),
        torch.zeros(n, 0, 3),
        torch.zeros(n, 0),
    )


K = torch.tensor([[60.0, 0, 64], [0, 60.0, 48], [0, 0, 1]])


@pytest.fixture
def front() -> Camera:
    return Camera(torch.eye(4), K, 128, 96)


@pytest.fixture
def back() -> Camera:
    """From behind, twice as far away."""
    turned = torch.diag(torch.tensor([-1.0, 1, -1, 1]))
    turned[2, 3] = 12.0
    return Camera(turned, K, 128, 96)


def object_of(index: int) -> torch.Tensor:
    return torch.arange(675) // 225 == index


def test_the_object_fills_its_portrait_and_the_rest_is_dimmed(scene, front):
    picture = portrait(scene, object_of(0), [front], 48)
    assert picture.shape == (48, 48, 3)
    assert picture.dtype == torch.uint8
    red = picture[..., 0] > 180
    assert red[14:34, 14:34].all()
    assert 0.4 < red.float().mean() < 0.9
    assert not red[:2].any()
    assert not red[-2:].any()
    assert not red[:, :2].any()
    assert not red[:, -2:].any()
    both = portrait(scene, object_of(0) | object_of(1), [front], 48)
    assert (both[..., 0] > 180).any()
    assert (both[..., 1] > 180).any()
    near = portrait(scene, torch.arange(675) % 225 < 112, [front], 64)  # halves of the plates
    assert ((near[..., 1] > 20) & (near[..., 1] < 120)).any()  # of the green one the other half is dim


def test_the_view_that_shows_most_is_taken(scene, front, back):
    shares = visible_shares(scene, [front, back])
    assert shares.shape == (2, 675)
    blue = shares @ object_of(2).float()
    assert blue[1] > 10 * blue[0]
    assert (shares @ object_of(0).float())[0] > (shares @ object_of(0).float())[1]
    picture = portrait(scene, object_of(2), [front, back], 48)
    assert picture[24, 24, 2] > 180
    assert torch.equal(picture, portrait(scene, object_of(2), [front, back], 48, shares))
    assert torch.equal(picture, portrait(scene, object_of(2), [back], 48))


def test_a_hidden_object_is_pictured_alone(scene, front):
    picture = portrait(scene, object_of(2), [front], 48)
    assert picture[24, 24, 2] > 180
    assert picture[..., 1].max() < 30


def test_what_only_shines_through_is_hidden(scene, front):
    scene.log_scales[225:450] = -2.2
    scene.logit_opacities[225:450] = -0.9
    leak = render_selection(scene, object_of(2), front)
    assert 0.01 < leak.max() < 0.1
    assert leak.sum() > 2
    assert portrait(scene, object_of(2), [front], 48)[..., 1].max() < 30


def test_dark_objects_are_brightened(scene, front):
    scene.sh0[:225] = rgb_to_sh0(torch.tensor([0.2, 0.0, 0.0]))
    picture = portrait(scene, object_of(0), [front], 48)
    assert 110 < picture[24, 24, 0] < 140


def test_the_background_shows(scene, front):
    picture = portrait(scene, object_of(0), [front], 48, background=torch.tensor([0.0, 0, 1]))
    assert picture[0, 0, 2] > 60
    assert picture[0, 0, 0] < 60


def test_something_out_of_view_does_not_stop_it(scene, front):
    behind = Camera(torch.diag(torch.tensor([-1.0, 1, -1, 1])), K, 128, 96)
    assert portrait(scene, object_of(0), [behind], 32).max() == 0


def test_nothing_has_no_portrait(scene, front):
    with pytest.raises(UserError, match="nothing is selected"):
        portrait(scene, torch.zeros(675, dtype=torch.bool), [front])
    with pytest.raises(ValueError, match="camera"):
        portrait(scene, object_of(0), [])


def test_views_are_spread_evenly(front):
    cameras = [front.at(i / 100) for i in range(100)]
    times = [round(camera.time * 100) for camera in spread_views(cameras, 4)]
    assert times == [12, 37, 62, 87]
    assert spread_views(cameras[:3], 4) == cameras[:3]
    assert spread_views([], 4) == []
