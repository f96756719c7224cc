import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import rgb_to_sh0
from trase_ns.segmentation.growing import (
    fill_holes,
    grow,
    grow_to_similar,
    likeness,
    pieces,
    remove_specks,
    shrink,
    spacing,
)


def grid(columns: int, rows: int, x: float = 0.0, y: float = 0.0, step: float = 1.0) -> torch.Tensor:
    """Points of a plane, row by row."""
    xs, ys = torch.meshgrid(torch.arange(columns) * step + x, torch.arange(rows) * step + y, indexing="xy")
    return torch.stack([xs.flatten(), ys.flatten(), torch.zeros(columns * rows)], dim=1)


def where(condition: torch.Tensor) -> set[int]:
    return set(condition.nonzero().flatten().tolist())


@pytest.fixture
def plane() -> torch.Tensor:
    """20 x 20 points at distance 0.1; point i is in column i % 20 of row i // 20."""
    return grid(20, 20, step=0.1)


@pytest.fixture
def block() -> torch.Tensor:
    """bool [400], 8 x 8 points in the middle of the plane."""
    mask = torch.zeros(20, 20, dtype=torch.bool)
    mask[6:14, 6:14] = True
    return mask.flatten()


def scene_of(means: torch.Tensor, colors: torch.Tensor, features: torch.Tensor) -> DynamicGaussians:
    n = len(means)
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), -3.0),
        torch.zeros(n),
        rgb_to_sh0(colors),
        torch.zeros(n, 0, 3),
        features,
    )


def test_spacing_is_the_distance_of_neighbours_in_the_selection(plane, block):
    assert spacing(plane, block) == pytest.approx(0.1)
    assert spacing(7 * plane, block) == pytest.approx(0.7)
    assert spacing(plane, torch.zeros(400, dtype=torch.bool)) == pytest.approx(0.1)
    assert spacing(plane[:1], torch.ones(1, dtype=torch.bool)) == 0


def test_growing_adds_what_is_near_in_spacings(plane, block):
    near = (torch.cdist(plane, plane[block]).amin(dim=1) <= 0.2001).flatten()
    assert torch.equal(grow(plane, block, 2.001), near)
    assert torch.equal(grow(plane * 50, block, 2.001), near)
    assert torch.equal(grow(plane, block, 0.5), block)
    nothing = torch.zeros(400, dtype=torch.bool)
    assert torch.equal(grow(plane, nothing, 3), nothing)
    assert torch.equal(grow(plane, ~nothing, 3), ~nothing)


def test_shrinking_removes_what_is_near_others_and_undoes_growing(plane, block):
    assert torch.equal(shrink(plane, grow(plane, block, 1.001), 1.001), block)
    smaller = shrink(plane, block, 1.001).reshape(20, 20)
    assert smaller[7:13, 7:13].all()
    assert int(smaller.sum()) == 36
    everything = torch.ones(400, dtype=torch.bool)
    assert torch.equal(shrink(plane, everything, 3), everything)
    apart = torch.cat([plane, plane + 100])
    alone = torch.arange(800) < 400
    assert torch.equal(shrink(apart, alone, 3), alone)


def test_what_only_touches_for_a_moment_is_not_near(plane, block):
    later = plane.clone()
    later[~block] += 10  # the others go away
    assert torch.equal(grow(torch.cat([plane, later], dim=1), block, 2.0), block)


def test_holes_are_filled_and_the_outside_is_not(plane, block):
    holed = block.clone()
    holes = [6 * 20 + 9, 9 * 20 + 9, 9 * 20 + 10, 12 * 20 + 7]
    holed[holes[1:]] = False
    filled = fill_holes(plane, holed)
    assert torch.equal(filled, block)
    nothing = torch.zeros(400, dtype=torch.bool)
    assert torch.equal(fill_holes(plane, nothing), nothing)
    assert torch.equal(fill_holes(plane, ~nothing), ~nothing)


def test_specks_are_removed_and_large_pieces_kept(plane):
    floating = torch.tensor([[1.0, 1.0, 0.5], [1.0, 1.0, 0.52], [5.0, 5.0, 5.0]])
    points = torch.cat([plane, grid(8, 8, x=4, step=0.1), floating])
    mask = torch.ones(len(points), dtype=torch.bool)
    assert where(~remove_specks(points, mask)) == {464, 465, 466}
    assert where(~remove_specks(points, mask, share=0.5)) == set(range(400, 467))
    nothing = torch.zeros(len(points), dtype=torch.bool)
    assert torch.equal(remove_specks(points, nothing), nothing)


