"""Three things in a row before a wall: a book with a picture on it, a cup half hidden, and a box behind the book."""

import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.render import contributions
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.clicks import Prompt, select
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.regions import Rectangle, Scribble, select_region
from trase_ns.segmentation.visibility import visible_weight


def plate(x: float, y: float, z: float, half: float) -> torch.Tensor:
    line = torch.linspace(-half, half, 9)
    xs, ys = torch.meshgrid(line + x, line + y, indexing="xy")
    return torch.stack([xs.flatten(), ys.flatten(), torch.full((81,), z)], dim=1)


BOOK, PICTURE, CUP, BOX, LONE = (range(81 * i, 81 * (i + 1)) for i in range(5))


@pytest.fixture
def scene() -> DynamicGaussians:
    """A book at the left with a picture on it, a cup at the right, a box behind the book, and something that is no
    object, below; nothing else. The book lets little light through."""
    means = torch.cat(
        [
            plate(-1, 0, 4, 0.6),
            plate(-1, 0, 3.9, 0.2),
            plate(1, 0, 4, 0.4),
            plate(-1.2, 0, 5, 0.4),
            plate(0, 1.4, 4, 0.3),
        ]
    )
    n = len(means)
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), -2.4),
        torch.full((n,), 4.0),
        torch.zeros(n, 3),
        torch.zeros(n, 0, 3),
        torch.zeros(n, 4),
    )


@pytest.fixture
def camera() -> Camera:
    K = torch.tensor([[40.0, 0, 32], [0, 40.0, 24], [0, 0, 1]])
    return Camera(torch.eye(4), K, 64, 48)


@pytest.fixture
def segmentation(scene) -> Segmentation:
    """0: book with its picture, 1: picture, 2: cup, 3: box."""
    members = [torch.arange(0, 162), *(torch.tensor(list(part)) for part in (PICTURE, CUP, BOX))]
    return Segmentation.from_members(members, len(scene))


def rectangle(camera, left, top, right, bottom, **options) -> Rectangle:
    """A rectangle given in the world at depth 4."""
    return Rectangle(camera, 32 + 10 * left, 24 + 10 * top, 32 + 10 * right, 24 + 10 * bottom, **options)


def scribble(camera, *points, **options) -> Scribble:
    return Scribble(camera, tuple((32 + 10 * x, 24 + 10 * y) for x, y in points), **options)


def chosen(mask: torch.Tensor) -> set[int]:
    return set(mask.nonzero().flatten().tolist())


def test_visible_weight_is_the_transposed_product(scene, camera):
    pixels = torch.rand(48, 64, 2, generator=torch.Generator().manual_seed(0))
    expected = contributions(scene.at(0), camera).transpose_matmul(pixels.reshape(-1, 2))
    assert torch.allclose(visible_weight(scene.at(0), camera, pixels), expected, atol=1e-4)
    assert torch.allclose(visible_weight(scene.at(0), camera)[:, 0], contributions(scene.at(0), camera).column_sums())


def test_a_rectangle_selects_what_lies_mostly_inside(scene, camera, segmentation):
    whole = select_region(scene, segmentation, rectangle(camera, -2, -1, 0, 1))
    assert whole.objects == [0]
    assert chosen(whole.mask) == {*BOOK, *PICTURE}
    most = rectangle(camera, -2, -1, -0.8, 1)  # two thirds of the book
    assert select_region(scene, segmentation, most).objects == [0]
    assert 0 not in select_region(scene, segmentation, rectangle(camera, -2, -1, -0.8, 1, share=0.8)).objects
    both = select_region(scene, segmentation, rectangle(camera, 1.8, 1, -2, -1))  # edges in any order
    assert both.objects == [0, 2]


def test_a_rectangle_chooses_among_nested_objects_as_clicks_do(scene, camera, segmentation):
    around = (-2, -1, 0, 1)
    assert select_region(scene, segmentation, rectangle(camera, *around, granularity="coarse")).objects == [0]
    assert 1 in select_region(scene, segmentation, rectangle(camera, *around, granularity="fine")).objects
    inner = rectangle(camera, -1.35, -0.35, -0.65, 0.35)  # around the picture alone
    assert select_region(scene, segmentation, inner).objects == [1]
    assert chosen(select_region(scene, segmentation, inner).mask) == set(PICTURE)


