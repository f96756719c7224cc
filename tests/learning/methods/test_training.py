"""Each method must tell two balls from each other that were never told apart by their places alone."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.errors import UserError
from trase_ns.learning.features import FeatureStageConfig
from trase_ns.learning.granularity import LEVELS, nearest_candidates
from trase_ns.learning.methods.cgc import CgcObjective
from trase_ns.learning.methods.click import ClickObjective
from trase_ns.learning.methods.distilled import DistillationObjective
from trase_ns.learning.methods.options import CgcOptions, ClickOptions, DgdOptions
from trase_ns.learning.methods.training import train_features
from trase_ns.learning.methods.trase import TraseObjective, carry, following_cameras
from trase_ns.learning.methods.uplifted import uplifted_maps, uplifted_masks
from trase_ns.learning.pixels import PixelSample, sample_pixels
from trase_ns.learning.uplift import uplift_masks


def cosines(features, is_red):
    """Least cosine of a feature with the mean of its own ball, and largest with that of the other."""
    directions = normalize(features, dim=1)
    means = normalize(torch.stack([directions[is_red].mean(0), directions[~is_red].mean(0)]), dim=1)
    own = torch.where(is_red, 0, 1)
    table = directions @ means.T
    return float(table.gather(1, own[:, None]).quantile(0.05)), float(table.gather(1, 1 - own[:, None]).quantile(0.95))


def apart(features, is_red, margin=0.3):
    own, other = cosines(features, is_red)
    assert own > other + margin, (own, other)


def trase(scene, following=None, **config):
    config = FeatureStageConfig(**{"pixels": 300, "neighbours": None, **config})
    objective = TraseObjective(scene, config, following)
    objective.learning_rate = 0.05
    return objective


@pytest.mark.parametrize("mining", ["soft", "hard", "none"])
def test_trase(scene, views, is_red, mining):
    apart(train_features(trase(scene, mining=mining), views, 40), is_red)


def test_multi_frame_supervision_learns_where_the_masks_were_carried_to(scene, views, is_red):
    after = views[1].camera
    objective = trase(scene, [after])
    features = torch.randn(len(scene), 32, generator=torch.Generator().manual_seed(1))
    terms = objective.loss(features, views[0], 0, torch.Generator().manual_seed(7))
    stage, camera, masks = objective.stage, views[0].camera, views[0].masks
    sample = sample_pixels(masks, camera.width, camera.height, 300, None, torch.Generator().manual_seed(7))
    pixels, inside = carry(stage.weights, sample.pixels, camera, after)
    later = PixelSample(pixels[inside], sample.mask_vectors[inside], sample.mask_sizes, sample.paired[inside])
    smooth = stage.neighbours.mean(features)
    expected = [stage.terms(smooth, camera, sample), stage.terms(smooth, after, later)]
    assert expected[0]["positive"] != expected[1]["positive"]
    for name in terms:
        torch.testing.assert_close(terms[name], (expected[0][name] + expected[1][name]) / 2)
    cameras = following_cameras([view.camera for view in views])
    apart(train_features(trase(scene, cameras), views, 40), is_red)


def test_carried_pixels_follow_the_ball(scene, views):
    first, last = views[0], views[-1]
    red = torch.from_numpy(first.masks.mask(0)).nonzero().flip(1)
    weights = trase(scene).stage.weights
    pixels, inside = carry(weights, red, first.camera, last.camera)
    assert inside.float().mean() > 0.9
    there = last.masks.mask(0)
    hit = torch.from_numpy(there)[pixels[inside, 1], pixels[inside, 0]]
    assert hit.float().mean() > 0.9
    assert not there[first.masks.mask(0)].any()  # it has left its place
    nothing = torch.tensor([[48, 4]])
    assert not carry(weights, nothing, first.camera, last.camera)[1].any()
    beside = replace(last.camera, K=last.camera.K + torch.tensor([[0.0, 0, 500], [0, 0, 0], [0, 0, 0]]))
    assert not carry(weights, red, first.camera, beside)[1].any()


def test_the_camera_of_the_next_moment_is_the_nearest(camera):
    def moved(x, time):
        viewmat = camera.viewmat.clone()
        viewmat[0, 3] = x
        return replace(camera, viewmat=viewmat, time=time)

    cameras = [moved(0, 0.0), moved(3, 0.0), moved(0.1, 0.5), moved(2.9, 0.5), moved(0, 1.0)]
    following = following_cameras(cameras)
    assert all(a is b for a, b in zip(following, [*cameras[2:], cameras[4], None]))


def test_cgc(scene, views, is_red):
    options = CgcOptions(smallest_segment=10, learning_rate=0.05)
    apart(train_features(CgcObjective(scene, options), views, 60), is_red)


def test_cgc_leaves_out_small_segments(scene, views):
    objective = CgcObjective(scene, CgcOptions(smallest_segment=100_000, spatial_every=2))
    features = objective.start(torch.Generator())
    terms = objective.loss(features, views[0], 0, torch.Generator())
    assert terms["prototypes"] == 0
    assert terms["spatial"] > 0
    assert set(objective.loss(features, views[0], 1, torch.Generator())) == {"prototypes"}


def test_cgc_spares_the_small_segments_of_small_pictures(scene, views):
    pixels = views[0].camera.width * views[0].camera.height
    assert pixels < 100_000

    def contrast(**options):
        objective = CgcObjective(scene, CgcOptions(spatial_every=2, **options))
        features = objective.start(torch.Generator().manual_seed(0))
        return float(objective.loss(features, views[0], 1, torch.Generator().manual_seed(0))["prototypes"])

    assert contrast() == contrast(smallest_segment=pixels // 1000)
    assert contrast() != contrast(smallest_segment=100_000)


def test_cgc_scales_a_sample_up_to_the_frame(scene, views):
    every, some = (CgcObjective(scene, CgcOptions(smallest_segment=200, pixels=count)) for count in (None, 2000))
    features = every.start(torch.Generator().manual_seed(0))
    whole, part = (
        float(objective.loss(features, views[0], 1, torch.Generator())["prototypes"]) for objective in (every, some)
    )
    assert whole > 0
    assert part == pytest.approx(whole, rel=0.3)


def test_click_gaussian_and_its_candidates(scene, views, is_red):
    options = ClickOptions(steps=60, refresh_every=10, pixels=400)
    objective = ClickObjective(scene, views, options)
    features = train_features(objective, views, options.steps)
    apart(features, is_red)
    candidates = objective.candidates(features)
    nearest = nearest_candidates(features, candidates)
    for level in LEVELS:
        assert len(candidates[level]) == 2, level
        assert (nearest[level] == nearest[level][0]).tolist() == is_red.tolist()


def test_guidance_begins_when_it_should(scene, views):
    objective = ClickObjective(scene, views, ClickOptions(steps=30, guidance_from=0.5, pixels=100))
    features = train_features(objective, views, 15)
    generator = torch.Generator().manual_seed(0)
    assert "guidance" not in objective.loss(features, views[0], 14, generator)
    assert "guidance" in objective.loss(features, views[0], 15, generator)


def test_distillation_restores_what_the_maps_show(scene, views, maps, is_red):
    options = DgdOptions(learning_rate=0.03, pixels=500)
    features = train_features(DistillationObjective(scene, maps.__getitem__, 3, options), views, 200)
    apart(features, is_red, margin=0.2)
    seen = features[is_red].mean(0)
    assert seen[0] > 1.5
    assert seen[1] < 0.5


def test_uplifted_maps(scene, views, maps, is_red):
    features = uplifted_maps(scene, views, maps.__getitem__)
    assert features.shape == (len(scene), 3)
    apart(features, is_red)


def test_uplifted_masks(scene, views, is_red):
    weights = uplift_masks(scene, [(view.camera, view.masks) for view in views])
    features = uplifted_masks(weights, 64)
    assert features.shape == (len(scene), 64)
    apart(features, is_red)
    assert torch.equal(features, uplifted_masks(weights, 64))
    assert not torch.equal(features, uplifted_masks(weights, 64, seed=1))


def test_the_seed_decides(scene, views):
    first, again, other = (train_features(trase(scene), views, 3, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_features_without_bounds_are_reported(scene, views):
    objective = trase(scene)
    objective.start = lambda generator: torch.full((len(scene), 32), torch.nan)
    with pytest.raises(UserError, match="without bounds"):
        train_features(objective, views, 1)
