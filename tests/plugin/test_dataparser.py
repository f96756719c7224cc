"""What Nerfstudio gets of data sets in the layouts of others."""

import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.plugin.dataparser import TraseDataParserConfig


def parse(data, split="train", **options):
    return TraseDataParserConfig(data=data, **options).setup().get_dataparser_outputs(split)


def test_options_reach_the_reader(layouts, tmp_path):
    root = layouts.write_neu3d(tmp_path)
    assert parse(root, "test", moments=(1, 3)).cameras.times.flatten().tolist() == [0, 1]
    with pytest.raises(UserError, match="no images_4x"):
        parse(root, image_scale=4)
    with pytest.raises(UserError, match=r"models\.json is missing"):
        parse(root, format="immersive")


def test_points_are_thinned_with_their_colours(layouts, tmp_path):
    metadata = parse(layouts.write_multiview(tmp_path), max_points=100, random_seeds=7).metadata
    assert metadata["points3D_xyz"].shape == metadata["points3D_rgb"].shape == (107, 3)
    assert len(torch.unique(metadata["points3D_xyz"], dim=0)) == 107
    assert (metadata["points3D_rgb"][:100, 1] == 200).all()
    assert (metadata["points3D_rgb"][100:] == 128).all()
    assert len(parse(tmp_path, random_seeds=7).metadata["points3D_xyz"]) == 307


def test_seeds_fill_the_depths_that_the_data_set_names(layouts, tmp_path):
    outputs = parse(layouts.write_neu3d(tmp_path), random_seeds_without_points=500)
    points = outputs.metadata["points3D_xyz"]
    assert len(points) == 500
    poses = outputs.cameras.camera_to_worlds
    distance = (points[:, None] - poses[:, :, 3]).norm(dim=-1).min(dim=1).values / outputs.dataparser_scale
    near, far = 1.6, 9.0
    assert distance.max() > 0.8 * far
    assert distance.max() < 2 * far
    assert distance.median() > near


def test_fisheye_pictures_become_pinhole_ones(layouts, tmp_path):
    cameras = parse(layouts.write_immersive(tmp_path)).cameras
    assert len(cameras) == 6
    assert (cameras.camera_type == 1).all()  # perspective
    assert not np.allclose(cameras.fx.numpy(), 27.5, atol=1)
    assert torch.isfinite(cameras.fx).all()
