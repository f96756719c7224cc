import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.clicks import Prompt, render_selection, select
from trase_ns.segmentation.objects import Segmentation


def plate(x: float, y: float, z: float, half: float) -> torch.Tensor:
    """A square of 9 x 9 points of a wall at depth z."""
    line = torch.linspace(-half, half, 9)
    xs, ys = torch.meshgrid(line + x, line + y, indexing="xy")
    return torch.stack([xs.flatten(), ys.flatten(), torch.full((81,), z)], dim=1)


class Shift(DeformationField):
    """Everything moves 1 to the right from time 0 to 1."""

    def forward(self, means, time):
        moved = torch.zeros_like(means)
        moved[:, 0] = float(time)
        return moved, means.new_zeros(len(means), 4), torch.zeros_like(means)


@pytest.fixture
def scene() -> DynamicGaussians:
    """A book at the left (0-161: a cover and the picture on it), a cup at the right (162-242) and a wall far behind
    it (243-323); nothing in the upper half."""
    means = torch.cat([plate(-1, 0.5, 4, 0.6), plate(-1, 0.5, 3.9, 0.2), plate(1, 0.5, 4, 0.3), plate(2, 0.75, 6, 1)])
    n = len(means)
    features = torch.zeros(n, 4)
    for i in range(4):
        features[81 * i : 81 * (i + 1), i] = 2
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), -2.6),
        torch.full((n,), 4.0),
        torch.zeros(n, 3),
        torch.zeros(n, 0, 3),
        features,
        Shift(depth=1, width=4),
    )


@pytest.fixture
def camera() -> Camera:
    K = torch.tensor([[40.0, 0, 32], [0, 40.0, 24], [0, 0, 1]])
    return Camera(torch.eye(4), K, 64, 48, time=0.0)


def objects(scene, support=(0.9, 0.9, 0.9)) -> Segmentation:
    """0: book with its picture, 1: the picture, 2: the cup; the wall is none."""
    book, picture, cup = torch.arange(0, 162), torch.arange(81, 162), torch.arange(162, 242)
    return Segmentation.from_members(
        [book, picture, cup], len(scene), support=torch.tensor(support), features=scene.features
    )


def at(camera: Camera, x: float, y: float, z: float = 4, **options) -> Prompt:
    """A click on a point of the world."""
    return Prompt(camera, 32 + 40 * x / z, 24 + 40 * y / z, **options)


def test_a_click_selects_the_object_under_it(scene, camera):
    selection = select(scene, objects(scene), [at(camera, 1, 0.5)])
    assert selection.objects == [2]
    assert selection.mask.nonzero().flatten().tolist() == list(range(162, 242))
    assert len(selection) == 80
    assert selection.notes == ()


def test_what_is_seen_counts_not_what_lies_behind(scene, camera):
    wall = Segmentation.from_members([torch.arange(243, 324), torch.arange(162, 243)], len(scene))
    click = at(camera, 1.2, 0.5)  # the cup; the ray meets the wall behind it
    assert select(scene, wall, [click]).mask[162]
    assert not select(scene, wall, [click]).mask[243]


def test_the_click_is_at_the_time_of_its_camera(scene, camera):
    later = camera.at(1.0)
    assert select(scene, objects(scene), [at(later, 2, 0.5)]).objects == [2]
    with pytest.raises(UserError, match="on nothing"):
        select(scene, objects(scene), [at(later, -1.2, 0.5)])


def test_each_time_is_evaluated_once_and_clicks_keep_their_order(scene, camera):
    times = []

    def kept(time):
        times.append(time)
        return scene.at(time)

    prompts = [
        at(camera.at(1.0), 2, 0.5),
        at(camera, -1, 0.5),
        at(camera.at(0.5), -0.5, 0.5),
        at(camera.at(1.0), 0, 0.5),
    ]
    selection = select(scene, objects(scene), prompts, at=kept)
    assert sorted(times) == [0.0, 0.5, 1.0]
    assert selection.objects == [2, 0]


def test_of_nested_objects_granularity_chooses(scene, camera):
    segmentation = objects(scene)

    def chosen(granularity):
        return select(scene, segmentation, [at(camera, -1, 0.5, granularity=granularity)]).objects

    assert chosen("coarse") == [0]
    assert chosen("fine") == [1]
    assert chosen(None) == [0]


def test_an_object_that_masks_hardly_show_is_not_the_natural_one(scene, camera):
    segmentation = objects(scene, support=(0.6, 0.9, 0.9))
    assert select(scene, segmentation, [at(camera, -1, 0.5)]).objects == [1]
    assert select(scene, segmentation, [at(camera, -1, 0.5, granularity="coarse")]).objects == [0]
    rare = objects(scene, support=(0.3, 0.9, 0.9))
    assert select(scene, rare, [at(camera, -1, 0.5, granularity="coarse")]).objects == [1]
    assert select(scene, segmentation, [at(camera, -1.5, 0.5)]).objects == [0]  # beside the picture


def test_clicks_add_up(scene, camera):
    both = select(scene, objects(scene), [at(camera, -1, 0.5), at(camera, 1, 0.5), at(camera, 1.1, 0.5)])
    assert both.objects == [0, 2]
    assert len(both) == 162 + 80


@pytest.mark.parametrize("first", [True, False])
def test_negative_clicks_take_objects_away_in_any_order(scene, camera, first):
    prompts = [at(camera, 1, 0.5), at(camera, -1.5, 0.5), at(camera, 1.1, 0.5, positive=False)]
    selection = select(scene, objects(scene), prompts[::-1] if first else prompts)
    assert selection.objects in ([0, 2], [2, 0])
    assert selection.mask.nonzero().flatten().tolist() == list(range(162))


