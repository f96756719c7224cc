import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.segmentation.clustering import _centres, cluster_gaussians, cluster_masks, nearest_centre


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
    labels = cluster_gaussians(features, method, min_cluster_size=20)
    assert int(labels.max()) == 2
    assert (labels >= 0).all()  # noise goes to the nearest centre
    for i in range(3):
        assert len(labels[truth == i].unique()) == 1
    assert len(labels[truth >= 0].unique()) == 3


def test_the_sample_is_seeded_and_all_gaussians_are_labelled(monkeypatch):
    monkeypatch.setattr("trase_ns.segmentation.clustering.SAMPLE", 200)
    features, truth = blobs(sizes=(3000, 1000, 2000), outliers=300)
    labels = cluster_gaussians(features, seed=3)
    assert torch.equal(labels, cluster_gaussians(features, seed=3))
    assert len(labels) == 6300
    for i in range(3):
        assert (labels[truth == i] == labels[truth == i].mode().values).float().mean() > 0.99


def test_epsilon_keeps_hdbscan_from_splitting_what_is_closer():
    """Six blobs in three pairs: fine ones, pairs or one, as the distances within and between pairs are allowed."""
    generator = torch.Generator().manual_seed(0)
    angles = torch.tensor([0.0, 0.2, 1.0, 1.2, 2.0, 2.2]).repeat_interleave(80)
    angles = angles + 0.01 * torch.randn(len(angles), generator=generator)
    points = torch.stack([angles.cos(), angles.sin()], dim=1)

    def clusters(epsilon):
        labels = cluster_gaussians(points, "hdbscan", min_cluster_size=30, epsilon=epsilon)
        assert labels.unique().tolist() == list(range(int(labels.max()) + 1))
        return [len(labels[80 * i : 80 * (i + 1)].unique()) for i in range(6)], len(labels.unique())

    assert clusters(0.01) == ([1] * 6, 6)
    assert clusters(0.25) == ([1] * 6, 3)
    assert clusters(0.9) == ([1] * 6, 1)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
def test_too_few_points_or_noise_alone_give_no_cluster(method):
    features, _ = blobs(sizes=(2, 2), outliers=0)
    assert cluster_gaussians(features, method, min_cluster_size=10).tolist() == [-1] * 4
    assert cluster_gaussians(torch.randn(40, 16), "dbscan", min_cluster_size=10, epsilon=0.01).tolist() == [-1] * 40


def test_centres_leave_noise_out_and_are_never_nan():
    points = normalize(torch.tensor([[1.0, 0], [1, 0.2], [0, 1], [-1, 0]]), dim=1)
    centres = _centres(points, torch.tensor([0, 0, 1, -1]))
    torch.testing.assert_close(centres, torch.stack([normalize(points[:2].mean(0), dim=0), points[2]]))
    assert _centres(points, torch.tensor([-1] * 4)).shape == (0, 2)
    opposite = _centres(torch.tensor([[1.0, 0], [-1, 0]]), torch.tensor([0, 0]))
    assert torch.isfinite(opposite).all()


def test_nearest_centre_in_chunks_and_for_zero_features():
    centres = torch.eye(3)
    features = normalize(torch.tensor([[2.0, 0, 1], [0, 0, 0], [0, 1, 3], [-1, -2, -3]]), dim=1)
    assert nearest_centre(features, centres, chunk=3).tolist() == [0, -1, 2, 0]
    assert nearest_centre(features, centres[:0]).tolist() == [-1] * 4


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
    labels = cluster_masks(features, tabletop.weights()).numpy()
    for name in ("arm", "book", "cup"):
        values, counts = np.unique(labels[tabletop.objects[name]], return_counts=True)
        assert counts.max() > 0.95 * counts.sum(), name
    assert len({np.bincount(labels[tabletop.objects[n]]).argmax() for n in ("arm", "book", "cup")}) == 3
