"""Simulated masks go wrong in the ways that Segment Anything does, and in no other."""

import numpy as np
import pytest

from trase_ns.masks.simulated import SimulationConfig, simulate_masks

HEIGHT, WIDTH = 96, 128
PARENTS = {1: 1, 2: 2, 3: 2, 4: 3}  # floor; an object of two parts; a neighbour of it
PERFECT = SimulationConfig(missing=0, whole=1, part=1, patch=0, merged=0, raggedness=0)


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.ones((HEIGHT, WIDTH), dtype=np.int32)
    labels[20:50, 20:60] = 2
    labels[50:80, 20:60] = 3
    labels[30:70, 60:100] = 4
    return labels


def regions(labels):
    return {
        "floor": labels == 1,
        "whole": np.isin(labels, [2, 3]),
        "top": labels == 2,
        "low": labels == 3,
        "b": labels == 4,
    }


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def simulate(labels, seeds, **changes):
    config = SimulationConfig(**{**vars(PERFECT), **changes})
    return [simulate_masks(labels, PARENTS, np.random.default_rng(seed), "f", config) for seed in seeds]


def test_without_faults_the_masks_are_the_regions_and_overlap(labels):
    (masks,) = simulate(labels, [0])
    expected = {region.tobytes() for region in regions(labels).values()}
    assert {mask.tobytes() for mask in masks.dense()} == expected
    assert masks.dense().sum(axis=0).max() == 2  # the object and a part of it


def test_same_state_same_masks(labels):
    first, again = (simulate_masks(labels, PARENTS, np.random.default_rng(5), "f") for _ in range(2))
    assert first.rles == again.rles
    assert np.array_equal(first.scores, again.scores)


def test_order_says_nothing(labels):
    places = {
        next(i for i, mask in enumerate(masks.dense()) if np.array_equal(mask, labels == 4))
        for masks in simulate(labels, range(40))
    }
    assert places == set(range(5))


def test_missing_and_part_rates(labels):
    runs = simulate(labels, range(300), missing=0.3, part=0.6)
    share = {
        name: np.mean([any(np.array_equal(mask, region) for mask in masks.dense()) for masks in runs])
        for name, region in regions(labels).items()
    }
    assert share["b"] == pytest.approx(0.7, abs=0.1)
    assert share["floor"] == pytest.approx(0.7, abs=0.1)
    assert share["top"] == pytest.approx(0.7 * 0.6, abs=0.1)


def test_merges_neighbours_but_not_things_with_their_surroundings(labels):
    runs = simulate(labels, range(200), merged=0.5, swallowed=1)
    found = regions(labels)
    union, wrong = found["whole"] | found["b"], found["b"] | found["floor"]
    merged = [any(np.array_equal(mask, union) for mask in masks.dense()) for masks in runs]
    assert np.mean(merged) == pytest.approx(0.5, abs=0.1)
    assert not any(np.array_equal(mask, wrong) for masks in runs for mask in masks.dense())
    for masks, is_merged in zip(runs, merged):
        assert any(np.array_equal(mask, found["b"]) for mask in masks.dense()) != is_merged


def test_patches_lie_inside_their_object(labels):
    found = regions(labels)
    for masks in simulate(labels, range(20), patch=1, part=0):
        extra = [mask for mask in masks.dense() if not any(np.array_equal(mask, r) for r in found.values())]
        assert len(extra) == 3
        for owner in ("floor", "whole", "b"):
            inside = [mask for mask in extra if not (mask & ~found[owner]).any()]
            assert len(inside) == 1
            assert 0.25 < inside[0].sum() / found[owner].sum() < 0.75


def test_ragged_borders_and_honest_scores(labels):
    found = regions(labels)
    for masks in simulate(labels, range(10), raggedness=0.8):
        assert len(masks) == len(found)
        for mask, score in zip(masks.dense(), masks.scores):
            best = max(iou(mask, region) for region in found.values())
            assert 0.85 < best < 1
            assert score == pytest.approx(best, abs=0.05)
    sizes = [masks.areas.sum() for masks in simulate(labels, range(30), raggedness=0.8)]
    assert np.mean(sizes) == pytest.approx(sum(region.sum() for region in found.values()), rel=0.01)  # no bias


def test_small_things_and_specks_are_dropped(labels):
    labels[80:86, 20:26] = 4  # a speck of an object elsewhere: 36 pixels
    for masks in simulate(labels, range(5), min_area=50):
        assert not any(mask[82, 22] and mask[40, 80] for mask in masks.dense())
        assert any(mask[40, 80] and not mask[82, 22] for mask in masks.dense())
    for masks in simulate(labels, range(5), min_area=1700):
        assert masks.areas.min() >= 1700


def test_unknown_labels_get_no_masks():
    masks = simulate_masks(np.zeros((20, 30), dtype=np.int32), PARENTS, np.random.default_rng(0), "f")
    assert len(masks) == 0
    assert (masks.height, masks.width) == (20, 30)
