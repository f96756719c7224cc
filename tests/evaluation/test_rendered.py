"""Pictures along a path: each way to show a scene, checked in the pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trase_ns.errors import UserError
from trase_ns.evaluation.rendered import depth_range, render_pictures
from trase_ns.evaluation.rendered_masks import label_colors, selection_mask
from trase_ns.render import render_view

RED, BLUE = 0, 1  # objects: red in front at x 0, z 0.5; blue slides by behind it from x -1 at z -0.5


class Push(nn.Module):
    """The Gaussians whose motion is 1 go two units along x from time 0 to 1."""

    def move(self, means, quats, log_scales, motion, time):
        return means + motion * means.new_tensor([2.0 * time, 0, 0]), quats, log_scales


@pytest.fixture
def scene(run):
    moving = run.segmentation.members(BLUE)
    return replace(run.scene, field=Push(), motion=moving[:, None].float())


@pytest.fixture
def cameras(straight_camera):
    return [straight_camera.at(time) for time in (0.0, 0.5, 1.0)]


def at(x, y=0.0, z=0.0):
    """Row and column of the pixel that shows a point."""
    depth = 4.0 - z
    return round(36 - 0.5 - 90 * y / depth), round(48 - 0.5 + 90 * x / depth)


def test_the_scene_is_what_the_renderer_shows_at_each_time(scene, cameras):
    grey = torch.tensor([0.5, 0.5, 0.5])
    pictures = list(render_pictures(scene, cameras, background=grey))
    assert [picture.shape for picture in pictures] == [(72, 96, 3)] * 3
    for picture, camera in zip(pictures, cameras):
        expected = render_view(scene.at(camera.time), camera, background=grey).color.clamp(0, 1) * 255
        assert np.abs(picture - expected.numpy()).max() <= 0.51
    assert pictures[0][0, 0].tolist() == [128, 128, 128]
    red, blue = pictures[0][at(0, z=0.5)].astype(int), pictures[0][at(-1, z=-0.5)].astype(int)
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50
    assert pictures[2][at(-1, z=-0.5)].tolist() == [128, 128, 128]  # it went to the other side
    assert (
        pictures[2][at(1, z=-0.5)].tolist() == pictures[0][at(-1, z=-0.5)].tolist()
        or pictures[2][at(1, z=-0.5)][2] > 150
    )


def test_a_selection_alone_shows_what_others_hide(scene, run, cameras):
    blue = run.segmentation.members(BLUE)
    pictures = list(render_pictures(scene, cameras, "selection", selection=blue, background=torch.zeros(3)))
    shown = pictures[1][at(0, z=-0.5)].astype(int)  # behind red at this time
    assert shown[2] > shown[0] + 50
    assert not pictures[0][at(0, z=0.5)].any()  # red is left out


def test_transparent_pictures_have_straight_alpha(scene, run, cameras):
    red = run.segmentation.members(RED)
    (picture,) = render_pictures(scene, cameras[:1], "selection", selection=red, background=None)
    assert picture.shape == (72, 96, 4)
    assert picture[0, 0, 3] == 0
    assert picture[at(0, z=0.5)][3] > 240
    edge = picture[(picture[..., 3] > 30) & (picture[..., 3] < 120)]
    inside = picture[at(0, z=0.5)]
    assert len(edge) > 5
    assert (edge[:, 0] > 0.8 * inside[0]).all()  # as bright as inside: not multiplied with alpha
    view = render_view(scene.subset(red).at(0.0), cameras[0], background=torch.ones(3)).color.clamp(0, 1) * 255
    alpha = picture[..., 3:] / 255
    assert np.abs(picture[..., :3] * alpha + 255 * (1 - alpha) - view.numpy()).max() < 3


def test_an_overlay_tints_the_selection_and_dims_the_rest(scene, run, cameras):
    red = run.segmentation.members(RED)
    (plain,) = render_pictures(scene, cameras[:1], background=torch.ones(3))
    (picture,) = render_pictures(scene, cameras[:1], "overlay", selection=red, background=torch.ones(3))
    assert picture[0, 0].tolist() == [102, 102, 102]
    np.testing.assert_allclose(picture[at(-1, z=-0.5)], plain[at(-1, z=-0.5)] * 0.4, atol=1)
    tinted = plain[at(0, z=0.5)] * 0.55 + 0.45 * 255 * np.array([1.0, 0.55, 0.1])
    np.testing.assert_allclose(picture[at(0, z=0.5)], tinted, atol=4)


def test_masks_and_labels_and_segments(scene, run, cameras):
    red = run.segmentation.members(RED)
    for camera, mask in zip(cameras, render_pictures(scene, cameras, "mask", selection=red)):
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, 255 * selection_mask(scene.at(camera.time), red, camera))
    for camera, picture in zip(cameras, render_pictures(scene, cameras, "labels", segmentation=run.segmentation)):
        np.testing.assert_array_equal(picture, label_colors(scene.at(camera.time), run.segmentation, camera))
    (picture,) = render_pictures(scene, cameras[:1], "segments", segmentation=run.segmentation)
    for index, place in ((RED, at(0, z=0.5)), (BLUE, at(-1, z=-0.5))):
        expected = run.segmentation.palette[index].numpy() * 255
        np.testing.assert_allclose(picture[place], expected, atol=6)


def test_depth_has_one_range_for_all_pictures(scene, cameras):
    near, far = depth_range(scene, cameras)
    assert 3.0 < near < 3.6
    assert 4.1 < far < 4.9
    first, _, last = render_pictures(scene, cameras, "depth")
    red, blue = first[at(0, z=0.5)].astype(int), first[at(-1, z=-0.5)].astype(int)
    assert red[0] > red[2]  # near is red
    assert blue[2] > blue[0]  # far is blue
    np.testing.assert_allclose(first[at(0, z=0.5)].astype(int), last[at(0, z=0.5)].astype(int), atol=2)
    assert first[0, 0].tolist() == [0, 0, 0]


def test_depth_of_nothing_is_black(scene, cameras):
    away = replace(cameras[0], viewmat=cameras[0].viewmat + torch.tensor([0, 0, -50.0, 0])[:, None] * torch.eye(4)[3])
    (picture,) = render_pictures(scene, [away], "depth")
    assert not picture.any()


@pytest.mark.parametrize(
    ("show", "says"),
    [("selection", "nothing is selected"), ("overlay", "nothing is"), ("mask", "nothing"), ("segments", "no objects")],
)
def test_what_is_not_there_is_said_at_once(scene, cameras, show, says):
    with pytest.raises(UserError, match=says):
        render_pictures(scene, cameras, show, selection=torch.zeros(600, dtype=torch.bool))
