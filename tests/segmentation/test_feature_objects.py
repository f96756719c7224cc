import pytest
import torch

from trase_ns.segmentation.feature_objects import filtered, no_objects, objects_by_threshold, objects_of_candidates
from trase_ns.segmentation.objects import Segmentation


@pytest.fixture
def features(tabletop):
    """Features of four numbers on the tabletop: arm and hand agree in the first two, the rest of all is noise."""
    for _ in range(24):
        tabletop.add("arm", "hand", "book", "cup", ragged=0.02)
    values = torch.zeros(400, 4)
    values[:100, 0] = 1  # the arm
    values[60:100, 2] = 1  # its hand
    values[:60, 3] = 1
    values[100:220, 1] = 1
    values[220:280] = torch.tensor([-1.0, 0, 0, 0])
    values[280:] = torch.tensor([0, -1.0, 0, 0])
    return values + 0.01 * torch.randn(400, 4, generator=torch.Generator().manual_seed(0))


COARSE = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
FINE = torch.tensor([[0.7, 0, 0.7, 0], [0.7, 0, 0, 0.7], [0, 1.0, 0, 0], [-1, 0, 0, 0], [0, -1, 0, 0]])
EMPTY = torch.zeros(0, 2), torch.zeros(0, 4)


def test_candidates_of_two_levels_nest(tabletop, features):
    found = objects_of_candidates(features, {"coarse": COARSE, "fine": FINE}, tabletop.weights())
    # The book, the cup and the rest are the same on both levels; the arm has two parts.
    assert found.sizes.tolist() == [120, 120, 100, 60, 60, 40]
    assert found.summary["coarse_candidates"] == 4
    assert found.summary["fine_candidates"] == 5
    arm = 2
    parts = (found.parents == arm).nonzero().flatten().tolist()
    assert [found.sizes[i].item() for i in parts] == [60, 40]
    hand = parts[-1]
    assert found.members(hand).nonzero().flatten().tolist() == list(range(60, 100))
    lying = torch.tensor([arm, hand])  # under a click on the hand
    assert found.extreme(lying, largest=True) == arm
    assert found.extreme(lying, largest=False) == hand
    assert found.support[arm] > 0.9
    assert found.support[hand] > 0.8
    assert found.centres.shape == (6, 4)


def test_without_candidates_there_are_no_objects(features):
    assert len(objects_of_candidates(features, {"coarse": EMPTY[0], "fine": EMPTY[1]})) == 0


@pytest.mark.parametrize("masks", [True, False])
def test_a_threshold_takes_what_resembles_a_centre(tabletop, features, masks):
    features = torch.cat([features[:, :2], torch.zeros(400, 2)], dim=1)
    features[390:] = torch.tensor([0.0, 0, 1, 0])  # like nothing else, and too few to be a cluster
    found = objects_by_threshold(features, 0.7, tabletop.weights() if masks else None)
    sets = [set(found.members(i).nonzero().flatten().tolist()) for i in range(len(found))]
    for wanted in (range(100), range(100, 220), range(220, 280)):
        assert set(wanted) in sets
    if masks:
        assert not set().union(*sets) & set(range(390, 400))
    assert found.summary["threshold"] == 0.7
    loose = objects_by_threshold(features, -1.0, tabletop.weights() if masks else None)
    assert len(loose) == 1  # everything resembles everything, and the same object comes once
    assert loose.sizes[0] >= 398  # but for rounding


def test_no_objects_leave_the_choice_to_clicks(features):
    found = no_objects(features)
    assert len(found) == 0
    assert found.gaussians == 400
    assert found.centres.shape == (0, 4)
    assert len(Segmentation.from_state(found.to_state())) == 0


def test_the_filter_takes_away_what_is_unlike_its_object(features):
    features[5] = torch.tensor([0.0, 0, 0, 1])
    whole = Segmentation.from_members([torch.arange(60), torch.arange(60, 100)], 400, features=features)
    found = filtered(whole, features, 0.9)
    assert found.sizes.tolist() == [59, 40]
    assert not found.members(0)[5]
    assert found.summary["similarity"] == 0.9
    assert len(filtered(whole, features, 1.0)) == 0
