import numpy as np
import pytest
import torch

from trase_ns import render
from trase_ns.learning.uplift import uplift_features, uplift_masks
from trase_ns.masks import MaskSet


def dense_weights(scene, camera) -> torch.Tensor:
    """W [H, W, N], one picture of a white Gaussian among black ones for each Gaussian."""
    with torch.no_grad():
        gaussians = scene.at(camera.time)
        white = torch.eye(len(scene))
        blocks = [render.render_view(gaussians, camera, colors=block.T.contiguous()).color for block in white.split(16)]
    return torch.cat(blocks, dim=2)


def test_masks_are_sums_of_weights_over_their_pixels(scene, cameras, mask_sets):
    weights = uplift_masks(scene, zip(cameras, mask_sets))
    assert weights.frame_of_mask.tolist() == [0, 0, 0, 0, 1, 1]
    assert weights.inside.shape == (6, len(scene))
    assert weights.visibility.shape == (3, len(scene))
    row = 0
    for frame, (camera, masks) in enumerate(zip(cameras, mask_sets)):
        W = dense_weights(scene, camera)
        np.testing.assert_allclose(weights.visibility[[frame]].toarray()[0], W.sum((0, 1)), rtol=1e-4, atol=1e-4)
        for mask in masks.resized(camera.height, camera.width):
            expected = W[torch.from_numpy(mask)].sum(0)
            np.testing.assert_allclose(weights.inside[[row]].toarray()[0], expected, rtol=1e-4, atol=1e-4)
            row += 1


def test_memory_does_not_grow_with_the_number_of_frames(scene, cameras, mask_sets):
    views = [(cameras[i % 3], mask_sets[i % 3]) for i in range(11)]
    whole = uplift_masks(scene, views)

    def nbytes(weights):
        return sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in (weights.inside, weights.visibility))

    assert whole.inside.indices.dtype == np.int32
    thinned = uplift_masks(scene, views, budget=nbytes(whole) // 3)
    assert nbytes(thinned) <= nbytes(whole) // 3
    assert (thinned.visibility != whole.visibility[::4]).nnz == 0  # frames 0, 4 and 8
    rows = [i for i, frame in enumerate(whole.frame_of_mask) if frame % 4 == 0]
    assert (thinned.inside != whole.inside[rows]).nnz == 0
    assert thinned.frame_of_mask.tolist() == [frame // 4 for frame in whole.frame_of_mask[rows]]
    one = uplift_masks(scene, views, budget=0)
    assert one.visibility.shape == (1, len(scene))


def test_disjoint_masks_share_out_the_visibility(scene, cameras):
    left = np.zeros((24, 32), dtype=bool)
    left[:, :10] = True
    weights = uplift_masks(scene, [(cameras[1], MaskSet.from_dense("0", [left, ~left]))])
    np.testing.assert_allclose(
        np.asarray(weights.inside.sum(axis=0)), weights.visibility.toarray(), rtol=1e-4, atol=1e-5
    )
    assert weights.visibility[0, len(scene) - 1] == 0  # behind the camera


def test_no_masks_at_all(scene, cameras, mask_sets):
    weights = uplift_masks(scene, [(cameras[2], mask_sets[2])])
    assert weights.inside.shape == (0, len(scene))
    assert weights.visibility.sum() > 0


def test_features_are_weighted_means_over_views(scene, cameras):
    torch.manual_seed(2)
    maps = [torch.rand(camera.height, camera.width, 3) for camera in cameras]
    W = torch.cat([dense_weights(scene, camera).flatten(0, 1) for camera in cameras]).double()
    F = torch.cat([features.flatten(0, 1) for features in maps]).double()
    expected = (W.T @ F) / W.sum(0)[:, None].clamp_min(1e-30)
    lifted, weight = uplift_features(scene, list(zip(cameras, maps)))
    seen = W.sum(0) > 1e-3
    torch.testing.assert_close(weight, W.sum(0).float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(lifted[seen], expected[seen].float(), rtol=1e-3, atol=1e-4)
    assert (lifted[-1] == 0).all()


def test_a_constant_map_lifts_to_the_constant(scene, cameras):
    views = [(camera, torch.full((camera.height, camera.width, 2), 3.5)) for camera in cameras]
    lifted, weight = uplift_features(scene, views)
    seen = weight > 0
    assert seen.sum() > 50
    torch.testing.assert_close(lifted[seen], torch.full_like(lifted[seen], 3.5))


def test_bad_input(scene, cameras):
    with pytest.raises(ValueError, match="10 x 10"):
        uplift_features(scene, [(cameras[0], torch.zeros(10, 10, 2))])
    with pytest.raises(ValueError, match="no view"):
        uplift_features(scene, [])
    with pytest.raises(ValueError, match="no view"):
        uplift_masks(scene, [])
