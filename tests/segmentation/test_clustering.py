import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.segmentation.clustering import cluster_gaussians, cluster_masks


def blobs(sizes=(300, 60, 240), spread=0.03, outliers=0, seed=0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features around random directions, of random length, and the blob of each; -1 for outliers."""
    generator = torch.Generator().manual_seed(seed)
    centres = normalize(torch.randn(len(sizes), 16, generator=generator), dim=1)
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    features = centres[labels] + spread * torch.randn(len(labels), 16, generator=generator)
    features = torch.cat([features, torch.randn(outliers, 16, generator=generator)])
    lengths = torch.rand(len(features), 1, generator=generator) + 0.5
    return features * lengths, torch.cat([labels, torch.full((outliers,), -1)])


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
@pytest.mark.parametrize("outliers", [0, 40])
def test_blobs_of_features_are_found_and_noise_is_no_cluster(method, outliers):
    features, truth = blobs(outliers=outliers)
    labels = cluster_gaussians(features, method, min_cluster_size=20).labels
    assert int(labels.max()) == 2
    assert (labels >= 0).all()  # noise goes to the nearest centre
    for i in range(3):
        assert len(labels[truth == i].unique()) == 1
    assert len(labels[truth >= 0].unique()) == 3


def test_the_samples_are_seeded_and_reported_and_all_gaussians_are_labelled(monkeypatch):
    monkeypatch.setattr("trase_ns.segmentation.clustering.SAMPLE", 200)
    monkeypatch.setattr("trase_ns.segmentation.clustering.SECOND_SAMPLE", 100)
    features, truth = blobs(sizes=(3000, 1000, 2000), outliers=300)
    clusters = cluster_gaussians(features, seed=3)
    labels = clusters.labels
    assert torch.equal(labels, cluster_gaussians(features, seed=3).labels)
    assert len(labels) == 6300
    assert (clusters.sample, clusters.second_sample) == (200, 100)
    for i in range(3):
        assert (labels[truth == i] == labels[truth == i].mode().values).float().mean() > 0.99
    small = cluster_gaussians(features[:150])
    assert (small.sample, small.second_sample) == (150, 0)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
@pytest.mark.parametrize("outliers", [0, 12_000])
def test_an_object_of_a_thousandth_of_the_gaussians_is_found(method, outliers):
    """Of 120,000: about eight are in the sample, too few for a cluster; whatever the seed it is found."""
    features, truth = blobs(sizes=(40_000, 30_000, 20_000, 15_000, 14_880, 120), spread=0.05, outliers=outliers)
    for seed in range(2):
        clusters = cluster_gaussians(features, method, epsilon=0.3 if method == "dbscan" else None, seed=seed)
        found = clusters.labels == clusters.labels[truth == 5].mode().values
        inside = truth >= 0
        assert int((found & (truth == 5)).sum()) >= 119
        assert int((found & inside).sum()) <= 121
        for i in range(5):
            assert (clusters.labels[truth == i] == clusters.labels[truth == i].mode().values).float().mean() > 0.999


def test_a_small_object_that_is_all_that_fits_no_cluster_is_found():
    generator = torch.Generator().manual_seed(0)
    features, truth = blobs(sizes=(20_000, 15_000, 60), spread=0.0)
    shift = 0.2 * normalize(torch.randn(35_060, 16, generator=generator), dim=1)  # no longer for one than for another
    labels = cluster_gaussians(normalize(features, dim=1) + shift, min_cluster_size=20).labels
    assert labels.unique().tolist() == [0, 1, 2]
    assert all(len(labels[truth == i].unique()) == 1 for i in range(3))


@pytest.mark.parametrize(("tails", "outliers"), [(0.02, 0), (0.0, 20_000)])
def test_what_fits_no_cluster_need_not_be_an_object(tails, outliers):
    """The fringes of clusters with long tails, or noise."""
    features, truth = blobs(sizes=(20_000, 20_000, 20_000), spread=0.0)
    torch.manual_seed(0)
    lengths = 0.05 + tails * torch.distributions.StudentT(torch.tensor(3.0)).sample((60_000, 1)).abs()
    features = normalize(features, dim=1) + lengths * torch.randn(60_000, 16)
    labels = cluster_gaussians(torch.cat([features, torch.randn(outliers, 16)]), min_cluster_size=15).labels
    assert int(labels.max()) == 2
    for i in range(3):
        assert (labels[:60_000][truth == i] == labels[:60_000][truth == i].mode().values).float().mean() > 0.99


def test_epsilon_keeps_hdbscan_from_splitting_what_is_closer():
    """Six blobs in three pairs: fine ones, pairs or one, as the distances within and between pairs are allowed."""
    generator = torch.Generator().manual_seed(0)
    angles = torch.tensor([0.0, 0.2, 1.0, 1.2, 2.0, 2.2]).repeat_interleave(80)
    angles = angles + 0.01 * torch.randn(len(angles), generator=generator)
    points = torch.stack([angles.cos(), angles.sin()], dim=1)

    def clusters(epsilon):
        labels = cluster_gaussians(points, "hdbscan", min_cluster_size=30, epsilon=epsilon).labels
        assert labels.unique().tolist() == list(range(int(labels.max()) + 1))
        return [len(labels[80 * i : 80 * (i + 1)].unique()) for i in range(6)], len(labels.unique())

    assert clusters(0.01) == ([1] * 6, 6)
    assert clusters(0.25) == ([1] * 6, 3)
    assert clusters(0.9) == ([1] * 6, 1)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
def test_too_few_points_or_noise_alone_give_no_cluster(method):
    features, _ = blobs(sizes=(2, 2), outliers=0)
    assert cluster_gaussians(features, method, min_cluster_size=10).labels.tolist() == [-1] * 4
    noise = cluster_gaussians(torch.randn(40, 16), "dbscan", min_cluster_size=10, epsilon=0.01)
    assert noise.labels.tolist() == [-1] * 40


def test_masks_are_clustered_by_their_mean_rendered_feature(tabletop):
    for _ in range(24):
        tabletop.add("arm", "book", "cup", ragged=0.05)
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(4)
    features = torch.zeros(400, 4)
    for i, name in enumerate(("arm", "book", "cup")):
        features[tabletop.objects[name]] = centres[i]
    features[280:] = centres[3]
    features += 0.2 * torch.randn(400, 4, generator=generator)
    labels = cluster_masks(features, tabletop.weights()).labels.numpy()
    for name in ("arm", "book", "cup"):
        values, counts = np.unique(labels[tabletop.objects[name]], return_counts=True)
        assert counts.max() > 0.95 * counts.sum(), name
    assert len({np.bincount(labels[tabletop.objects[n]]).argmax() for n in ("arm", "book", "cup")}) == 3
