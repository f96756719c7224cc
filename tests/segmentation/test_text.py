from dataclasses import replace

import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.scene.camera import Camera
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import rgb_to_sh0
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.text import BoxEngine, CropEngine, FeatureEngine, load_engine, select_by_text, spread

COLORS = {
    "red book": (1.0, 0.0, 0.0),
    "picture": (1.0, 0.0, 1.0),
    "green cup": (0.0, 1.0, 0.0),
    "wall": (0.0, 0.0, 1.0),
}
OBJECTS = {"book": 0, "picture": 1, "cup": 2}  # by falling size; the wall is none


def plate(x: float, y: float, z: float, half: float) -> torch.Tensor:
    """A square of 9 x 9 points of a wall at depth z."""
    line = torch.linspace(-half, half, 9)
    xs, ys = torch.meshgrid(line + x, line + y, indexing="xy")
    return torch.stack([xs.flatten(), ys.flatten(), torch.full((81,), z)], dim=1)


class Shift(DeformationField):
    """Everything moves 0.6 to the right from time 0 to 1."""

    def forward(self, means, time):
        moved = torch.zeros_like(means)
        moved[:, 0] = 0.6 * float(time)
        return moved, means.new_zeros(len(means), 4), torch.zeros_like(means)


@pytest.fixture
def scene() -> DynamicGaussians:
    """A book with a picture on it, a cup, and a wall behind both, each of its own colour."""
    means = torch.cat([plate(-1, 0.3, 4, 0.6), plate(-1, 0.3, 3.9, 0.2), plate(0.8, 0.3, 4, 0.4), plate(0, 0, 6, 2.2)])
    colors = torch.tensor([c for c in COLORS.values() for _ in range(81)])
    n = len(means)
    scales = torch.full((n, 3), -2.6)
    scales[243:] = -1.6
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        scales,
        torch.full((n,), 4.0),
        rgb_to_sh0(colors),
        torch.zeros(n, 0, 3),
        torch.zeros(n, 0),
        Shift(depth=1, width=4),
    )


@pytest.fixture
def objects(scene) -> Segmentation:
    book, picture, cup = torch.arange(0, 162), torch.arange(81, 162), torch.arange(162, 242 + 1)
    return Segmentation.from_members([book, picture, cup], len(scene))


@pytest.fixture
def cameras() -> list[Camera]:
    """Six times, two places."""
    K = torch.tensor([[40.0, 0, 32], [0, 40.0, 24], [0, 0, 1]])
    views = []
    for index in range(6):
        viewmat = torch.eye(4)
        viewmat[0, 3] = -0.2 * (index % 2)
        views.append(Camera(viewmat, K, 64, 48, time=index / 5))
    return views


def of_color(picture: np.ndarray, *names: str) -> np.ndarray:
    """[H, W] bool, the pixels nearest to the colours of these things."""
    palette = 255 * np.array([*COLORS.values(), (0, 0, 0)])
    nearest = np.linalg.norm(picture[..., None, :] - palette, axis=-1).argmin(-1)
    return np.isin(nearest, [[*COLORS].index(name) for name in names])


THINGS = {"red book": ("red book", "picture"), "picture": ("picture",), "green cup": ("green cup",), "wall": ("wall",)}


class Eyes:
    """Finds a thing by its colour: boxes and masks are exact, but for the views, by number, where it errs.

    Args:
        errors: for views by their number the text that is taken for the one asked for, or None to find nothing.
    """

    def __init__(self, errors=()):
        self.errors = dict(errors)
        self.seen = []
        self.thing = None

    def detector(self, picture, text):
        assert picture.dtype == np.uint8
        thing = self.errors.get(len(self.seen), text)
        self.seen.append(picture)
        self.thing = thing
        mask = of_color(picture, *THINGS[thing]) if thing else np.zeros(picture.shape[:2], bool)
        ys, xs = mask.nonzero()
        if not len(ys):
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        return np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32), np.array([0.8])

    def segmenter(self, picture, boxes):
        masks = np.zeros((len(boxes), *picture.shape[:2]), bool)
        for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int)):
            window = slice(top, bottom), slice(left, right)
            mask[window] = of_color(picture, *THINGS[self.thing])[window]
        return masks

    def engine(self) -> BoxEngine:
        return BoxEngine(self.detector, self.segmenter)


