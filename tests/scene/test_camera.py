"""Cameras and the sizes of their pictures."""

import pytest
import torch

from trase_ns.scene.camera import Camera


@pytest.fixture
def camera():
    return Camera.from_opengl(torch.eye(4), 90.0, 100.0, 50.0, 30.0, 80, 60, 0.5)


def test_another_size_keeps_the_view(camera):
    half = camera.resized(40, 30)
    torch.testing.assert_close(half.K, torch.tensor([[45.0, 0, 25], [0, 50, 15], [0, 0, 1]]))
    assert camera.scaled(0.5).K.equal(half.K)


def test_another_shape_keeps_the_vertical_view_and_the_shape_of_pixels(camera):
    wide = camera.reshaped(240, 120)
    torch.testing.assert_close(wide.K, torch.tensor([[180.0, 0, 150], [0, 200, 60], [0, 0, 1]]))
    assert (wide.width, wide.height, wide.time) == (240, 120, 0.5)
    same = camera.reshaped(160, 120)
    assert same.K.equal(camera.resized(160, 120).K)
