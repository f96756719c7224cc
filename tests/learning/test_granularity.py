"""Click-Gaussian's objective against hand-worked values and a literal transcription of equations 3 to 12."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.learning import granularity
from trase_ns.learning.granularity import (
    LEVELS,
    click_gaussian_loss,
    clicked_candidate,
    contrastive_losses,
    global_candidates,
    guidance_losses,
    level_features,
    level_maps,
    nearest_candidates,
    norm_loss,
    rendered_norm_loss,
    sample_by_size,
    segment_means,
    spatial_loss,
)
from trase_ns.masks import MaskSet
from trase_ns.render import contributions, render_view

TAU = {"coarse": 0.5, "fine": 0.75}

# --- the paper, word by word -----------------------------------------------------------------------------------------


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / torch.sqrt(sum(x * x for x in a)) / torch.sqrt(sum(x * x for x in b))


def part(f, level):
    return f[: len(f) // 2] if level == "coarse" else f


def literal_contrastive_losses(F, M):
    """Equations 3 and 4, with the stop-gradient in the fine negatives; all pixels have a segment."""
    P, half = len(F), F.shape[1] // 2
    positive = negative = 0
    for level in ("fine", "coarse"):
        for p1 in range(P):
            for p2 in range(P):
                if M[level][p1] == M[level][p2]:
                    positive = positive + cosine(part(F[p1], level), part(F[p2], level))
                else:
                    a, b = part(F[p1], level), part(F[p2], level)
                    if level == "fine":
                        a, b = (torch.cat([f[:half].detach(), f[half:]]) for f in (a, b))
                    S = cosine(a, b)
                    if TAU[level] < S:
                        negative = negative + S
    return -positive / P**2, negative / P**2 + 0 * F.sum()


def literal_guidance_losses(f, candidates):
    """Equations 7 and 8."""
    N = len(f)
    positive, negative = 0 * f.sum(), 0 * f.sum()
    for level in ("fine", "coarse"):
        C = len(candidates[level])
        for i in range(N):
            S = [cosine(part(f[i], level), candidates[level][c]) for c in range(C)]
            own = max(range(C), key=lambda c: float(S[c].detach()))
            if S[own] > 0.9:
                positive = positive - S[own] / N
            for c in range(C):
                if c != own and S[c] > TAU[level]:
                    negative = negative + S[c] / C / N
    return positive, negative


def literal_norm_losses(f):
    """Equations 10 and 11 of the same vectors."""
    half = f.shape[1] // 2

    def length(v):
        return torch.sqrt(sum(x * x for x in v))

    three = sum((length(v[:half]) - 1) ** 2 + (length(v[half:]) - 1) ** 2 for v in f) / len(f)
    two = sum((length(v[:half]) - 1) ** 2 + (length(v) - math.sqrt(2)) ** 2 for v in f) / len(f)
    return three, two


def literal_spatial_loss(f, rows, neighbours):
    """Equation 12."""
    pairs = [(i, k) for i, around in zip(rows, neighbours) for k in around]
    return -sum(cosine(f[i], f[k]) for i, k in pairs) / len(pairs)


def some_pixels(seed, count=16, depth=6):
    """Features that crowd around a direction, so that negatives exceed the margins, and nested segments."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, depth, generator=generator, dtype=torch.float64) + 0.7
    fine = torch.randint(5, (count,), generator=generator)
    return features, {"coarse": fine // 2, "fine": fine}


def same_gradient(ours, theirs, features, reference):
    (gradient,) = torch.autograd.grad(ours, features, retain_graph=True)
    assert gradient.any()
    torch.testing.assert_close(gradient, torch.autograd.grad(theirs, reference, retain_graph=True)[0])


@pytest.mark.parametrize("rows_at_a_time", [1, 5, 100])
def test_contrastive_losses_and_gradients_are_the_papers(monkeypatch, rows_at_a_time):
    monkeypatch.setitem(granularity._BLOCK, "cpu", 16 * rows_at_a_time)
    for seed in range(3):
        features, segments = some_pixels(seed)
        reference = features.clone().requires_grad_()
        expected = literal_contrastive_losses(reference, segments)
        features.requires_grad_()
        losses = contrastive_losses(features, segments)
        for ours, theirs in zip(losses, expected):
            torch.testing.assert_close(ours, theirs)
            same_gradient(ours, theirs, features, reference)
        for single, double in zip(contrastive_losses(features.float(), segments), losses):
            torch.testing.assert_close(single, double.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 100])
