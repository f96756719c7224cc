"""The objective against hand-worked values and against a literal transcription of equations 3 to 9 with loops."""

import itertools
import math

import pytest
import torch

from trase_ns.learning import contrastive
from trase_ns.learning.contrastive import correspondence, norm_loss, pair_losses, pixel_weights, trase_loss

TAU_P, TAU_N = 0.75, 0.5


# --- the paper, word by word -----------------------------------------------------------------------------------------


def literal_relations(Y, sizes, shared_only_large):
    """Equation 3, and its two variants for nested masks: C+ and C- as nested lists of 0 and 1."""
    P, M = Y.shape
    positive = [[0] * P for _ in range(P)]
    negative = [[0] * P for _ in range(P)]
    finest = [min((m for m in range(M) if Y[i, m]), key=lambda m: float(sizes[m])) for i in range(P)]
    for i, j in itertools.product(range(P), repeat=2):
        shared = sum(int(Y[i, m]) * int(Y[j, m]) for m in range(M))
        near = bool(Y[j, finest[i]]) or bool(Y[i, finest[j]])
        if shared_only_large == "positive":
            positive[i][j], negative[i][j] = int(shared > 0), int(shared == 0)
        else:
            positive[i][j] = int(near)
            negative[i][j] = int(shared == 0) if shared_only_large == "ignore" else int(not near)
    return positive, negative


def literal_weights(Y, sizes):
    """W of SAGA, which the paper refers to: inverse products of mean mask sizes, rescaled to [1, 10]."""
    P, M = Y.shape
    s = []
    for i in range(P):
        covering = [float(sizes[m]) for m in range(M) if Y[i, m]]
        s.append(sum(covering) / len(covering))
    largest = max(a * b for a in s for b in s)
    w = [[max(1.0, largest / (s[i] * s[j])) for j in range(P)] for i in range(P)]
    low, high = min(map(min, w)), max(map(max, w))
    if high == low:
        return [[1.0] * P for _ in range(P)]
    return [[1 + 9 * (w[i][j] - low) / (high - low) for j in range(P)] for i in range(P)]


def literal_losses(features, Y, sizes, mining="soft", shared_only_large="positive", normalisation="pairs"):
    """Equations 4 to 7, pair by pair."""
    P = len(Y)
    positive, negative = literal_relations(Y, sizes, shared_only_large)
    W = literal_weights(Y, sizes)
    norms = [torch.sqrt(sum(x * x for x in f)) for f in features]
    C_F = [
        [sum(a * b for a, b in zip(features[i], features[j])) / (norms[i] * norms[j]) for j in range(P)]
        for i in range(P)
    ]
    loss_positive, loss_negative = features.sum() * 0, features.sum() * 0
    mined_positive = mined_negative = 0
    for i in range(P):
        exists_positive = any(positive[i][k] and C_F[i][k] < TAU_P for k in range(P))
        exists_negative = any(negative[i][k] and C_F[i][k] > TAU_N for k in range(P))
        for j in range(i + 1, P):
            if mining == "soft":
                M_positive, M_negative = exists_positive, exists_negative
            elif mining == "hard":
                M_positive = bool(positive[i][j]) and bool(C_F[i][j] < TAU_P)
                M_negative = bool(negative[i][j]) and bool(C_F[i][j] > TAU_N)
            else:
                M_positive = M_negative = True
            mined_positive += M_positive
            mined_negative += M_negative
            if M_positive and positive[i][j]:
                loss_positive = loss_positive - W[i][j] * C_F[i][j]
            if M_negative and negative[i][j]:
                loss_negative = loss_negative + W[i][j] * torch.relu(C_F[i][j])
    if normalisation == "mined":
        return loss_positive / max(1, mined_positive), loss_negative / max(1, mined_negative)
    return loss_positive / (P * (P - 1) / 2), loss_negative / (P * (P - 1) / 2)


def a_frame(seed, pixels=14, masks=5):
    """Features, mask vectors (no pixel without mask) and sizes of a random frame."""
    generator = torch.Generator().manual_seed(seed)
    Y = torch.rand(pixels, masks, generator=generator) < 0.3
    Y[torch.arange(pixels), torch.randint(masks, (pixels,), generator=generator)] = True
    sizes = torch.rand(masks, generator=generator, dtype=torch.float64) * 1000 + 20
    features = torch.randn(pixels, 3, generator=generator, dtype=torch.float64)
    return features, Y, sizes