def test_what_lies_behind_is_not_selected(scene, camera, segmentation):
    around = (-2, -1, 0, 1)
    weight = visible_weight(scene.at(0), camera)[list(BOX), 0]
    assert (weight > 0).any()  # it shines through
    assert not select_region(scene, segmentation, rectangle(camera, *around)).mask[list(BOX)].any()
    gaussians = select_region(scene, segmentation, rectangle(camera, *around, granularity="gaussians"))
    assert gaussians.objects == []
    edge = {i for i in BOOK if not (0 < i // 9 < 8 and 0 < i % 9 < 8)}  # the picture hides what is further in
    assert {*PICTURE, *edge} <= chosen(gaussians.mask) <= {*BOOK, *PICTURE}


def test_gaussians_mostly_inside_are_selected_themselves(scene, camera, segmentation):
    left = select_region(scene, segmentation, rectangle(camera, 0, -1, 1, 1, granularity="gaussians")).mask
    columns = left[list(CUP)].reshape(9, 9)
    assert columns[:, :4].all()
    assert not columns[:, 5:].any()
    assert not left[: CUP[0]].any()
    small = select_region(scene, segmentation, rectangle(camera, 0.8, -0.2, 1, 0.2))
    assert small.objects == []
    assert 0 < len(small) < 81
    assert "No object lies mostly inside the rectangle" in small.notes[0]


def test_without_objects_gaussians_are_selected(scene, camera):
    selection = select_region(scene, None, rectangle(camera, 0, -1, 2, 1))
    assert chosen(selection.mask) == set(CUP)
    assert selection.notes == ()


def test_a_scribble_is_as_many_clicks(scene, camera, segmentation):
    assert select_region(scene, segmentation, scribble(camera, (0.8, 0), (1.2, 0), radius=2)).objects == [2]
    both = select_region(scene, segmentation, scribble(camera, (-1.4, 0.4), (1.3, 0.3), radius=1))
    assert both.objects == [0, 2]
    graze = scribble(camera, (-1.5, 0.5), (-0.5, 0.5), (0.55, 0.3), radius=1)  # hardly reaches the cup
    assert select_region(scene, segmentation, graze).objects == [0]
    assert select_region(scene, segmentation, scribble(camera, (-1.1, 0), (-0.9, 0), granularity="fine")).objects == [1]
    assert select_region(scene, segmentation, scribble(camera, (-1.1, 0), (-0.9, 0))).objects == [0]


def test_a_point_is_one_pixel_and_means_what_a_click_means(scene, camera, segmentation):
    point = Scribble(camera, ((42.3, 24.6),), radius=0)
    assert point.pixels().nonzero().tolist() == [[24, 42]]
    clicked = select(scene, segmentation, [Prompt(camera, 42.3, 24.6)])
    selection = select_region(scene, segmentation, point)
    assert torch.equal(selection.mask, clicked.mask)
    assert selection.objects == clicked.objects == [2]


def test_a_scribble_takes_the_gaussians_that_it_touches(scene, camera, segmentation):
    line = scribble(camera, (0.6, 0), (1.4, 0), radius=1, granularity="gaussians")
    rows = select_region(scene, segmentation, line).mask[list(CUP)].reshape(9, 9)
    assert rows[4, 1:8].all()
    assert not rows[:2].any()
    assert not rows[7:].any()


def test_pixels_of_a_brush(camera):
    pixels = Scribble(camera, ((10, 10), (20, 10), (20, 30)), radius=2).pixels()
    assert pixels[9, 8:20].all()
    assert pixels[30, 19]
    assert pixels[20, 18:22].all()
    assert not pixels[20, :17].any()
    assert not pixels[13, 10]
    assert not pixels[33].any()
    outside = Scribble(camera, ((-50, -50), (-40, 30)), radius=3).pixels()
    assert not outside.any()


def test_every_pixel_of_a_large_region_is_near_a_sampled_one(scene, camera, segmentation):
    large = camera.resized(640, 480)
    selection = select_region(scene, segmentation, Rectangle(large, 0, 0, 640, 480))
    assert selection.objects == [0, 2]
    thin = select_region(scene, segmentation, Rectangle(large, 420, 0, 424, 480, "gaussians", 0.1))
    columns = thin.mask[list(CUP)].reshape(9, 9)
    assert columns[:, 4].all()
    assert len(thin) <= 18


def test_similarity_filters_what_is_selected(scene, camera, segmentation):
    scene.features[:] = torch.tensor([1.0, 0, 0, 0])
    scene.features[170] = torch.tensor([0.0, 1, 0, 0])
    segmentation = Segmentation.from_members(
        [segmentation.members(i) for i in range(4)], len(scene), features=scene.features
    )
    selection = select_region(scene, segmentation, rectangle(camera, 0, -1, 2, 1), similarity=0.5)
    assert chosen(selection.mask) == set(CUP) - {170}


def test_what_makes_no_sense_says_so(scene, camera, segmentation):
    nan = float("nan")
    for region, message in (
        (Rectangle(camera, 70, 10, 90, 20), "no pixel of the picture of 64 x 48"),
        (Rectangle(camera, 1, 1, 4, 4), "on nothing"),
        (Rectangle(camera, nan, 10, 90, 20), "no place"),
        (Rectangle(camera, 0, 0, 9, 9, share=0), "share 0"),
        (Rectangle(camera, 0, 0, 9, 9, granularity="rough"), "granularity 'rough'"),
        (Scribble(camera, ()), "no place"),
        (Scribble(camera, ((3, nan),)), "no place"),
        (Scribble(camera, ((3, 3),), radius=nan), "radius nan"),
        (Scribble(camera, ((200, 3),)), "no pixel"),
        (Rectangle(camera, 40, 22, 41, 23, granularity="gaussians", share=1), "selects nothing"),
    ):
        with pytest.raises(UserError, match=message):
            select_region(scene, segmentation, region)