def test_the_named_object_is_selected(scene, objects, cameras):
    for text, index in (("red book", 0), ("picture", 1), ("green cup", 2)):
        selection = select_by_text(scene, objects, cameras, text, engine=Eyes().engine())
        assert selection.objects == [index]
        assert torch.equal(selection.mask, objects.members(index))


def test_support_and_agreement_are_what_is_seen_inside_the_masks(scene, objects, cameras):
    measured = Eyes().engine().support(scene, objects, cameras, "red book")
    assert (measured.found, measured.views) == (6, 6)
    assert measured.support[0] > 0.9
    assert measured.support[1] > 0.99
    assert measured.support[2] < 0.01
    assert measured.agreement[0] > 0.8
    assert 0.05 < measured.agreement[1] < 0.3  # a ninth of the book's size
    assert measured.select(0.5).objects == measured.select(0.99).objects == [0]


def test_times_and_background_are_those_of_the_views(scene, objects, cameras):
    eyes = Eyes()
    eyes.engine().support(scene, objects, cameras[::2], "red book", background=torch.tensor([1.0, 1.0, 1.0]))
    left = [of_color(picture, "red book").nonzero()[1].min() for picture in eyes.seen]
    assert left[0] < left[1] < left[2]  # it moves to the right
    assert (eyes.seen[0][0, 0] > 200).all() or of_color(eyes.seen[0], "wall")[0, 0]
    alone = scene.subset(torch.arange(162))
    eyes.engine().support(alone, None, cameras[:1], "red book", background=torch.tensor([0.0, 1.0, 1.0]))
    assert eyes.seen[-1][0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    "errors",
    [
        {1: "green cup", 4: "wall"},
        {0: None, 2: None, 3: None, 5: None},
        {0: None, 1: None, 2: "green cup", 3: None},
        {5: "picture"},
    ],
    ids=["wrong", "silent", "both", "part"],
)
def test_a_detector_that_errs_in_some_views(scene, objects, cameras, errors):
    assert select_by_text(scene, objects, cameras, "red book", engine=Eyes(errors).engine()).objects == [0]


def test_a_view_that_errs_leaves_support_as_it_is(scene, objects, cameras):
    right = Eyes().engine().support(scene, objects, cameras, "red book")
    wrong = Eyes({1: "green cup"}).engine().support(scene, objects, cameras, "red book")
    torch.testing.assert_close(wrong.support, right.support, atol=0.03, rtol=0)


def test_a_single_false_alarm_is_not_enough(scene, objects, cameras):
    errors = {0: "green cup", **dict.fromkeys(range(1, 6))}
    with pytest.raises(UserError, match="no object has a support of 50%"):
        select_by_text(scene, objects, cameras, "red book", engine=Eyes(errors).engine())


def test_without_objects_single_gaussians_are_selected(scene, cameras):
    measured = Eyes({1: "green cup"}).engine().support(scene, None, cameras, "green cup")
    selection = measured.select()
    assert selection.objects == []
    assert selection.mask[162:243].float().mean() > 0.95
    assert not selection.mask[:162].any()
    assert measured.support.shape == (len(scene),)
    none = Segmentation.from_members([], len(scene))
    assert torch.equal(Eyes().engine().support(scene, none, cameras, "green cup").select().mask, selection.mask)


def test_nothing_found(scene, objects, cameras):
    with pytest.raises(UserError, match="'red book' was found in none of 6 views"):
        select_by_text(scene, objects, cameras, "red book", engine=Eyes(dict.fromkeys(range(6))).engine())
    cup = Segmentation.from_members([objects.members(2)], len(scene))
    with pytest.raises(UserError, match="on no object"):
        select_by_text(scene, cup, cameras, "red book", engine=Eyes().engine(), share=0.0)