@pytest.mark.parametrize("rows_at_a_time", [1, 3, 100])
@pytest.mark.parametrize("normalisation", ["pairs", "mined"])
@pytest.mark.parametrize("shared_only_large", ["positive", "ignore", "negative"])
@pytest.mark.parametrize("mining", ["soft", "hard", "none"])
def test_losses_and_gradients_are_the_papers(monkeypatch, mining, shared_only_large, normalisation, rows_at_a_time):
    monkeypatch.setitem(contrastive._BLOCK, "cpu", 14 * rows_at_a_time)
    options = {"mining": mining, "shared_only_large": shared_only_large, "normalisation": normalisation}
    for seed in range(3):
        features, Y, sizes = a_frame(seed)
        expected_features = features.clone().requires_grad_()
        expected = literal_losses(expected_features, Y, sizes, **options)
        features.requires_grad_()
        terms = trase_loss(features, Y, sizes, norm_weight=0.0, **options)
        torch.testing.assert_close(terms["positive"], expected[0])
        torch.testing.assert_close(terms["negative"], expected[1])
        # Different factors, so that the two gradients cannot stand in for each other.
        (2 * terms["positive"] + 3 * terms["negative"]).backward()
        (2 * expected[0] + 3 * expected[1]).backward()
        torch.testing.assert_close(features.grad, expected_features.grad)


@pytest.mark.parametrize("shared_only_large", ["positive", "ignore", "negative"])
@pytest.mark.parametrize("mining", ["soft", "hard", "none"])
def test_both_ways_to_the_losses_agree(mining, shared_only_large):
    features, Y, sizes = a_frame(7, pixels=75, masks=130)  # no multiple of 16, and many bytes of mask bits
    Y &= torch.rand(Y.shape, generator=torch.Generator().manual_seed(1)) < 0.05  # or else all pixels share masks
    Y[torch.arange(75), torch.arange(75) % 130] = True
    found = []
    for dtype in (torch.float64, torch.float32):  # plain torch, and the kernels
        directions = torch.nn.functional.normalize(features.to(dtype), dim=1).requires_grad_()
        losses = pair_losses(directions, Y, sizes, mining=mining, shared_only_large=shared_only_large)
        (gradient,) = torch.autograd.grad(losses[0] + 2 * losses[1], directions)
        found.append(torch.cat([torch.stack(losses)[:, None].expand(-1, gradient.shape[1]), gradient]).double())
    assert found[0][2:].any(dim=1).sum() > 30
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-6)


def test_soft_mining_leaves_out_pixels_that_are_settled():
    # Pixels 0 and 1 agree and are far from the others: no positive pair of theirs is below tau_p.
    features = torch.tensor([[1, 0], [1, 0], [0, 1], [-1, 0]], dtype=torch.float64)
    Y = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=torch.bool)
    sizes = torch.ones(2)
    soft = pair_losses(features, Y, sizes)
    assert [float(loss) for loss in soft] == pytest.approx([0.0, 0.0])  # the pair (2, 3) has cosine 0
    none = pair_losses(features, Y, sizes, mining="none")
    assert float(none[0]) == pytest.approx(-1 / 6)  # the pair (0, 1), cosine 1, of 6 pairs


def test_soft_mining_of_a_row_by_hand():
    # 0, 1, 2 share a mask; 0 and 2 are astray (cosine 0), so all positive pairs of rows 0 and 2 count, 1 has cosine
    # sqrt(1/2) < 0.75 to both and counts too. Cosines: (0,1) 0.7071, (0,2) 0, (1,2) 0.7071.
    features = torch.nn.functional.normalize(torch.tensor([[1, 0], [1, 1], [0, 1]], dtype=torch.float64), dim=1)
    Y, sizes = torch.ones(3, 1, dtype=torch.bool), torch.ones(1)
    assert float(pair_losses(features, Y, sizes)[0]) == pytest.approx(-math.sqrt(2) / 3)
    # With tau_p = 0.5 row 1 is settled, so (1, 2) drops out, though 2 itself is astray: the rule is of the row i < j.
    assert float(pair_losses(features, Y, sizes, positive_threshold=0.5)[0]) == pytest.approx(-math.sqrt(0.5) / 3)


