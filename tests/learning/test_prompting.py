"""LUDVIG's prompts to SAM in all views, with predictors that know the answer."""

import numpy as np
import pytest
import torch

from trase_ns.learning.prompting import prompted_mask, uplift_prompted
from trase_ns.learning.uplift import uplift_features
from trase_ns.render import render_view


def test_prompts_are_drawn_from_high_values_and_averaged():
    heat = torch.full((6, 8), 0.25)
    heat[2:5, 3:6] = 0.8
    heat[0, 0] = 0.0
    asked = []

    def predictor(points):
        asked.append(points)
        return np.arange(48).reshape(6, 8) % 2 == len(asked) % 2  # one half of the pixels, then the other

    mean = prompted_mask(heat, predictor, generator=torch.Generator().manual_seed(0))
    assert len(asked) == 10
    for points in asked:
        assert points.shape == (3, 2)
        assert len(np.unique(points, axis=0)) == 3
        x, y = (points - 0.5).astype(int).T
        assert (heat.numpy()[y, x] == np.float32(0.8)).all()
    assert len({points.tobytes() for points in asked}) > 5
    torch.testing.assert_close(mean, torch.full((6, 8), 0.5))


def test_views_that_do_not_show_the_object_are_not_prompted():
    def never(_):
        raise AssertionError("prompted")

    assert not prompted_mask(torch.zeros(4, 5), never).any()
    assert not prompted_mask(torch.full((4, 5), 0.1), never).any()
    few = torch.zeros(4, 5)
    few[1, 2] = 1.0
    asked = []
    prompted_mask(few, lambda points: asked.append(points) or few.bool().numpy(), rounds=1)
    assert asked[0].tolist() == [[2.5, 1.5]] * 3


def test_an_object_spreads_from_one_reference_mask_to_all_views(scene, cameras):
    """The predictor knows the true mask of each view, and answers only prompts that lie on it."""
    inside = scene.means[:, 0] > 0.2
    truth = []
    for camera in cameras:
        view = render_view(scene.at(camera.time), camera, colors=inside.float()[:, None])
        truth.append(view.color[..., 0] > 0.5 * view.alpha[..., 0].clamp_min(0.2))
    assert all(mask.sum() > 20 for mask in truth)
    asked = []

    def prepared(index):
        def predictor(points):
            x, y = points.astype(int).T
            asked.append(truth[index].numpy()[y, x].mean())
            return truth[index].numpy()

        return lambda heat: predictor

    views = [(camera, prepared(i)) for i, camera in enumerate(cameras)]
    first, _ = uplift_features(scene, [(cameras[0], truth[0][..., None].float())])
    generator = torch.Generator().manual_seed(0)
    belongs, total = uplift_prompted(scene, first[:, 0], views, generator=generator)
    assert len(asked) == 30
    assert np.mean(asked) > 0.9
    expected, weight = uplift_features(scene, [(c, mask[..., None].float()) for c, mask in zip(cameras, truth)])
    torch.testing.assert_close(belongs, expected[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(total, weight)
    seen = weight > 1
    assert ((belongs > 0.5) == inside)[seen].float().mean() > 0.8


def test_views_without_the_object_do_not_count(scene, cameras):
    def never(_):
        raise AssertionError("looked at")

    turned = cameras[1].__class__(torch.diag(torch.tensor([-1.0, 1, -1, 1])), cameras[1].K, 32, 24)  # looks away
    inside = (scene.means[:, 0] > 0.2).float()
    everything = np.ones((24, 32), bool)
    views = [(cameras[0], lambda heat: lambda points: everything), (turned, never)]
    belongs, total = uplift_prompted(scene, inside, views)
    expected, weight = uplift_features(scene, [(cameras[0], torch.ones(24, 32, 1))])
    torch.testing.assert_close(belongs, expected[:, 0])
    torch.testing.assert_close(total, weight)
    with pytest.raises(ValueError, match="no view"):
        uplift_prompted(scene, inside, [(turned, never)])
