import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.regrouping import at_level, feature_tree, regroup


def scene_of(features: torch.Tensor) -> DynamicGaussians:
    """Gaussians in groups of 100 that lie apart, group i around (10 i, 0, 0)."""
    n = len(features)
    means = torch.rand(n, 3, generator=torch.Generator().manual_seed(0))
    means[:, 0] += torch.arange(n) // 100 * 10.0
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), -3.0),
        torch.zeros(n),
        torch.zeros(n, 3),
        torch.zeros(n, 0, 3),
        features,
    )


@pytest.fixture
def nested() -> Segmentation:
    """An arm 0-99 of sleeve 0-59 and hand 60-99 with a thumb 60-69, a book 100-219; 220-249 is none."""
    parts = [range(100), range(60), range(60, 100), range(60, 70), range(100, 220)]
    return Segmentation.from_members([torch.tensor(list(part)) for part in parts], 250)


@pytest.fixture
def scene() -> DynamicGaussians:
    """Four groups: 0 and 1 are alike (cosine 0.8), 2 and 3 too (0.5), and the pairs have nothing in common."""
    directions = torch.tensor([[1.0, 0, 0, 0], [0.8, 0.6, 0, 0], [0, 0, 1, 0], [0, 0, 0.5, 0.75**0.5]])
    noise = torch.randn(400, 4, generator=torch.Generator().manual_seed(1))
    return scene_of(2 * directions.repeat_interleave(100, 0) + 0.05 * noise)


def sets(segmentation: Segmentation) -> set[tuple[int, int]]:
    """First and last Gaussian of each object; objects here are ranges."""
    found = set()
    for i in range(len(segmentation)):
        members = segmentation.members(i).nonzero().flatten()
        assert len(members) == members[-1] - members[0] + 1
        found.add((int(members[0]), int(members[-1])))
    return found


def test_levels_go_from_the_largest_objects_to_the_smallest(nested):
    assert sets(at_level(nested, 0)) == {(0, 99), (100, 219)}
    assert sets(at_level(nested, 1)) == {(0, 59), (60, 69), (70, 99), (100, 219)}
    middle = at_level(nested, 0.45)  # from about 40 Gaussians
    assert sets(middle) == {(0, 59), (60, 99), (100, 219)}
    assert (middle.labels[220:] == -1).all()
    for level in (0.0, 0.3, 0.7, 1.0):
        result = at_level(nested, level)
        assert int(result.sizes.sum()) == 220
        for i, old in enumerate(result.summary["from"]):
            assert (result.members(i) <= nested.members(old)).all()


def test_an_object_of_which_only_a_rest_is_left_is_not_of_the_level(nested):
    parts = [nested.members(i) for i in range(len(nested))]
    shelf = torch.zeros(250, dtype=torch.bool)
    shelf[100:230] = True  # the book and a little more
    with_shelf = Segmentation.from_members([*parts, shelf], 250)
    assert sets(at_level(with_shelf, 0)) == {(0, 99), (100, 229)}
    result = at_level(with_shelf, 1)
    assert sets(result) == {(0, 59), (60, 69), (70, 99), (100, 219)}
    assert (result.labels[220:] == -1).all()


def test_what_masks_hardly_show_is_of_no_level(nested):
    members = [nested.members(i) for i in range(len(nested))]
    support = torch.where(nested.sizes == 100, 0.2, 0.9)  # the arm
    rare = Segmentation.from_members(members, 250, support=support)
    assert sets(at_level(rare, 0)) == {(0, 59), (60, 99), (100, 219)}


def test_a_segmentation_without_objects_stays_so():
    assert len(at_level(Segmentation.from_members([], 10), 0.5)) == 0


def test_the_tree_of_features_is_cut_finer_with_granularity(scene):
    tree = feature_tree(scene)
    assert sets(regroup(scene, 0.1, tree=tree)) == {(0, 199), (200, 399)}
    assert sets(regroup(scene, 0.7, tree=tree)) == {(0, 199), (200, 299), (300, 399)}
    fine = regroup(scene, 1.0, tree=tree)
    assert sets(fine) == {(0, 99), (100, 199), (200, 299), (300, 399)}
    assert fine.centres is not None
    assert fine.centres.shape == (4, 4)
    assert torch.equal(regroup(scene, 1.0).labels, fine.labels)


def test_gaussians_without_a_feature_are_in_no_object(scene):
    scene.features[200:300] = 0
    assert sets(regroup(scene, 1.0)) == {(0, 99), (100, 199), (300, 399)}


def test_small_objects_go_to_the_one_most_like_them():
    directions = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0.1, 0.6, 0.79]])
    scene = scene_of(directions.repeat_interleave(torch.tensor([300, 300, 20]), 0))
    tree = feature_tree(scene)
    apart, joined = tree.labels(1.0), tree.labels(1.0, smallest=0.05)
    assert apart.unique().numel() == 3
    assert joined.unique().numel() == 2
    assert (joined[600:] == joined[300]).all()


def test_what_to_group_by_follows_from_what_there_is(scene):
    flat = Segmentation.from_members([torch.arange(400)], 400)
    nested = Segmentation.from_members([torch.arange(400), torch.arange(100)], 400)
    assert regroup(scene, 0.5, flat).summary["method"] == "feature-tree"
    assert regroup(scene, 0.5, nested).summary["method"] == "level"
    assert regroup(scene, 0.5, nested, by="features").summary["method"] == "feature-tree"
    bare = scene_of(torch.zeros(400, 0))
    assert regroup(bare, 0.5, flat).summary["method"] == "level"
    with pytest.raises(UserError, match="no objects"):
        regroup(bare, 0.5)
    with pytest.raises(UserError, match="no trained features"):
        regroup(bare, 0.5, flat, by="features")


@pytest.mark.parametrize("granularity", [-0.1, 1.5, float("nan")])
def test_granularity_is_a_number_from_0_to_1(scene, nested, granularity):
    for group in (
        lambda: at_level(nested, granularity),
        lambda: regroup(scene, granularity),
        lambda: feature_tree(scene).labels(granularity),
    ):
        with pytest.raises(UserError, match="granularity"):
            group()
