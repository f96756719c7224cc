"""DGD's loss against a literal transcription, its reduction against scikit-learn, its memory against a bound."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, interpolate
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from trase_ns.learning.distillation import Reduction, distillation_loss, sample_map, select_similar, similarity
from trase_ns.render import contributions, render_view


def literal_loss(features, rows, target):
    """Equation 4, F(p) = sum of T_i alpha_i f_i, pixel by pixel, and the mean absolute difference."""
    total = 0
    for pixel, wanted in zip(rows, target):
        F = sum(weight * features[i] for i, weight in pixel)
        for channel in range(features.shape[1]):
            total = total + abs((F[channel] if pixel else 0) - wanted[channel])
    return total / target.numel()


@pytest.mark.parametrize("channels", [1, 3, 50])
def test_loss_and_gradient_are_the_papers(scene, cameras, channels):
    gaussians, camera = scene.at(cameras[1].time), cameras[1]
    generator = torch.Generator().manual_seed(0)
    pixels = torch.stack([torch.arange(4, 28, 3), torch.arange(0, 24, 3)], dim=1)
    weights = contributions(gaussians, camera, pixels)
    target = torch.randn(len(pixels), channels, generator=generator)
    features = torch.randn(len(scene), channels, generator=generator)
    ends = weights.indptr.tolist()
    pairs = list(zip(weights.indices.tolist(), weights.weights.double().tolist()))
    rows = [pairs[a:b] for a, b in zip(ends, ends[1:])]
    assert any(rows)
    reference = features.double().requires_grad_()
    expected = literal_loss(reference, rows, target.double())
    features.requires_grad_()
    loss = distillation_loss(features, weights, target)
    torch.testing.assert_close(loss, expected.float())
    (gradient,) = torch.autograd.grad(loss, features)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, reference)[0].float())


def test_loss_is_that_of_the_rendered_map(scene, cameras):
    gaussians, camera = scene.at(cameras[0].time), cameras[0]
    features = torch.randn(len(scene), 5, generator=torch.Generator().manual_seed(1))
    picture = render_view(gaussians, camera, colors=features).color
    loss = distillation_loss(features, contributions(gaussians, camera), (picture + 0.25).flatten(0, 1))
    assert loss.item() == pytest.approx(0.25, rel=1e-4)


def test_a_map_is_sampled_as_if_it_were_upsampled():
    feature_map = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(2))
    width, height = 33, 20
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    sampled = sample_map(feature_map, torch.stack([x, y], dim=2).view(-1, 2), width, height)
    whole = interpolate(feature_map.permute(2, 0, 1)[None], (height, width), mode="bilinear", align_corners=False)
    torch.testing.assert_close(sampled.view(height, width, 3), whole[0].permute(1, 2, 0), atol=1e-5, rtol=1e-5)
    same = sample_map(feature_map.half(), torch.tensor([[6, 4], [0, 0]]), 7, 5)
    torch.testing.assert_close(same, feature_map.half()[[4, 0], [6, 0]].float())


def test_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    generator = np.random.default_rng(0)
    samples = (
        generator.normal(size=(200, 4)) @ generator.normal(size=(4, 9)) + 3 + 0.1 * generator.normal(size=(200, 9))
    )
    pca = PCA(3).fit(samples)
    reduction = Reduction.fit(torch.from_numpy(samples), 3)
    signs = np.sign((pca.components_ * reduction.components.numpy()).sum(axis=1))
    np.testing.assert_allclose(reduction.components * signs[:, None], pca.components_, atol=1e-5)
    assert reduction.explained == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-6)
    some = torch.from_numpy(samples[:5]).float()
    reduced = reduction.reduce(some)
    np.testing.assert_allclose(reduced * signs, pca.transform(samples[:5]), atol=1e-4)
    np.testing.assert_allclose(reduction.restore(reduced), pca.inverse_transform(pca.transform(samples[:5])), atol=1e-4)


def test_all_components_restore_everything():
    samples = torch.randn(30, 6, generator=torch.Generator().manual_seed(3)) + 2
    reduction = Reduction.fit(samples, 10)
    assert reduction.components.shape == (6, 6)
    assert reduction.explained == pytest.approx(1)
    torch.testing.assert_close(reduction.restore(reduction.reduce(samples)), samples, atol=1e-5, rtol=1e-5)
    assert Reduction.fit(torch.ones(4, 3), 2).reduce(torch.ones(2, 3)).abs().max() == 0
    with pytest.raises(ValueError, match="0 samples"):
        Reduction.fit(torch.zeros(0, 3), 2)


def test_reduced_features_are_compared_as_restored_ones():
    samples = torch.randn(60, 8, generator=torch.Generator().manual_seed(4)) + 1
    reduction = Reduction.fit(samples, 3)
    reduced, query = reduction.reduce(samples), samples[7]
    expected = cosine_similarity(reduction.restore(reduced), query[None])
    torch.testing.assert_close(similarity(reduced, query, reduction), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(similarity(samples, query), cosine_similarity(samples, query[None]))


def test_selection_by_hand():
    features = torch.tensor([[2.0, 0], [1, 1], [0, 1], [0, 0], [-1, 0]])
    query = torch.tensor([4.0, 0])
    assert select_similar(features, query, 0.8).tolist() == [True, False, False, False, False]
    assert select_similar(features, query, 0.7).tolist() == [True, True, False, False, False]
    assert select_similar(features, query, -0.5).tolist() == [True, True, True, True, False]
    identity = Reduction(torch.zeros(2), torch.eye(2), 1.0)
    assert select_similar(features, query, 0.7, identity).tolist() == [True, True, False, False, False]


class Largest(TorchDispatchMode):
    """Notes the numbers in the largest tensor that any operation makes."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.numel = max([self.numel, *(t.numel() for t in tree_leaves(result) if isinstance(t, torch.Tensor))])
        return result


def test_no_picture_of_all_channels_is_ever_made(scene, cameras):
    channels, pixels = 384, torch.tensor([[16, 12], [3, 4]])
    weights = contributions(scene.at(0.0), cameras[0], pixels)
    features = torch.randn(len(scene), channels, requires_grad=True)
    feature_map = torch.randn(2, 3, channels)
    with Largest() as largest:
        target = sample_map(feature_map, pixels, cameras[0].width, cameras[0].height)
        distillation_loss(features, weights, target).backward()
    assert 0 < largest.numel <= features.numel() < cameras[0].width * cameras[0].height * channels


@pytest.mark.slow
def test_steps_with_384_numbers_for_100_000_gaussians_stay_below_3_gigabytes():
    program = """
import resource, torch
from benchmarks.performance.scenes import camera, gaussians
from trase_ns.learning.distillation import distillation_loss, sample_map
from trase_ns.render import contributions
scene, view = gaussians(100_000), camera(480, 270)
features = torch.zeros(100_000, 384, requires_grad=True)
optimizer = torch.optim.Adam([features], lr=0.0025)
feature_map = torch.randn(19, 34, 384)
for _ in range(2):
    place = torch.randperm(480 * 270)[:5000]
    pixels = torch.stack([place % 480, place // 480], dim=1)
    loss = distillation_loss(features, contributions(scene, view, pixels), sample_map(feature_map, pixels, 480, 270))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
assert features.detach().any()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 3000
