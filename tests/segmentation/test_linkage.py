import numpy as np
import pytest
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from trase_ns.segmentation.linkage import link_masks
from trase_ns.segmentation.overlaps import Overlaps


def overlaps_of(iou: np.ndarray, seen: np.ndarray | None = None) -> Overlaps:
    """Each mask in a frame of its own."""
    count = len(iou)
    seen = np.ones((count, count), np.float32) if seen is None else seen
    return Overlaps(sparse.csr_matrix(iou.astype(np.float32)), seen, np.arange(count))


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    return ((a[:, None] == a) == (b[:, None] == b)).all()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("cut", [0.3, 0.5, 0.7])
def test_with_equal_knowledge_it_is_average_linkage(seed, cut):
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(60, 2)) + 2.5 * generator.integers(0, 3, (60, 2))
    distance = np.linalg.norm(points[:, None] - points, axis=-1)
    iou = np.exp(-distance) * (distance < 2)
    np.fill_diagonal(iou, 0)
    expected = 1 - iou
    np.fill_diagonal(expected, 0)
    reference = fcluster(linkage(squareform(expected, checks=False), "average"), cut, "distance")
    groups = link_masks(overlaps_of(iou), cut, prior=0)
    assert same_partition(groups, reference)
    assert 1 < len(np.unique(reference)) < 60


def test_groups_are_numbered_from_zero():
    iou = np.zeros((4, 4))
    iou[1, 3] = iou[3, 1] = 0.9
    assert sorted(set(link_masks(overlaps_of(iou), 0.5))) == [0, 1, 2]


def test_pairs_that_could_not_be_seen_together_do_not_part_a_chain():
    """A ring walk: neighbours overlap, others share nothing; that counts only where it could have been seen."""
    count = 12
    gap = np.abs(np.arange(count)[:, None] - np.arange(count))
    iou = np.where(gap == 1, 0.9, 0.0)
    blind = np.where(gap <= 1, 1.0, 0.0).astype(np.float32)
    assert len(set(link_masks(overlaps_of(iou, blind), 0.5))) == 1
    assert len(set(link_masks(overlaps_of(iou), 0.5))) > 3


def test_little_knowledge_joins_nothing():
    iou = np.array([[0, 1.0], [1.0, 0]])
    glimpse = np.array([[1, 0.01], [0.01, 1]], np.float32)
    assert len(set(link_masks(overlaps_of(iou, glimpse), 0.5))) == 2
    assert len(set(link_masks(overlaps_of(iou), 0.5))) == 1


def literal_groups(overlaps: Overlaps, cut: float, prior: float) -> np.ndarray:
    """Join the closest two groups, from scratch at every step."""
    iou, count = overlaps.iou.toarray(), len(overlaps.frames)
    known = np.array([[np.sqrt(overlaps.seen[a, b] * overlaps.seen[b, a]) for b in range(count)] for a in range(count)])
    groups = [[i] for i in range(count)]
    while len(groups) > 1:
        closest, pair = max(
            ((iou * known)[np.ix_(a, b)].sum() / (known[np.ix_(a, b)].sum() + prior), (i, j))
            for i, a in enumerate(groups)
            for j, b in enumerate(groups)
            if i < j
        )
        if closest < 1 - cut:
            break
        groups[pair[0]] += groups.pop(pair[1])
    labels = np.empty(count, np.int64)
    for i, group in enumerate(groups):
        labels[group] = i
    return labels


@pytest.mark.parametrize(("prior", "cut"), [(0.3, 0.7), (2.0, 0.85)])
@pytest.mark.parametrize("seed", range(8))
def test_unequal_knowledge_weighs_the_mean(seed, prior, cut):
    generator = np.random.default_rng(seed)
    iou = np.triu(generator.random((25, 25)) ** 2 * (generator.random((25, 25)) < 0.7), 1)
    kind = generator.integers(0, 3, 25)
    iou = np.where(kind[:, None] == kind, np.sqrt(iou), 0.4 * iou)
    seen = generator.random((25, 25)).astype(np.float32)
    np.fill_diagonal(seen, 1)
    overlaps = overlaps_of(iou + iou.T, seen)
    expected = literal_groups(overlaps, cut, prior)
    assert same_partition(link_masks(overlaps, cut, prior), expected)
    assert 1 < len(np.unique(expected)) < 25
