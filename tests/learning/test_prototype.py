"""CGC's objective against hand-worked values and against a literal transcription of equations 3, 4 and 6."""

import math

import pytest
import torch

from trase_ns.learning.prototype import (
    nearest_and_farthest,
    prototype_loss,
    spatial_loss,
    temperatures,
    threshold_mask,
)

# --- the paper, word by word -----------------------------------------------------------------------------------------


def unit(f):
    return f / torch.sqrt(sum(x * x for x in f))


def literal_prototype_loss(rendered, Y, kind, share=1.0, smallest=1):
    segments = [m for m in range(Y.shape[1]) if int(Y[:, m].sum()) / share >= smallest]
    f = [unit(row) for row in rendered]
    members = {p: [q for q in range(len(Y)) if Y[q, p]] for p in segments}
    mean = {p: sum(f[q] for q in members[p]) / len(members[p]) for p in segments}
    phi = {}
    for p in segments:
        N_p = len(members[p]) / share
        distance = sum(float((f[q] - mean[p]).detach().norm()) for q in members[p]) / share
        phi[p] = distance / (N_p * math.log(N_p + 100))
        phi[p] = max(phi[p], 1e-3) if kind == "paper" else min(max(10 * phi[p], 0.1), 1.0)
    total = 0
    for p in segments:
        for q in members[p]:
            numerator = torch.exp(f[q] @ mean[p] / phi[p])
            denominator = sum(torch.exp(f[q] @ mean[s] / phi[s]) for s in segments)
            total = total + torch.log(numerator / denominator)
    return -total / len(segments) / share


def literal_spatial_loss(features, rows, near, far, near_weight, far_weight):
    f = [unit(row) for row in features]
    M, K, L = len(rows), len(near[0]), len(far[0])
    alike = sum(torch.sigmoid(1 - f[j] @ f[i]) for j, neighbours in zip(rows, near) for i in neighbours)
    apart = sum(torch.sigmoid(f[j] @ f[i]) for j, distant in zip(rows, far) for i in distant)
    return near_weight / (M * K) * alike + far_weight / (M * L) * apart


def a_frame(seed, pixels=30, masks=5):
    """Features and overlapping masks; some pixels have none, and the last mask has two pixels."""
    generator = torch.Generator().manual_seed(seed)
    Y = torch.rand(pixels, masks, generator=generator) < 0.3
    Y[:, -1] = False
    Y[:2, -1] = True
    return torch.randn(pixels, 4, generator=generator, dtype=torch.float64), Y


@pytest.mark.parametrize(("share", "smallest"), [(1.0, 1), (1.0, 3), (0.25, 3), (0.25, 20)])
@pytest.mark.parametrize("kind", ["paper", "program"])
def test_loss_and_gradient_are_the_papers(kind, share, smallest):
    for seed in range(3):
        features, Y = a_frame(seed)
        reference = features.clone().requires_grad_()
        expected = literal_prototype_loss(reference, Y, kind, share, smallest)
        features.requires_grad_()
        loss = prototype_loss(features, Y, share=share, smallest_segment=smallest, temperature=kind)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(
            *(torch.autograd.grad(x, f)[0] for x, f in ((loss, features), (expected, reference)))
        )
        single = prototype_loss(features.float(), Y, share=share, smallest_segment=smallest, temperature=kind)
        torch.testing.assert_close(single, loss.float(), rtol=1e-4, atol=1e-4)


def test_loss_by_hand():
    # Two segments of two equal pixels each, at right angles: spread 0, so both temperatures are the program's least,
    # 0.1, and every pixel's likelihood is e^10 / (e^10 + 1). Four pixels over two segments; lengths do not matter.
    rendered = torch.tensor([[1.0, 0], [2, 0], [0, 1], [0, 3]], dtype=torch.float64)
    Y = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.bool)
    loss = prototype_loss(rendered, Y, smallest_segment=2, temperature="program")
    assert float(loss) == pytest.approx(2 * math.log1p(math.exp(-10)))


