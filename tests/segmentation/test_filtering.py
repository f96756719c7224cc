import torch

from trase_ns.segmentation.filtering import cosine_to, filter_by_similarity, has_features


def test_the_filter_keeps_what_is_close_to_the_mean_feature():
    features = torch.tensor([[2.0, 0], [1, 1], [0, 3], [-1, 0], [1, 0.1]])
    mask = torch.tensor([True, True, True, True, False])
    centre = torch.tensor([5.0, 0])
    assert filter_by_similarity(mask, features, centre, 0.9).tolist() == [True, False, False, False, False]
    assert filter_by_similarity(mask, features, centre, 0.7).tolist() == [True, True, False, False, False]
    assert filter_by_similarity(mask, features, centre, -1).tolist() == mask.tolist()
    assert mask.tolist() == [True, True, True, True, False]


def test_a_zero_feature_is_similar_to_nothing():
    assert cosine_to(torch.tensor([[0.0, 0], [3, 4]]), torch.tensor([3.0, 4])).tolist() == [0, 1]


def test_untrained_features_are_known():
    assert not has_features(torch.zeros(5, 32))
    assert not has_features(torch.zeros(5, 0))
    assert has_features(torch.eye(3))