def test_progress_is_told_and_may_stop_the_work(scene, objects, cameras):
    calls = []
    Eyes().engine().support(
        scene, objects, cameras, "red book", progress=lambda done, total: calls.append((done, total))
    )
    assert calls == [(i, 6) for i in range(1, 7)]

    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 2:
            raise Stop

    eyes = Eyes()
    with pytest.raises(Stop):
        eyes.engine().support(scene, objects, cameras, "red book", progress=stop)
    assert len(eyes.seen) == 2


class ColorScorer:
    """Scores pictures by how red they are, grey and what is left out apart."""

    def __init__(self):
        self.pictures = []

    def __call__(self, pictures, text):
        self.pictures += list(pictures)
        wanted = [*COLORS].index(text)
        shares = [of_color(p, [*COLORS][wanted])[~(p == 128).all(-1)].mean() for p in pictures]
        return np.array([0.4 + 0.3 * share for share in shares], np.float32)


def test_crops_of_objects_are_compared(scene, objects, cameras):
    large = [camera.scaled(2) for camera in cameras]
    for text, index in (("red book", 0), ("picture", 1), ("green cup", 2)):
        scorer = ColorScorer()
        measured = CropEngine(scorer).support(scene, objects, large, text)
        assert measured.select().objects == [index]
        assert measured.support[index] == 1
        assert len(scorer.pictures) == 2 * 3 * 3  # two of each object in three views


def test_objects_too_small_for_crops_are_not_compared(scene, objects, cameras):
    scorer = ColorScorer()
    measured = CropEngine(scorer).support(scene, objects, cameras, "picture")
    assert len(scorer.pictures) == 2 * 2 * 3
    assert measured.support[1] == 0


def test_crops_show_the_object_with_its_surroundings_and_alone(scene, objects, cameras):
    scorer = ColorScorer()
    CropEngine(scorer).support(scene, objects, cameras[:1], "green cup")
    around, alone = scorer.pictures[-2:]
    assert around.shape == alone.shape
    assert of_color(around, "wall").any()
    assert not of_color(alone, "wall").any()
    assert (alone == 128).all(-1).any()
    assert of_color(alone, "green cup").mean() > 0.4


def test_nothing_like_the_text(scene, objects, cameras):
    engine = CropEngine(lambda pictures, text: np.full(len(pictures), 0.5, np.float32))
    with pytest.raises(UserError, match="none of 6 views"):
        select_by_text(scene, objects, cameras, "zebra", engine=engine)


def test_crops_need_objects(scene, cameras):
    with pytest.raises(UserError, match="compares objects"):
        CropEngine(ColorScorer()).support(scene, None, cameras, "red book")


def test_views_are_spread_over_time(cameras):
    assert [camera.time for camera in spread(cameras[::-1], 3)] == [0.0, 0.4, 1.0]
    assert len(spread(cameras, 100)) == 6
    assert len(spread(cameras, 1)) == 1


@pytest.mark.parametrize("text", ["", "  ", "...", "a" * 10_000])
def test_bad_texts(scene, objects, cameras, text):
    with pytest.raises(UserError, match="text") as caught:
        select_by_text(scene, objects, cameras, text)
    assert len(str(caught.value)) < 200


def test_bad_options(scene, objects, cameras):
    eyes = Eyes().engine()
    for options, message in (
        ({"engine": "yolo"}, "engine 'yolo'"),
        ({"views": 0, "engine": eyes}, "number of views"),
        ({"share": float("nan"), "engine": eyes}, "share of support"),
    ):
        with pytest.raises(UserError, match=message):
            select_by_text(scene, objects, cameras, "red book", **options)
    with pytest.raises(UserError, match="at least one view"):
        select_by_text(scene, objects, [], "red book", engine=eyes)
    with pytest.raises(UserError, match="engine 'x'"):
        load_engine("x")


# Directions of what things are called, and of two words that any thing is called by.
WORDS = {"red book": (1, 0, 0, 0), "green cup": (0, 1, 0, 0), "wall": (0, 0, 1, 0)}


def encode(text):
    return torch.tensor([WORDS[text], (0.5, 0.5, 0.5, 0.5), (0, 0, 0, 1.0)])


