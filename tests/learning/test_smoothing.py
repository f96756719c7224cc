import torch

from trase_ns.learning.smoothing import Neighbours


def literal_mean(means, features, ranks, k):
    """Brute force: sort all distances, normalise, average."""
    smooth = []
    for i in range(len(means)):
        order = sorted(range(len(means)), key=lambda j: float((means[i] - means[j]).norm()))[:k]
        chosen = [features[order[rank]] / features[order[rank]].norm() for rank in ranks]
        smooth.append(sum(chosen) / len(chosen))
    return torch.stack(smooth)


def a_cloud(count=30):
    torch.manual_seed(0)
    return torch.randn(count, 3, dtype=torch.float64), torch.randn(count, 4, dtype=torch.float64)


def test_mean_of_the_normalised_features_of_the_nearest():
    means, features = a_cloud()
    smooth = Neighbours(means, k=5).mean(features)
    torch.testing.assert_close(smooth, literal_mean(means, features, range(5), 5))


def test_a_sample_draws_ranks():
    means, features = a_cloud()
    neighbours = Neighbours(means, k=6)
    smooth = neighbours.mean(features, sample=3, generator=torch.Generator().manual_seed(4))
    ranks = torch.randperm(6, generator=torch.Generator().manual_seed(4))[:3].tolist()
    torch.testing.assert_close(smooth, literal_mean(means, features, ranks, 6))
    drawn = torch.stack([neighbours.mean(features, 3) for _ in range(400)]).mean(0)
    torch.testing.assert_close(drawn, neighbours.mean(features), atol=0.1, rtol=0)


def test_a_gaussian_is_its_own_nearest():
    means, features = a_cloud()
    neighbours = Neighbours(means, k=1)
    assert torch.equal(neighbours.indices[:, 0], torch.arange(30))
    torch.testing.assert_close(neighbours.mean(features), torch.nn.functional.normalize(features, dim=1))


def test_fewer_gaussians_than_neighbours():
    means, features = a_cloud(3)
    neighbours = Neighbours(means, k=16)
    assert neighbours.indices.shape == (3, 3)
    assert neighbours.mean(features, sample=8).shape == (3, 4)


def test_gradcheck():
    means, features = a_cloud(8)
    neighbours = Neighbours(means, k=4)
    features.requires_grad_()
    assert torch.autograd.gradcheck(neighbours.mean, features)