def test_guidance_and_gradient_are_the_papers(monkeypatch, rows_at_a_time):
    monkeypatch.setitem(granularity._BLOCK, "cpu", 4 * rows_at_a_time)
    features, _ = some_pixels(4, count=40)
    generator = torch.Generator().manual_seed(5)
    candidates = {
        level: normalize(torch.randn(4, depth, generator=generator, dtype=torch.float64) + 1, dim=1)
        for level, depth in (("coarse", 3), ("fine", 6))
    }
    reference = features.clone().requires_grad_()
    expected = literal_guidance_losses(reference, candidates)
    features.requires_grad_()
    for ours, theirs in zip(guidance_losses(features, candidates), expected):
        assert theirs != 0
        torch.testing.assert_close(ours, theirs)
        same_gradient(ours, theirs, features, reference)


def test_regularisers_and_gradients_are_the_papers():
    features, _ = some_pixels(6)
    rows, neighbours = torch.tensor([0, 5, 5]), torch.tensor([[1, 2], [3, 4], [0, 9]])
    reference = features.clone().requires_grad_()
    expected = (
        *literal_norm_losses(reference),
        literal_spatial_loss(reference, rows.tolist(), neighbours.tolist()),
    )
    features.requires_grad_()
    ours = norm_loss(features), rendered_norm_loss(features), spatial_loss(features, rows, neighbours)
    for value, theirs in zip(ours, expected):
        torch.testing.assert_close(value, theirs)
        same_gradient(value, theirs, features, reference)


def test_losses_by_hand():
    # Two pixels, one object of two parts; coarse cosine 1, fine cosine (1 + 0) / 2 = 0.5, below the fine margin.
    rendered = torch.tensor([[1.0, 0, 1, 0], [1, 0, 0, 1]], requires_grad=True)
    segments = {"coarse": torch.tensor([7, 7]), "fine": torch.tensor([0, 1])}
    positive, negative = contrastive_losses(rendered, segments)
    assert positive.item() == pytest.approx(-(4 + 2) / 4)  # coarse: all four pairs; fine: each pixel with itself
    assert float(negative) == 0
    # With other margins both fine pairs count, and pull at the second half alone.
    negative = contrastive_losses(rendered, segments, {"coarse": 0.5, "fine": 0.4})[1]
    assert float(negative) == pytest.approx(2 * 0.5 / 4)
    (gradient,) = torch.autograd.grad(negative, rendered)
    assert not gradient[:, :2].any()
    assert gradient[:, 2:].any(dim=1).all()
    # Coarse and fine lengths 1 and sqrt(2): nothing to regularise.
    assert float(norm_loss(rendered)) == pytest.approx(0)
    assert float(rendered_norm_loss(rendered)) == pytest.approx(0)
    # Twice as long: (2 - 1)^2 for each half; for pixels 1 and (sqrt(8) - sqrt(2))^2 = 2.
    assert float(norm_loss(2 * rendered)) == pytest.approx(2)
    assert float(rendered_norm_loss(2 * rendered)) == pytest.approx(3)