def test_correspondence_by_hand():
    # Masks: hand, sleeve, arm = both; the last pixel lies on the arm alone, and one far away on the table.
    Y = torch.tensor([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    sizes = torch.tensor([10.0, 20.0, 35.0, 50.0])
    hand, sleeve, arm, table = range(4)
    positive, negative = correspondence(Y)
    assert positive[hand, sleeve]
    assert torch.equal(negative, ~positive)
    positive, negative = correspondence(Y, sizes, "ignore")
    assert not positive[hand, sleeve]
    assert not negative[hand, sleeve]
    assert positive[hand, arm]
    assert positive[arm, sleeve]
    assert negative[hand, table]
    positive, negative = correspondence(Y, sizes, "negative")
    assert negative[hand, sleeve]
    assert torch.equal(negative, ~positive)
    with pytest.raises(ValueError, match="mask_sizes"):
        correspondence(Y, None, "ignore")


def test_pixel_weights_by_hand():
    # s = 100, 50, (100 + 50) / 2 = 75: ratios 10000 / (s_i s_j) from 1 to 4, rescaled to 1 ... 10.
    Y = torch.tensor([[1, 0], [0, 1], [1, 1]], dtype=torch.bool)
    W = pixel_weights(Y, torch.tensor([100.0, 50.0]))
    ratio = torch.tensor([[1, 2, 4 / 3], [2, 4, 8 / 3], [4 / 3, 8 / 3, 16 / 9]], dtype=torch.float64)
    torch.testing.assert_close(W, 1 + 9 * (ratio - 1) / 3)
    # Only proportions matter, and equal sizes give equal weights.
    torch.testing.assert_close(pixel_weights(Y, torch.tensor([10.0, 5.0])), W)
    assert torch.equal(pixel_weights(Y, torch.tensor([0.3, 0.3])), torch.ones(3, 3, dtype=torch.float64))


def test_pixel_weights_are_the_literal_ones():
    _, Y, sizes = a_frame(4)
    torch.testing.assert_close(pixel_weights(Y, sizes), torch.tensor(literal_weights(Y, sizes), dtype=torch.float64))


def test_norm_loss_by_hand():
    assert float(norm_loss(torch.tensor([1.0, 0.0]))) == pytest.approx(0.25)
    assert float(norm_loss(torch.tensor([1.5, 0.5]))) == 0


@pytest.mark.parametrize("mining", ["soft", "hard", "none"])
def test_gradcheck(mining):
    features, Y, sizes = a_frame(5, pixels=9)
    features.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: tuple(trase_loss(f, Y, sizes, mining=mining).values()), features)


def test_pixels_without_a_mask_only_count_in_the_norm():
    features, Y, sizes = a_frame(6)
    bare = torch.cat([Y, torch.zeros(4, Y.shape[1], dtype=torch.bool)])
    stray = torch.cat([features, torch.full((4, 3), 7.0, dtype=torch.float64)])
    alone, together = trase_loss(features, Y, sizes), trase_loss(stray, bare, sizes)
    assert alone["positive"] == together["positive"]
    assert alone["negative"] == together["negative"]
    torch.testing.assert_close(together["norm"], norm_loss(stray.norm(dim=1)))
    paired = torch.arange(len(Y)) < 8
    chosen, expected = trase_loss(features, Y, sizes, paired=paired), trase_loss(features[:8], Y[:8], sizes)
    assert chosen["positive"] == expected["positive"]
    assert chosen["negative"] == expected["negative"]


@pytest.mark.parametrize("covered", [0, 1])
def test_too_few_pixels_for_a_pair(covered):
    features = torch.ones(3, 2, requires_grad=True)
    Y = torch.zeros(3, 1, dtype=torch.bool)
    Y[:covered] = True
    terms = trase_loss(features, Y, torch.ones(1))
    assert terms["positive"].item() == terms["negative"].item() == 0
    sum(terms.values()).backward()
    assert features.grad.isfinite().all()


def test_pixels_that_show_nothing_give_finite_gradients():
    features = torch.zeros(6, 3, requires_grad=True)
    sum(trase_loss(features, torch.ones(6, 1, dtype=torch.bool), torch.ones(1)).values()).backward()
    assert features.grad.isfinite().all()


def test_descent_separates_masks():
    torch.manual_seed(0)
    Y = torch.zeros(40, 2, dtype=torch.bool)
    Y[:20, 0] = Y[20:, 1] = True
    features = torch.randn(40, 8).mul_(0.1).requires_grad_()
    for _ in range(150):
        loss = sum(trase_loss(features, Y, torch.ones(2)).values())
        (gradient,) = torch.autograd.grad(loss, features)
        features = (features - 0.02 * gradient.sign()).detach().requires_grad_()
    cosine = torch.nn.functional.normalize(features.detach(), dim=1)
    cosine = cosine @ cosine.T
    same = correspondence(Y)[0]
    assert cosine[same].min() > TAU_P - 0.05
    assert cosine[~same].max() < TAU_N + 0.05
    assert features.norm(dim=1).mean().item() == pytest.approx(1.0, abs=0.1)