@pytest.fixture
def named(scene):
    """The scene with features that say what things are; the picture is a book, too, but less so."""
    book, picture, cup, wall = ((1, 0, 0, 0.1), (0.9, 0, 0, 0.5), (0, 1, 0, 0.1), (0, 0, 1, 0.1))
    features = torch.tensor([f for f in (book, picture, cup, wall) for _ in range(81)])
    features[:3] = 0  # no view has shown them
    return replace(scene, features=features)


def test_features_select_what_words_name(named, objects, cameras):
    engine = FeatureEngine(encode, FeatureSpace(4))
    for text, index in (("red book", 0), ("green cup", 2)):
        assert select_by_text(named, objects, cameras, text, engine=engine).objects[0] == index
    support = engine.support(named, objects, cameras, "red book")
    assert support.support[0] == 1
    assert 0.5 < support.support[1] < 1
    assert support.support[2] == 0


def test_features_select_gaussians_where_there_are_no_objects(named, cameras):
    engine = FeatureEngine(encode, FeatureSpace(4))
    mask = select_by_text(named, None, cameras, "wall", engine=engine).mask
    assert torch.equal(mask, torch.arange(len(named)) >= 243)
    mask = select_by_text(named, None, cameras, "red book", engine=engine, share=0.99).mask
    assert torch.equal(mask.nonzero()[:, 0], torch.arange(3, 81))


def test_relevancy_of_features_is_worked_out_by_hand(named, cameras):
    """Softmax of ten times two cosines, the least over the contrasts; 0.5 counts as nothing, the best as one."""
    found = FeatureEngine(encode, FeatureSpace(4)).support(named, None, cameras, "red book").support

    def excess(feature):
        feature = np.array(feature) / np.linalg.norm(feature)
        query, *others = encode("red book").double().numpy()
        ratios = [1 / (1 + np.exp(10 * (feature @ (c / np.linalg.norm(c)) - feature @ query))) for c in others]
        return min(ratios) - 0.5

    expected = excess((0.9, 0, 0, 0.5)) / excess((1, 0, 0, 0.1))
    assert abs(float(found[100]) - expected) < 1e-5
    assert float(found[50]) == 1


def test_reduced_features_select_the_same(named, cameras):
    turned = torch.linalg.qr(torch.randn(7, 4, generator=torch.Generator().manual_seed(0)))[0]  # 4 of 7 numbers
    engine = FeatureEngine(lambda text: encode(text) @ turned.T, FeatureSpace(7, turned.T))
    whole = FeatureEngine(encode, FeatureSpace(4)).support(named, None, cameras, "red book").support
    torch.testing.assert_close(engine.support(named, None, cameras, "red book").support, whole, atol=1e-4, rtol=0)


def test_words_that_fit_nothing(named, objects, cameras):
    engine = FeatureEngine(lambda text: encode("wall")[[2, 0, 1]], FeatureSpace(4))
    with pytest.raises(UserError, match="try other words"):
        select_by_text(named, objects, cameras, "wall", engine=engine)


def test_features_that_know_no_words(named, cameras, tiny_networks):
    from trase_ns.learning.feature_extractors import load_extractor

    for space, message in (
        (None, "made of CLIP's maps: make features of CLIP's maps first"),
        (FeatureSpace(4, source={"extractor": "Vgg16Dense"}), "made of Vgg16Dense, which knows no words"),
        (FeatureSpace(4, source={"extractor": "ClipDense", "network": "x"}), "made with other weights of CLIP"),
    ):
        with pytest.raises(UserError, match=message):
            load_engine("features", tiny_networks["clip"], space=space)
    engine = load_engine("features", tiny_networks["clip"], space=FeatureSpace(4))
    with pytest.raises(UserError, match="do not go with this network"):
        engine.support(named, None, cameras, "red book")
    source = load_extractor("clip", tiny_networks["clip"]).key
    engine = load_engine("features", tiny_networks["clip"], space=FeatureSpace(16, source=source))
    features = torch.randn(len(named), 16, generator=torch.Generator().manual_seed(0))
    support = engine.support(replace(named, features=features), None, cameras, "red book").support
    assert 0 < (support > 0).float().mean() < 1