def test_guidance_by_hand():
    # One Gaussian on the first of two candidates and at cosine 0.8 to the second, on both levels.
    features = torch.tensor([[3.0, 0, 0, 0]])
    coarse = torch.tensor([[1.0, 0], [0.8, 0.6]])
    candidates = {"coarse": coarse, "fine": torch.cat([coarse, torch.zeros(2, 2)], dim=1)}
    positive, negative = guidance_losses(features, candidates)
    assert float(positive) == pytest.approx(-2)
    assert float(negative) == pytest.approx(2 * 0.8 / 2)
    # It belongs to nothing that it resembles less than 0.9, but is pushed all the same.
    turned = {level: centres[1:] for level, centres in candidates.items()}
    assert [float(loss) for loss in guidance_losses(features, turned)] == [0, 0]


def test_total_is_the_weighted_sum_of_equation_13():
    features, segments = some_pixels(8)
    rendered = features[:16] * 0.9
    rows, neighbours = torch.arange(3), torch.tensor([[3], [4], [5]])
    candidates = {level: normalize(level_features(features[:3], level), dim=1) for level in LEVELS}
    positive, negative = contrastive_losses(rendered, segments)
    belong, others = guidance_losses(features, candidates)
    expected = (
        positive
        + 0.1 * negative
        + 10 * (belong + others)
        + 0.2 * norm_loss(features)
        + 0.2 * rendered_norm_loss(rendered)
        + 0.5 * spatial_loss(features, rows, neighbours)
    )
    terms = click_gaussian_loss(features, rendered, segments, rows, neighbours, candidates)
    torch.testing.assert_close(sum(terms.values()), expected)
    assert "guidance" not in click_gaussian_loss(features, rendered, segments, rows, neighbours)


def test_pixels_without_a_segment_take_no_part():
    features, segments = some_pixels(9)
    alone = contrastive_losses(features, segments)
    bare = {level: torch.cat([labels, torch.tensor([-1, -1])]) for level, labels in segments.items()}
    together = contrastive_losses(torch.cat([features, features[:2]]), bare)
    assert [float(a) for a in alone] == pytest.approx([float(b) for b in together])
    nothing = torch.zeros(4, 6, requires_grad=True)
    sum(contrastive_losses(nothing, {level: torch.full((4,), -1) for level in LEVELS})).backward()
    assert not nothing.grad.any()


# --- masks and candidates --------------------------------------------------------------------------------------------


@pytest.fixture
def masks() -> MaskSet:
    """A half, a quarter in it, one pixel in that, and a mask apart; the rest is bare."""
    dense = np.zeros((4, 8, 12), dtype=bool)
    dense[0, :, :6] = dense[1, :4, :6] = dense[2, 0, 0] = dense[3, 2:4, 9:11] = True
    return MaskSet.from_dense("frame", dense[[2, 0, 3, 1]])


def test_coarse_and_fine_are_the_largest_and_the_smallest_segment(masks):
    maps = level_maps(masks, 12, 8)
    coarse, fine = np.full((8, 12), -1), np.full((8, 12), -1)
    coarse[:, :6] = 1
    fine[4:, :6], fine[:4, :6], fine[0, 0] = 1, 3, 0
    coarse[2:4, 9:11] = fine[2:4, 9:11] = 2
    np.testing.assert_array_equal(maps["coarse"], coarse)
    np.testing.assert_array_equal(maps["fine"], fine)
    assert level_maps(masks, 6, 4)["fine"].shape == (4, 6)


def test_small_segments_are_drawn_as_often_as_large_ones(masks):
    fine = level_maps(masks, 12, 8)["fine"]
    source = torch.Generator().manual_seed(0)
    drawn = torch.zeros(4)
    for _ in range(2000):
        pixels = sample_by_size(fine, 1, source)
        drawn[fine[pixels[0, 1], pixels[0, 0]]] += 1
    assert (drawn - 500).abs().max() < 100  # binomial, standard deviation 19
    everything = sample_by_size(fine, 1000, source)
    assert len(everything.unique(dim=0)) == len(everything) == int((fine >= 0).sum())
    some = sample_by_size(fine, 20, source)
    assert len(some.unique(dim=0)) == 20
    assert (fine[some[:, 1], some[:, 0]] >= 0).all()
    assert sample_by_size(torch.full((3, 3), -1), 5).shape == (0, 2)


