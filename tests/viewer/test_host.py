"""What both viewers share: places on pictures and in the scene."""

from types import SimpleNamespace

import pytest

from trase_ns.scene.camera import Camera
from trase_ns.viewer.host import Host, picture_position


class Still(Host):
    """A viewer whose pages all look from one camera."""

    scale = 4.0
    lock = time = None
    rerender = show_output = place = None

    def __init__(self, camera: Camera):
        self._camera = camera

    def camera(self, client):
        return self._camera


@pytest.fixture
def host(camera):
    return Still(camera)


def event(*corners, aspect=1.5):
    return SimpleNamespace(client=SimpleNamespace(camera=SimpleNamespace(aspect=aspect)), screen_pos=corners)


def test_position_on_the_picture_of_a_page():
    assert picture_position((0.25, 0.5), 2.0, 200, 100) == (50, 50)  # the picture fills the page
    assert picture_position((0.25, 0.5), 2.0, 100, 100) == (0, 50)  # bars at the sides: a quarter of the page each
    assert picture_position((0.2, 0.5), 2.0, 100, 100)[0] < 0
    assert picture_position((0.5, 0.25), 0.5, 100, 100) == (50, 0)  # bars above and below


def test_a_click_is_a_spot_of_the_view(host, camera):
    assert host.spot(event((0.25, 0.75))) == (camera, 24.0, 48.0)


def test_a_rectangle_is_ordered_and_within_the_picture(host, camera):
    assert host.region(event((0.75, 0.25), (0.5, 0.5))) == (camera, 48.0, 16.0, 72.0, 32.0)
    assert host.region(event((-0.5, 0.5), (1.5, 2.0))) == (camera, 0.0, 32.0, 96.0, 64.0)


def test_points_go_to_the_page_and_back(host):
    assert host.to_page([[1, 2, 3]]).tolist() == [[4, 8, 12]]
    assert host.to_scene(host.to_page([0.5, 0, -1])).tolist() == [0.5, 0, -1]
