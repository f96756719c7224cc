import numpy as np
import torch

from trase_ns.viewer.images import depth_buffer, to_image


def test_colours_become_bytes_and_stay_in_range():
    output = torch.tensor([[[0.0, 0.5, 1.0], [-3.0, 7.0, 0.2]]])
    assert to_image(output).tolist() == [[[0, 128, 255], [0, 255, 51]]]


def test_one_channel_is_stretched_over_the_colours():
    image = to_image(torch.tensor([2.0, 3.0, 4.0])[None, :, None])
    assert image.dtype == np.uint8
    near, middle, far = image[0].astype(int)
    assert near[2] > near[0]  # blue
    assert middle[1] > max(middle[0], middle[2])  # green
    assert far[0] > far[2]  # red


def test_one_channel_without_range_or_with_nan_is_a_picture():
    assert to_image(torch.full((2, 3, 1), float("nan"))).shape == (2, 3, 3)


def test_depth_is_in_units_of_the_page_and_far_where_nothing_is_seen():
    outputs = {"depth": torch.full((4, 6, 1), 2.0), "accumulation": torch.ones(4, 6, 1)}
    outputs["accumulation"][0] = 0.1
    depth = depth_buffer(outputs, scale=5.0)
    assert depth.shape == (4, 6)
    assert (depth[1:] == 10).all()
    assert (depth[0] > 1000).all()


def test_a_large_depth_is_thinned():
    plane = torch.arange(1000.0).expand(600, 1000)[..., None]
    depth = depth_buffer({"depth": plane, "accumulation": torch.ones_like(plane)}, scale=1.0)
    assert max(depth.shape) == 250
    assert depth.shape[0] == 150
    np.testing.assert_allclose(depth[0], np.arange(250) * 4 + 1.5, atol=0.5)  # each from the middle of its place


def test_without_depth_there_is_none():
    assert depth_buffer({"rgb": torch.zeros(2, 2, 3)}, scale=1.0) is None