def test_segment_means_by_hand():
    rendered = torch.tensor([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]])
    segments = {"coarse": torch.tensor([[4, 4], [4, -1]]), "fine": torch.tensor([[0, 4], [4, -1]])}
    means = segment_means(rendered, segments)
    torch.testing.assert_close(means["coarse"], torch.tensor([[3.0]]))
    torch.testing.assert_close(means["fine"], torch.tensor([[1.0, 2], [4, 5]]))


def test_candidates_are_the_clusters_of_all_views():
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(6, 12, generator=generator)
    means = truth.repeat(40, 1) * (1 + torch.rand(240, 1, generator=generator))
    means = means + 0.02 * torch.randn(240, 12, generator=generator)
    stray = torch.randn(10, 12, generator=generator)
    candidates = global_candidates(torch.cat([means, stray, torch.zeros(1, 12)]), views=40, level="coarse")
    assert candidates.shape == (6, 12)
    assert ((normalize(truth, dim=1) @ candidates.T).max(dim=1).values > 0.999).all()
    assert global_candidates(stray, views=40, level="fine").shape == (0, 12)
    assert global_candidates(torch.zeros(0, 12), views=0, level="fine").shape == (0, 12)


def test_a_click_selects_the_candidate_of_what_it_shows(scene, cameras):
    generator = torch.Generator().manual_seed(3)
    gaussians, camera = scene.at(cameras[0].time), cameras[0]
    candidates = {
        "coarse": normalize(torch.randn(3, 4, generator=generator), dim=1),
        "fine": normalize(torch.randn(5, 8, generator=generator), dim=1),
    }
    features = torch.randn(len(scene), 8, generator=generator)
    picture = render_view(gaussians, camera, colors=features)
    y, x = divmod(int(picture.alpha.argmax()), camera.width)
    pixel = contributions(gaussians, camera, torch.tensor([[x, y]]))
    for level in LEVELS:
        shown = level_features(picture.color[y, x], level)
        cosines = [float(cosine(shown, c)) for c in candidates[level]]
        candidate, similarity = clicked_candidate(pixel, features, candidates, level)
        assert candidate == int(np.argmax(cosines))
        assert similarity == pytest.approx(max(cosines), rel=1e-4)
        nearest = nearest_candidates(features, candidates)[level]
        for i in range(0, len(scene), 7):
            cosines = [float(cosine(level_features(features[i], level), c)) for c in candidates[level]]
            assert int(nearest[i]) == int(np.argmax(cosines))
    y, x = divmod(int(picture.alpha.argmin()), camera.width)
    assert picture.alpha[y, x] == 0
    nothing = contributions(gaussians, camera, torch.tensor([[x, y]]))
    assert clicked_candidate(nothing, features, candidates, "fine") == (-1, 0.0)
    assert clicked_candidate(pixel, features, {"fine": torch.zeros(0, 8)}, "fine") == (-1, 0.0)


def test_descent_separates_wholes_and_their_parts():
    torch.manual_seed(0)
    fine = torch.arange(4).repeat_interleave(30)
    segments = {"coarse": fine // 2, "fine": fine}
    features = torch.randn(120, 8).requires_grad_()
    for _ in range(150):
        positive, negative = contrastive_losses(features, segments)
        (gradient,) = torch.autograd.grad(positive + negative + 0.2 * norm_loss(features), features)
        features = (features - 0.02 * gradient.sign()).detach().requires_grad_()
    for level in LEVELS:
        directions = normalize(level_features(features.detach(), level), dim=1)
        same = segments[level][:, None] == segments[level]
        similarity = directions @ directions.T
        assert similarity[same].min() > 0.7
        assert similarity[same].mean() > 0.95
        assert similarity[~same].max() < TAU[level] + 0.1
