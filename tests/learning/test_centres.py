import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.learning.centres import cluster_centres, hdbscan, nearest_centre


@pytest.mark.parametrize(("epsilon", "clusters"), [(0.01, 4), (0.3, 2)])
def test_hdbscan_finds_blobs_and_noise_and_does_not_split_below_epsilon(epsilon, clusters):
    """Four blobs on a circle in two close pairs, and a point alone on the other side."""
    generator = np.random.default_rng(0)
    angles = np.repeat([0.0, 0.2, 1.5, 1.7], 60) + 0.01 * generator.normal(size=240)
    angles = np.append(angles, 4.0)
    labels = hdbscan(np.stack([np.cos(angles), np.sin(angles)], axis=1), min_cluster_size=20, epsilon=epsilon)
    assert labels[:240].unique().tolist() == list(range(clusters))
    assert all(len(labels[60 * i : 60 * (i + 1)].unique()) == 1 for i in range(4))
    assert labels[240] == -1


def test_hdbscan_of_too_few_points_is_noise():
    assert hdbscan(np.eye(3), min_cluster_size=4).tolist() == [-1] * 3
    assert hdbscan(np.zeros((0, 3)), min_cluster_size=4).shape == (0,)


def test_centres_leave_noise_out_and_are_never_nan():
    points = normalize(torch.tensor([[1.0, 0], [1, 0.2], [0, 1], [-1, 0]]), dim=1)
    centres = cluster_centres(points, torch.tensor([0, 0, 1, -1]))
    torch.testing.assert_close(centres, torch.stack([normalize(points[:2].mean(0), dim=0), points[2]]))
    assert cluster_centres(points, torch.tensor([-1] * 4)).shape == (0, 2)
    opposite = cluster_centres(torch.tensor([[1.0, 0], [-1, 0]]), torch.tensor([0, 0]))
    assert torch.isfinite(opposite).all()


def test_nearest_centre_in_chunks_and_for_zero_features():
    centres = torch.eye(3)
    features = normalize(torch.tensor([[2.0, 0, 1], [0, 0, 0], [0, 1, 3], [-1, -2, -3]]), dim=1)
    labels, cosines = nearest_centre(features, centres, chunk=3)
    assert labels.tolist() == [0, -1, 2, 0]
    torch.testing.assert_close(cosines, (features @ centres.T).amax(1))
    assert nearest_centre(features, centres[:0])[0].tolist() == [-1] * 4