def test_a_negative_click_on_a_part_takes_the_part_away(scene, camera):
    prompts = [at(camera, -1.5, 0.5), at(camera, -1, 0.5, positive=False)]
    selection = select(scene, objects(scene), prompts)
    assert selection.mask.nonzero().flatten().tolist() == list(range(81))


def test_a_negative_click_beside_a_part_makes_the_positive_one_mean_the_part(scene, camera):
    prompts = [at(camera, -1, 0.5), at(camera, -1.5, 0.5, positive=False)]
    selection = select(scene, objects(scene), prompts)
    assert selection.objects == [1]


def test_excluding_everything_is_an_error(scene, camera):
    prompts = [at(camera, 1, 0.5), at(camera, 1.1, 0.5, positive=False)]
    with pytest.raises(UserError, match="nothing is left"):
        select(scene, objects(scene), prompts)


def test_similarity_filters_by_the_mean_feature(scene, camera):
    scene.features[170] = torch.tensor([0.0, 1, 0.2, 0])
    scene.features[171] = -scene.features[172]
    click = at(camera, 1, 0.5)
    assert len(select(scene, objects(scene), [click], similarity=0)) == 80
    selection = select(scene, objects(scene), [click], similarity=0.5)
    assert len(selection) == 78
    assert not selection.mask[[170, 171]].any()
    untrained = Segmentation.from_members([torch.arange(162, 243)], len(scene))
    with pytest.raises(UserError, match="similarity"):
        select(scene, untrained, [click], similarity=0.5)


def test_where_no_object_is_features_stand_in(scene, camera):
    wall = at(camera, 2.7, 0.75, z=6)
    for segmentation in (objects(scene), None, Segmentation.from_members([], len(scene))):
        selection = select(scene, segmentation, [wall])
        assert selection.objects == []
        assert selection.mask.nonzero().flatten().tolist() == list(range(243, 324))
        assert "click 1 is on no object" in selection.notes[0]


def test_without_features_a_click_on_no_object_says_so(scene, camera):
    scene.features.zero_()
    segmentation = Segmentation.from_members([torch.arange(162)], len(scene))
    with pytest.raises(UserError, match="click 1 is on no object"):
        select(scene, segmentation, [at(camera, 1, 0.5)])
    partly = select(scene, segmentation, [at(camera, -1, 0.5), at(camera, 1, 0.5)])
    assert partly.objects == [0]
    assert "click 2" in partly.notes[0]


def test_a_click_on_nothing_says_so(scene, camera):
    with pytest.raises(UserError, match="click 1 is on nothing"):
        select(scene, objects(scene), [Prompt(camera, 5, 3)])


@pytest.mark.parametrize(("x", "y"), [(-0.1, 5), (64, 5), (5, 48), (5, -1), (float("nan"), 5), (5, float("inf"))])
def test_a_click_outside_the_picture_is_named(scene, camera, x, y):
    with pytest.raises(UserError, match="click 2 .*outside the picture of 64 x 48"):
        select(scene, objects(scene), [at(camera, 1, 0.5), Prompt(camera, x, y)])


def test_wrong_prompts_are_explained(scene, camera):
    with pytest.raises(UserError, match="no positive click"):
        select(scene, objects(scene), [])
    with pytest.raises(UserError, match="no positive click"):
        select(scene, objects(scene), [at(camera, 1, 0.5, positive=False)])
    with pytest.raises(UserError, match="granularity 'tiny'"):
        select(scene, objects(scene), [at(camera, 1, 0.5, granularity="tiny")])


def test_the_selection_is_rendered_with_what_hides_it(scene, camera):
    mask = torch.zeros(len(scene), dtype=torch.bool)
    mask[243:] = True  # the wall, half behind the cup
    seen, alone = render_selection(scene, mask, camera), render_selection(scene, mask, camera, alone=True)
    behind = 24 + 5, 32 + 10  # row and column of the cup's middle
    assert seen[behind] < 0.1
    assert alone[behind] > 0.5
    free = 24 + 5, 32 + 40 * 2.7 / 6
    assert seen[int(free[0]), int(free[1])] > 0.5
    assert float(seen.max()) <= 1.0
    later = render_selection(scene, mask, camera.at(1.0))
    assert not torch.allclose(seen, later)


def test_clicks_start_from_a_selection_made_otherwise(scene, camera):
    ground = torch.zeros(len(scene), dtype=torch.bool)
    ground[:200] = True
    before = ground.clone()
    segmentation = objects(scene)
    added = select(scene, segmentation, [at(camera, 1, 0.5)], ground=ground)
    assert added.mask.nonzero().flatten().tolist() == list(range(242))
    assert added.objects == [2]
    taken = select(scene, segmentation, [at(camera, 1, 0.5, positive=False)], ground=ground)
    assert taken.mask.nonzero().flatten().tolist() == list(range(162))
    assert taken.objects == []
    assert torch.equal(select(scene, segmentation, [], ground=ground).mask, ground)
    assert torch.equal(ground, before)
    with pytest.raises(UserError, match="nothing is left"):
        select(scene, segmentation, [at(camera, 1, 0.5, positive=False)], ground=segmentation.members(2))
    with pytest.raises(UserError, match="no positive click"):
        select(scene, segmentation, [at(camera, 1, 0.5, positive=False)])
    with pytest.raises(ValueError, match="ground"):
        select(scene, segmentation, [], ground=ground[:5])
