import numpy as np
import pytest

from trase_ns.segmentation.mask_graph import objects_from_masks
from trase_ns.segmentation.refine import Lifted

NAMES = ("arm", "hand", "book", "cup")


def iou(found: np.ndarray, wanted: np.ndarray) -> float:
    return len(np.intersect1d(found, wanted)) / len(np.union1d(found, wanted))


def best(lifted: Lifted, wanted: np.ndarray) -> float:
    return max((iou(m, wanted) for m in lifted.members), default=0.0)


def test_exact_masks_give_the_objects_and_their_parts(tabletop):
    for _ in range(12):
        tabletop.add(*NAMES)
    lifted = objects_from_masks(tabletop.weights())
    assert len(lifted.members) == 4
    for name in NAMES:
        assert best(lifted, tabletop.objects[name]) == 1.0
    assert np.allclose(lifted.support, 1)


@pytest.mark.parametrize("seed", range(3))
def test_missing_merged_split_and_ragged_masks_are_outvoted(tabletop, seed):
    generator = np.random.default_rng(seed)
    book = tabletop.objects["book"]
    tabletop.objects.update(left=book[:70], right=book[70:])
    for _ in range(40):
        names = [name for name in NAMES if generator.random() > 0.25]
        if generator.random() < 0.2 and {"book", "cup"} <= set(names):
            names = [n for n in names if n not in ("book", "cup")] + ["book+cup"]
        if generator.random() < 0.2 and "book" in names:
            names = [n for n in names if n != "book"] + ["left", "right"]
        tabletop.add(*names, ragged=0.05)
    lifted = objects_from_masks(tabletop.weights())
    for name in NAMES:
        assert best(lifted, tabletop.objects[name]) > 0.95, name
    assert lifted.support.max() < 0.95


def test_an_object_that_appears_late_is_found(tabletop):
    for i in range(60):
        tabletop.add("arm", "book", *(["cup"] if i >= 52 else []))
    assert best(objects_from_masks(tabletop.weights()), tabletop.objects["cup"]) == 1.0


def test_a_mask_of_one_frame_alone_is_no_object(tabletop):
    for i in range(12):
        tabletop.add("arm", "book", *(["cup+hand"] if i == 3 else []))
    lifted = objects_from_masks(tabletop.weights())
    assert len(lifted.members) == 2
    assert max(iou(m, np.r_[60:100, 220:280]) for m in lifted.members) < 0.5


def test_the_front_and_the_back_of_a_thing_are_one_object(tabletop):
    """Frames around a thing: opposite ones share no Gaussian, so nothing but the frames between joins them."""
    thing = np.arange(0, 240)
    for angle in np.linspace(0, 2 * np.pi, 48, endpoint=False):
        facing = np.cos(np.linspace(0, 2 * np.pi, 240, endpoint=False) - angle)
        visible = np.zeros(400, np.float32)
        visible[thing] = np.maximum(facing, 0)
        visible[240:] = 1
        tabletop.world.add_frame(visible, [tabletop.share(thing), tabletop.share(np.arange(240, 300))])
    lifted = objects_from_masks(tabletop.weights())
    assert best(lifted, thing) == 1.0
    assert len(lifted.members) == 2


def test_an_occluded_object_is_one_object(tabletop):
    """In half of the frames only the last fifth of the book is seen; its mask then is that fifth."""
    book = tabletop.objects["book"]
    for i in range(20):
        visible = tabletop.visible()
        if i % 2:
            visible[book[:96]] = 0
        tabletop.world.add_frame(visible, [tabletop.share(book), tabletop.share(tabletop.objects["cup"])])
    lifted = objects_from_masks(tabletop.weights())
    assert len(lifted.members) == 2
    assert best(lifted, book) == 1.0


def test_short_captures_need_fewer_frames(tabletop):
    for _ in range(3):
        tabletop.add("arm", "book")
    assert len(objects_from_masks(tabletop.weights()).members) == 2
    assert len(objects_from_masks(tabletop.weights(), min_frames=4).members) == 0


def test_several_cuts_find_parts_and_things_whose_masks_vary(tabletop):
    """A strict cut keeps the arm's hand apart but loses the book, of which masks show ever other halves."""
    arm, book = tabletop.objects["arm"], tabletop.objects["book"]
    tabletop.objects["most"] = arm[:75]
    for i in range(20):
        tabletop.objects["half"] = np.roll(book, 6 * i)[:80]
        tabletop.add("arm", "most", "half")

    def found(*cuts):
        lifted = objects_from_masks(tabletop.weights(), *([cuts] if cuts else []))
        return [best(lifted, wanted) > 0.95 for wanted in (arm, arm[:75], book)]

    assert found(0.2) == [True, True, False]
    assert found(0.6)[1:] == [False, True]
    assert found(0.2, 0.6) == [True, True, True]


def test_groups_that_turn_out_to_be_the_same_object_are_one(tabletop):
    """A segmenter that gives the book with its shadow in half of the frames: two groups where the cut is strict."""
    tabletop.objects["shaded"] = np.arange(100, 260)
    for i in range(20):
        tabletop.add("arm", "shaded" if i % 2 else "book")
    lifted = objects_from_masks(tabletop.weights(), cuts=[0.2])
    assert len(lifted.members) == 2


def test_no_masks_give_no_objects(tabletop):
    tabletop.world.add_frame(tabletop.visible(), [])
    lifted = objects_from_masks(tabletop.weights())
    assert lifted.members == []
    assert len(lifted.support) == 0