def test_pieces_are_what_is_connected(plane):
    points = torch.cat([grid(8, 8, x=4, step=0.1), plane, grid(6, 6, x=9, step=0.4)])
    mask = torch.ones(len(points), dtype=torch.bool)
    mask[70] = False
    labels = pieces(points, mask)
    assert labels[70] == -1
    assert set(labels[64:70].tolist()) == set(labels[71:464].tolist()) == {0}
    assert set(labels[:64].tolist()) == {1}
    assert set(labels[464:].tolist()) == {2}  # sparser, but in itself one piece
    assert torch.equal(pieces(points, torch.zeros_like(mask)), torch.full((500,), -1))
    alone = torch.zeros_like(mask)
    alone[3] = True
    assert pieces(points, alone)[3] == 0


def test_small_pieces_go_to_the_nearest_large_one(plane):
    points = torch.cat([plane, grid(8, 8, x=4, step=0.1), torch.tensor([[3.5, 0.1, 0.0], [2.4, 0.1, 0.0]])])
    mask = torch.ones(len(points), dtype=torch.bool)
    assert int(pieces(points, mask).max()) == 3
    labels = pieces(points, mask, smallest=0.1)
    assert labels[[464, 465]].tolist() == [1, 0]
    assert int(labels.max()) == 1


def test_pieces_that_touch_come_apart_by_their_features(plane):
    features = torch.tensor([[1.0, 0, 0]]).repeat(400, 1)
    right = torch.arange(400) % 20 >= 8
    features[right] = torch.tensor([0.0, 3, 0])
    features[45] = torch.tensor([0.0, 0, 1])  # an odd one
    mask = torch.ones(400, dtype=torch.bool)
    assert int(pieces(plane, mask).max()) == 0
    labels = pieces(plane, mask, features=features, similarity=0.8, smallest=0.2)
    assert (labels[right] == 0).float().mean() > 0.95
    assert (labels[~right] == 1).float().mean() > 0.85
    assert int(labels.max()) == 1


def test_growing_to_similar_adds_what_has_a_like_feature(plane, block):
    features = torch.zeros(400, 2)
    angle = torch.arange(400) / 400 * torch.pi / 2
    features[:] = torch.stack([angle.cos(), angle.sin()], dim=1) * 3
    scene = scene_of(plane, torch.rand(400, 3), features)
    first = torch.arange(400) < 10
    like = likeness(scene, first)
    assert like[:10].min() > 0.999
    assert like[-1] < 0.03
    assert where(grow_to_similar(scene, first, 0.9)) == set(range(int((like >= 0.9).sum())))
    assert torch.equal(grow_to_similar(scene, block, 1.1), block)


def test_of_the_similar_only_the_connected_are_added_if_wanted():
    points = torch.cat([grid(10, 10, step=0.1), grid(10, 10, x=5, step=0.1)])
    scene = scene_of(points, torch.rand(200, 3), torch.ones(200, 4))
    first = torch.arange(200) < 30
    assert grow_to_similar(scene, first, 0.9).all()
    assert where(grow_to_similar(scene, first, 0.9, radius=3.0)) == set(range(100))
    assert where(grow_to_similar(scene, first, 0.9, 3.0, points=points.roll(30, 0))) >= set(range(30))


def test_without_features_colours_say_what_is_similar(plane):
    colors = torch.tensor([[0.9, 0.1, 0.1]]).repeat(400, 1)
    colors[::2] = torch.tensor([0.1, 0.1, 0.9])  # striped
    colors[200:] = torch.tensor([0.2, 0.9, 0.2])
    scene = scene_of(plane, colors, torch.zeros(400, 4))
    first = torch.arange(400) < 40
    assert where(grow_to_similar(scene, first, 0.9)) == set(range(200))
    assert likeness(scene, first).max() <= 1
    one = torch.arange(400) == 201
    assert where(grow_to_similar(scene, one, 0.95)) == set(range(200, 400))


def test_nothing_selected_is_like_nothing(plane):
    scene = scene_of(plane, torch.rand(400, 3), torch.zeros(400, 0))
    with pytest.raises(UserError, match="nothing is selected"):
        grow_to_similar(scene, torch.zeros(400, dtype=torch.bool))
