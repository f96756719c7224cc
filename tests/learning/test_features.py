import pytest
import torch

from trase_ns import render
from trase_ns.learning.contrastive import trase_loss
from trase_ns.learning.features import FeatureStage, FeatureStageConfig
from trase_ns.learning.pixels import sample_pixels
from trase_ns.learning.smoothing import Neighbours


def generator(seed=7):
    return torch.Generator().manual_seed(seed)


def stage_of(scene, **config) -> FeatureStage:
    return FeatureStage(scene, Neighbours(scene.means), FeatureStageConfig(**{"pixels": 200, **config}))


def loss_and_gradient(stage, scene, *arguments):
    features = scene.features.clone().requires_grad_()
    terms = stage.loss(features, *arguments, generator=generator())
    sum(terms.values()).backward()
    return terms, features.grad


def test_the_step_is_the_loss_of_the_rendered_feature_map(scene, cameras, mask_sets):
    camera, masks = cameras[1], mask_sets[1]
    terms, gradient = loss_and_gradient(stage_of(scene), scene, camera, masks)

    features = scene.features.clone().requires_grad_()
    source = generator()
    sample = sample_pixels(masks, camera.width, camera.height, 200, generator=source)
    smooth = Neighbours(scene.means).mean(features, 8, source)
    with torch.no_grad():
        gaussians = scene.at(camera.time)
    picture = render.render_view(gaussians, camera, colors=smooth).color
    x, y = sample.pixels.T
    expected = trase_loss(picture[y, x], sample.mask_vectors, sample.mask_sizes)
    sum(expected.values()).backward()
    for name in ("positive", "negative", "norm"):
        torch.testing.assert_close(terms[name], expected[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, features.grad, rtol=1e-3, atol=1e-6)
    assert gradient[:-1].abs().sum() > 0
    assert scene.means.grad is None
    assert all(parameter.grad is None for parameter in scene.field.parameters())


def test_kept_and_computed_weights_are_the_same(scene, cameras, mask_sets, monkeypatch):
    whole = render.contributions(scene.detach().at(0.0), cameras[0]).nbytes
    calls = []
    original = render.contributions
    monkeypatch.setattr(render, "contributions", lambda *a: calls.append(len(a)) or original(*a))

    kept, scarce, none = (stage_of(scene, keep="weights", cache_gb=gb) for gb in (None, whole / 1e9, 0.0))
    for stage in (kept, scarce, none):
        for _ in range(3):
            for view in range(2):
                expected = loss_and_gradient(stage_of(scene, cache_gb=0), scene, cameras[view], mask_sets[view])
                calls.clear()
                actual = loss_and_gradient(stage, scene, cameras[view], mask_sets[view], view)
                for name, value in expected[0].items():
                    torch.testing.assert_close(actual[0][name], value, rtol=1e-6, atol=1e-7)
                torch.testing.assert_close(actual[1], expected[1], rtol=1e-5, atol=1e-8)
        # In the last round: all kept; the second view only at the drawn pixels; every view so.
        assert calls == {kept: [], scarce: [3], none: [3]}[stage]


@pytest.mark.parametrize(("moments", "evaluated"), [(None, 0), (1, 1), (0, 2)])
def test_kept_and_computed_gaussians_are_the_same(scene, cameras, mask_sets, monkeypatch, moments, evaluated):
    one = 4 * 10 * len(scene) / 1e9  # means, quaternions and scales
    stage = stage_of(scene, cache_gb=None if moments is None else moments * one)
    calls = []
    original = type(scene).at
    for _ in range(2):
        calls.clear()
        for view in range(2):
            expected = loss_and_gradient(stage_of(scene, cache_gb=0), scene, cameras[view], mask_sets[view])
            with monkeypatch.context() as patch:
                patch.setattr(type(scene), "at", lambda *a: calls.append(a) or original(*a))
                actual = loss_and_gradient(stage, scene, cameras[view], mask_sets[view], view)
            assert all(torch.equal(actual[0][name], value) for name, value in expected[0].items())
            assert torch.equal(actual[1], expected[1])
    assert len(calls) == evaluated


def test_a_view_without_a_name_is_not_kept(scene, cameras, mask_sets):
    stage = stage_of(scene, keep="weights")
    loss_and_gradient(stage, scene, cameras[0], mask_sets[0])
    first = loss_and_gradient(stage, scene, cameras[0], mask_sets[0])
    other = loss_and_gradient(stage, scene, cameras[1], mask_sets[0])
    assert first[0]["positive"] != other[0]["positive"]


def test_a_frame_without_masks_only_keeps_norms(scene, cameras, mask_sets):
    terms, gradient = loss_and_gradient(stage_of(scene), scene, cameras[2], mask_sets[2], "bare")
    assert terms["positive"].item() == terms["negative"].item() == 0
    assert terms["norm"].item() > 0
    assert gradient.isfinite().all()


def test_options_reach_the_objective(scene, cameras, mask_sets):
    base = {"neighbours": None}  # else drawing masks would change which neighbours are drawn
    plain = loss_and_gradient(stage_of(scene, **base), scene, cameras[0], mask_sets[0])[0]
    for option in (
        {"positive_threshold": -1.0}, {"negative_threshold": 1.0}, {"mining": "hard"}, {"normalisation": "mined"},
        {"shared_only_large": "negative"}, {"norm_weight": 2.0}, {"masks": 1}, {"neighbours": 8}, {"pixels": 100},
    ):  # fmt: skip
        changed = loss_and_gradient(stage_of(scene, **{**base, **option}), scene, cameras[0], mask_sets[0])[0]
        assert any(changed[name].item() != pytest.approx(plain[name].item()) for name in plain), option


def test_features_of_different_masks_part(scene, cameras, mask_sets):
    stage = stage_of(scene)
    features, losses = scene.features.clone().requires_grad_(), []
    for step in range(60):
        view = step % 2
        loss = sum(stage.loss(features, cameras[view], mask_sets[view], view, generator=generator(step)).values())
        (gradient,) = torch.autograd.grad(loss, features)
        features = (features - 0.05 * gradient.sign()).detach().requires_grad_()
        losses.append(loss.item())
    assert sum(losses[-10:]) / 10 < sum(losses[:10]) / 10 - 0.2
