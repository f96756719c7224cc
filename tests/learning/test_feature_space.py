import numpy as np
import pytest
import torch

from trase_ns.learning.feature_maps import FeatureMaps
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.learning.map_store import MapStore


@pytest.fixture
def maps(tmp_path):
    """Features in three of nine dimensions, around a mean."""
    generator = np.random.default_rng(0)
    values = 2 + generator.normal(0, 1, (30, 3)) @ generator.normal(0, 1, (3, 9))
    MapStore(tmp_path).save("a", torch.from_numpy(values).view(5, 6, 9), {"extractor": "Sift", "image": "x"})
    return FeatureMaps(tmp_path, ["a"])


def test_cosines_with_reduced_features_are_those_with_whole_ones(maps):
    basis = maps.reduction(3)
    values = maps.load("a").flatten(0, 1)
    queries = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.cosine_similarity(values[:, None], queries[None], dim=2)
    torch.testing.assert_close(FeatureSpace.of(maps).cosines(values, queries), expected, atol=1e-5, rtol=0)
    reduced = FeatureSpace.of(maps, basis).cosines(values @ basis.T, queries)
    torch.testing.assert_close(reduced, expected, atol=2e-3, rtol=0)  # half precision on disk
    assert FeatureSpace.of(maps).cosines(torch.zeros(2, 9), queries).abs().max() == 0


def test_states_come_back(maps):
    for space in (FeatureSpace.of(maps), FeatureSpace.of(maps, maps.reduction(2)), FeatureSpace(5)):
        state = space.to_state()
        back = FeatureSpace.from_state(state)
        assert (back.channels, back.source) == (space.channels, space.source)
        assert (back.basis is None) == (space.basis is None)
        if space.basis is not None:
            assert torch.equal(back.basis, space.basis)
    assert FeatureSpace.of(maps).source == {"extractor": "Sift"}
    for state in ({}, {"basis": torch.zeros(3), "source": "{}"}, {"basis": torch.zeros(1, 3), "source": "["}):
        with pytest.raises(ValueError, match="no space of features"):
            FeatureSpace.from_state(state)


def test_sizes_must_fit():
    with pytest.raises(ValueError, match="for 5 numbers"):
        FeatureSpace(5).cosines(torch.zeros(2, 4), torch.zeros(1, 5))
    with pytest.raises(ValueError, match="for 2 numbers"):
        FeatureSpace(5, torch.eye(5)[:2]).cosines(torch.zeros(2, 2), torch.zeros(1, 4))