def test_temperature_by_hand():
    # One segment of two pixels at right angles: both are sqrt(1/2) from their mean.
    directions, inside = torch.eye(2, dtype=torch.float64), torch.ones(2, 1, dtype=torch.float64)
    given = directions, inside, directions.mean(0, keepdim=True), torch.tensor([2.0])
    phi = math.sqrt(0.5) / math.log(102)
    assert float(temperatures(*given)) == pytest.approx(phi)
    assert float(temperatures(*given, kind="program")) == pytest.approx(1.0)
    assert 10 * phi > 1


def test_small_segments_and_bare_pixels_take_no_part():
    features, Y = a_frame(3)
    full = prototype_loss(features, Y, smallest_segment=3)
    torch.testing.assert_close(prototype_loss(features, Y[:, :-1], smallest_segment=1), full)
    stray = torch.cat([features, torch.randn(5, 4, dtype=torch.float64)])
    bare = torch.cat([Y, torch.zeros(5, 5, dtype=torch.bool)])
    torch.testing.assert_close(prototype_loss(stray, bare, smallest_segment=3), full)


def test_nothing_to_learn_from_is_no_loss():
    features = torch.zeros(6, 4, requires_grad=True)
    loss = prototype_loss(features, torch.ones(6, 2, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()
    # Pixels that show nothing at all, and segments without spread, give finite gradients.
    features = torch.zeros(200, 4, requires_grad=True)
    prototype_loss(features, torch.ones(200, 2, dtype=torch.bool)).backward()
    assert features.grad.isfinite().all()


def test_nearest_and_farthest_are_those_of_brute_force():
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    rows = torch.randperm(40, generator=generator)[:11]
    near, far = nearest_and_farthest(means, rows, 2, 5, chunk=4)
    for i, neighbours, distant in zip(rows.tolist(), near.tolist(), far.tolist()):
        order = sorted(range(40), key=lambda j: float((means[i] - means[j]).norm()))
        assert neighbours == order[1:3]
        assert distant == order[::-1][:5]
    twins = torch.zeros(3, 3)
    assert (nearest_and_farthest(twins, torch.arange(3))[0] != torch.arange(3)[:, None]).all()


def test_spatial_loss_and_gradient_are_the_papers():
    features = torch.randn(30, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows = torch.tensor([3, 7, 7, 20])
    near, far = nearest_and_farthest(features[:, :3], rows)
    reference = features.clone().requires_grad_()
    expected = literal_spatial_loss(reference, rows, near.tolist(), far.tolist(), 0.05, 0.15)
    features.requires_grad_()
    loss = spatial_loss(features, rows, near, far)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, features)[0], torch.autograd.grad(expected, reference)[0])


def test_spatial_loss_by_hand():
    # Cosine with the neighbour 0, with the distant one 1.
    features = torch.tensor([[1.0, 0], [0, 2], [3, 0]])
    loss = spatial_loss(features, torch.tensor([0]), torch.tensor([[1]]), torch.tensor([[2]]), 1.0, 10.0)
    assert float(loss) == pytest.approx(11 / (1 + math.exp(-1)))


def test_threshold_mask_by_hand():
    features = torch.tensor([[[2.0, 0], [1, 1]], [[0, 1], [0, 0]]])
    assert threshold_mask(features, torch.tensor([5.0, 0.0])).tolist() == [[True, True], [False, False]]
    assert threshold_mask(features, torch.tensor([5.0, 0.0]), 0.71).tolist() == [[True, False], [False, False]]


def test_descent_separates_segments():
    torch.manual_seed(0)
    Y = torch.zeros(300, 2, dtype=torch.bool)
    Y[:150, 0] = Y[150:, 1] = True
    features = torch.randn(300, 8).mul_(0.1).requires_grad_()
    for _ in range(150):
        loss = prototype_loss(features, Y, temperature="program")
        (gradient,) = torch.autograd.grad(loss, features)
        features = (features - 0.02 * gradient.sign()).detach().requires_grad_()
    masks = torch.stack([threshold_mask(features.detach(), features[i].detach()) for i in (0, 299)], dim=1)
    assert torch.equal(masks, Y)
