"""LUDVIG's diffusion against a literal transcription of equations 7 and 8."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.learning.diffusion import (
    Graph,
    anchor_probability,
    anchor_similarity,
    high_values,
    most_seen,
)

# --- the paper, word by word -----------------------------------------------------------------------------------------


def cosine(a, b):
    return float(sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b)))


def literal_diffusion(means, k, start, features, unary, b_f, b_p, steps):
    """Equations 7 and 8 with lists in float64; only the length of g is not the paper's."""
    N = len(means)
    neighbours = [sorted(range(N), key=lambda j: float((means[i] - means[j]).norm()))[:k] for i in range(N)]
    A = [
        {j: math.exp(cosine(features[i], features[j]) / b_f + float(unary[i]) / b_p) for j in neighbours[i]}
        for i in range(N)
    ]
    g = [float(value) for value in start]
    for _ in range(steps):
        g = [sum(weight * g[j] for j, weight in A[i].items()) for i in range(N)]
    return torch.tensor(g, dtype=torch.float64) / max(g)


def a_cloud(count=40, depth=5):
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    features = torch.randn(count, depth, generator=generator, dtype=torch.float64)
    return means, features, torch.rand(count, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("steps", [1, 2, 12])
def test_diffusion_is_the_papers(steps):
    means, features, unary = a_cloud()
    start = torch.zeros(40, dtype=torch.float64)
    start[[3, 20]] = torch.tensor([1.0, 2.5], dtype=torch.float64)
    expected = literal_diffusion(means, 7, start, features, unary, 0.7, 0.4, steps)
    options = {"feature_bandwidth": 0.7, "unary_bandwidth": 0.4, "steps": steps}
    values = Graph(means, 7).diffuse(start, features, unary, **options)
    torch.testing.assert_close(values, expected.float(), rtol=1e-4, atol=1e-6)


def test_neighbours_are_those_of_brute_force():
    means, _, _ = a_cloud(200)
    expected = torch.cdist(means, means).topk(9, largest=False).indices
    assert torch.equal(Graph(means, 9).indices, expected)
    assert Graph(means[:5], 9).indices.shape == (5, 5)
    assert Graph(means[:0], 9).indices.shape == (0, 0)


def test_one_step_by_hand():
    # A line of three; each has itself and its nearest. The middle is nearer to the first.
    means = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
    features = torch.tensor([[1.0, 0], [0, 2], [0, 5]])
    values = Graph(means, 2).diffuse(
        torch.tensor([1.0, 0, 0]), features, torch.tensor([1.0, 1, 0]), feature_bandwidth=1, unary_bandwidth=1, steps=1
    )
    # g_1 = e^(1 + 1) for the first from itself, e^(0 + 1) for the second from the first, nothing for the third.
    torch.testing.assert_close(values, torch.tensor([1, math.exp(-1), 0]))


def test_nothing_to_diffuse_and_no_overflow():
    means, features, unary = a_cloud()
    graph = Graph(means, 7)
    assert not graph.diffuse(torch.zeros(40), features, unary).any()
    assert not Graph(means[:0], 7).diffuse(torch.zeros(0), features[:0], unary[:0]).any()
    values = graph.diffuse(torch.ones(40), features, unary, feature_bandwidth=0.001, unary_bandwidth=0.001, steps=500)
    assert values.isfinite().all()
    assert values.max() == 1


def two_objects_and_a_table():
    """Two blobs of like features far from each other on a plane of other features; indices of the first, the second."""
    generator = torch.Generator().manual_seed(1)
    blobs = 0.15 * torch.randn(400, 3, generator=generator) + torch.tensor([1.0, 0, 0.4]).repeat(400, 1)
    blobs[200:, 0] -= 2
    table = torch.rand(800, 3, generator=generator) * torch.tensor([4.0, 2, 0]) - torch.tensor([2.0, 1, 0])
    centres = normalize(torch.randn(2, 16, generator=generator), dim=1)
    features = torch.cat([centres[:1].expand(400, -1), centres[1:].expand(800, -1)])
    features = features + 0.05 * torch.randn(1200, 16, generator=generator)
    return torch.cat([blobs, table]), features


@pytest.mark.parametrize("kind", ["scribbles", "mask"])
def test_diffusion_fills_the_object_and_leaves_out_its_twin(kind):
    means, features = two_objects_and_a_table()
    inside = torch.arange(1200) < 200
    anchors = torch.arange(1200) < (10 if kind == "scribbles" else 200)
    seen = ((torch.arange(1200) < 200) | (torch.arange(1200) >= 400)).float()  # the twin is not in the reference view
    unary = anchor_similarity(features, anchors) if kind == "scribbles" else anchor_probability(features, anchors, seen)
    assert (unary[:400] > 0.8).all()  # features alone cannot tell the twins
    assert unary[400:].max() < unary[:400].min()
    values = Graph(means, 20).diffuse(anchors.float(), features, unary)
    found = values > 1e-6
    assert (found == inside).float().mean() > 0.99


def test_scribbles_that_meet_nothing_and_masks_without_background():
    _, features, _ = a_cloud()
    with pytest.raises(ValueError, match="scribbles"):
        anchor_similarity(features, torch.zeros(40, dtype=torch.bool))
    for everything in (True, False):
        with pytest.raises(ValueError, match="background"):
            anchor_probability(features, torch.full((40,), everything))


def test_probability_is_that_of_scikit_learn_and_ignores_what_no_view_shows():
    from sklearn.linear_model import LogisticRegression

    _, features, unary = a_cloud()
    anchors = unary > 0.6
    directions = normalize(features, dim=1).numpy()
    model = LogisticRegression(class_weight="balanced", max_iter=1000).fit(directions, anchors.numpy())
    probability = anchor_probability(features, anchors)
    np.testing.assert_allclose(probability, model.predict_proba(directions)[:, 1], atol=1e-3)
    unseen = torch.cat([features, torch.zeros(30, 5)])
    more = anchor_probability(unseen, torch.cat([anchors, torch.zeros(30, dtype=torch.bool)]))
    torch.testing.assert_close(more[:40], probability, atol=1e-3, rtol=0)


def test_pruning_keeps_the_heaviest_half():
    weight = torch.tensor([0.5, 3.0, 0.0, 2.0, 0.1, 0.0])
    assert most_seen(weight).tolist() == [True, True, False, True, False, False]
    assert most_seen(weight, 1.0).tolist() == [True, True, False, True, True, False]


def test_high_values_by_hand():
    values = torch.tensor([0.0, 0.2, 0.4, 0.9])  # mean of those above zero 0.5
    torch.testing.assert_close(high_values(values), torch.tensor([0, 0, 0, 1.8]))
    torch.testing.assert_close(high_values(values, 0.5), torch.tensor([0, 0, 0.8, 1.8]))
    assert not high_values(torch.zeros(3)).any()
