from dataclasses import replace

import pytest
import torch

from trase_ns.editing.style import StyleConfig, StyleTransfer, nnfm
from trase_ns.editing.style_views import view_selection
from trase_ns.errors import UserError
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians


class Slide(Field):
    """Moves everything along x by the time."""

    def move(self, means, quats, log_scales, motion, time):
        return means + torch.tensor([time, 0.0, 0.0]), quats, log_scales


def blob(generator, count, centre, color, bands=3):
    return DynamicGaussians(
        means=torch.tensor(centre) + 0.25 * torch.randn(count, 3, generator=generator),
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.full((count, 3), -2.5),
        logit_opacities=torch.full((count,), 2.0),
        sh0=torch.tensor(color) + 0.2 * torch.randn(count, 3, generator=generator),
        sh_rest=0.05 * torch.randn(count, bands, 3, generator=generator),
        features=torch.zeros(count, 2),
    )


@pytest.fixture
def scene():
    """A reddish thing (0 ... 99) and a bluish one (100 ... 199) beside it, sliding to the right."""
    generator = torch.Generator().manual_seed(0)
    parts = (
        blob(generator, 100, [-0.7, 0.0, 0.0], [1.0, -0.5, -0.5]),
        blob(generator, 100, [0.5, 0.0, 0.0], [-0.5, -0.5, 1.0]),
    )
    values = {name: torch.cat([part._tensors()[name] for part in parts]) for name in parts[0]._tensors()}
    return DynamicGaussians(**values, field=Slide())


@pytest.fixture
def mask():
    return torch.arange(200) < 100


@pytest.fixture
def cameras():
    viewmat = torch.eye(4)
    viewmat[2, 3] = 3.0
    K = torch.tensor([[60.0, 0.0, 32.0], [0.0, 60.0, 24.0], [0.0, 0.0, 1.0]])
    return [Camera(viewmat, K, 64, 48, time) for time in (0.0, 0.3, 0.6)]


@pytest.fixture
def picture():
    """Green stripes."""
    stripes = (torch.arange(64) // 4 % 2).float()[:, None].expand(64, 64)
    return torch.stack([0.1 * stripes, 0.2 + 0.7 * stripes, 0.3 * stripes], dim=2)


@pytest.fixture
def config(small_vgg):
    return StyleConfig(steps=12, layer="conv2_1", longest=64, picture_longest=64, vgg_weights=small_vgg)


def sh_of(scene):
    return torch.cat([scene.sh0[:, None], scene.sh_rest], dim=1)


def with_sh(scene, mask, sh):
    sh0, sh_rest = scene.sh0.clone(), scene.sh_rest.clone()
    sh0[mask], sh_rest[mask] = sh[:, 0], sh[:, 1:]
    return replace(scene, sh0=sh0, sh_rest=sh_rest)


def test_nnfm_is_equation_1_of_arf():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1030, 8, generator=generator, dtype=torch.float64)
    style = torch.randn(20, 8, generator=generator, dtype=torch.float64)
    shares = torch.rand(1030, generator=generator, dtype=torch.float64)
    total = 0.0
    for i in range(len(features)):
        distances = []
        for j in range(len(style)):
            a, b = features[i], style[j]
            distances.append(1 - float((a * b).sum() / ((a * a).sum().sqrt() * (b * b).sum().sqrt())))
        total += float(shares[i]) * min(distances)
    assert float(nnfm(features, style, shares)) == pytest.approx(total / float(shares.sum()), rel=1e-9)


def test_nnfm_is_zero_for_features_of_the_style_and_has_the_right_gradient():
    generator = torch.Generator().manual_seed(0)
    style = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    assert float(nnfm(3 * style[[4, 9]], style, torch.ones(2))) == pytest.approx(0, abs=1e-12)
    features = torch.randn(6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    shares = torch.rand(6, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: nnfm(x, style, shares), features)


def test_a_view_shows_what_is_rendered(scene, mask, cameras):
    view = view_selection(scene, mask, cameras[1], 64, 4)
    picture = view.picture(sh_of(scene)[mask])
    torch.testing.assert_close(picture.flatten(0, 1), view.before, atol=1e-5, rtol=0)
    assert view.weights.shape == (view.shape[0] * view.shape[1], 100)


def test_only_the_selection_changes_and_takes_the_colors(scene, mask, cameras, picture, config):
    before = {name: tensor.clone() for name, tensor in scene._tensors().items()}
    sh = StyleTransfer(scene, mask, picture, cameras, config).run()
    assert sh.shape == (100, 4, 3)
    assert sh.dtype == torch.float32
    assert not sh.requires_grad
    assert sh.isfinite().all()
    for name, tensor in scene._tensors().items():
        assert torch.equal(tensor, before[name])
    edited = with_sh(scene, mask, sh)
    assert torch.equal(sh_of(edited)[~mask], sh_of(scene)[~mask])
    seen = render_view(edited.subset(mask).at(0.3), cameras[1])
    color = seen.color[seen.alpha[..., 0] > 0.9].mean(0)
    torch.testing.assert_close(color, picture.mean((0, 1)), atol=0.12, rtol=0)


def test_own_colors_stay(scene, mask, cameras, picture, config):
    sh = StyleTransfer(scene, mask, picture, cameras, replace(config, colors="own")).run()
    assert not torch.equal(sh, sh_of(scene)[mask])
    old, new = (render_view(s.subset(mask).at(0.3), cameras[1]) for s in (scene, with_sh(scene, mask, sh)))
    solid = old.alpha[..., 0] > 0.9
    torch.testing.assert_close(new.color[solid].mean(0), old.color[solid].mean(0), atol=0.05, rtol=0)


def test_loss_falls_and_progress_is_told(scene, mask, cameras, picture, config):
    told = []
    config = replace(config, steps=45, learning_rate=0.1)
    StyleTransfer(scene, mask, picture, cameras, config).run(lambda *args: told.append(args))
    assert [done for done, _, _ in told] == list(range(1, 46))
    assert {total for _, total, _ in told} == {45}
    losses = [loss for _, _, loss in told]
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])  # each three steps see each camera once


def test_the_same_seed_gives_the_same(scene, mask, cameras, picture, config):
    first, second, other = (
        StyleTransfer(scene, mask, picture, cameras, replace(config, seed=seed)).run() for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_cancelled_in_the_middle_gives_none(scene, mask, cameras, picture, config):
    done = []
    transfer = StyleTransfer(scene, mask, picture, cameras, config)
    assert transfer.run(lambda step, *_: done.append(step), lambda: len(done) == 5) is None
    assert done == [1, 2, 3, 4, 5]
    assert transfer.run(lambda step, *_: done.append(step), lambda: True) is None
    assert len(done) == 5
    assert transfer.run() is not None


def test_the_last_preview_is_the_result(scene, mask, cameras, picture, config):
    shown = []
    sh = StyleTransfer(scene, mask, picture, cameras, config).run(preview=shown.append, preview_every=4)
    assert len(shown) == 3
    assert torch.equal(shown[-1], sh)
    assert not torch.equal(shown[0], sh)


def test_works_where_gradients_are_off(scene, mask, cameras, picture, config):
    with torch.no_grad():
        quiet = StyleTransfer(scene, mask, picture, cameras, config).run()
    assert torch.equal(quiet, StyleTransfer(scene, mask, picture, cameras, config).run())


def test_colors_of_degree_0_alone(scene, mask, cameras, picture, config):
    flat = replace(scene, sh_rest=scene.sh_rest[:, :0])
    assert StyleTransfer(flat, mask, picture, cameras, config).run().shape == (100, 1, 3)


def test_what_others_look_like_through_the_fringe_stays(scene, mask, cameras, picture, config):
    def change_in_fringe(weight):
        sh = StyleTransfer(
            scene, mask, picture, cameras, replace(config, steps=30, spill_weight=weight, content_weight=0.0)
        ).run()
        view = view_selection(scene, mask, cameras[0], 64, 4)
        return float(view.spill(view.picture(sh)))

    assert change_in_fringe(100.0) < change_in_fringe(0.0)


def test_fewer_views_where_memory_is_short(scene, mask, cameras, picture, config):
    transfer = StyleTransfer(scene, mask, picture, cameras, config)
    assert len(transfer._views(lambda: False)) == 3
    transfer.config = replace(config, memory_gb=1e-9)
    assert len(transfer._views(lambda: False)) == 1


def test_hidden_and_unseen_selections(scene, mask, cameras, picture, config):
    away = [replace(camera, viewmat=camera.viewmat @ torch.diag(torch.tensor([-1.0, 1, -1, 1]))) for camera in cameras]
    away = [replace(camera, viewmat=camera.viewmat - 6 * (torch.arange(16).reshape(4, 4) == 11)) for camera in away]
    with pytest.raises(UserError, match="no camera sees enough of the selection"):
        StyleTransfer(scene, mask, picture, away, config).run()
    hidden = replace(scene, logit_opacities=torch.where(mask, -torch.inf, scene.logit_opacities))
    with pytest.raises(UserError, match="no camera sees enough of the selection"):
        StyleTransfer(hidden, mask, picture, cameras, config).run()


def test_a_camera_is_passed_over_that_does_not_see_it(scene, mask, cameras, picture, config):
    viewmat = cameras[0].viewmat.clone()
    viewmat[0, 3] = 100.0
    cameras.insert(0, replace(cameras[0], viewmat=viewmat))
    assert len(StyleTransfer(scene, mask, picture, cameras, config)._views(lambda: False)) == 3


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p[..., 0], "expected floats"),
        (lambda p: p[..., :2], "expected floats"),
        (lambda p: (255 * p).byte(), "expected floats"),
        (lambda p: 255 * p, r"must lie in \[0, 1\]"),
        (lambda p: p * torch.nan, r"must lie in \[0, 1\]"),
        (lambda p: p[:20], "64 x 20 pixels are too few"),
        (lambda p: p[:0], "64 x 0 pixels are too few"),
    ],
)
def test_bad_pictures(scene, mask, cameras, picture, config, spoil, message):
    with pytest.raises(UserError, match=message):
        StyleTransfer(scene, mask, spoil(picture), cameras, config)


def test_nothing_selected_no_camera_no_weights(scene, mask, cameras, picture, config, tmp_path):
    with pytest.raises(UserError, match="nothing is selected"):
        StyleTransfer(scene, mask & False, picture, cameras, config)
    with pytest.raises(UserError, match="no camera"):
        StyleTransfer(scene, mask, picture, [], config)
    with pytest.raises(UserError, match="nowhere do not exist"):
        StyleTransfer(scene, mask, picture, cameras, replace(config, vgg_weights=tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"expected bool \[200\]"):
        StyleTransfer(scene, mask[:10], picture, cameras, config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps must be 1 or more"),
        ({"views": 0}, "views must be 1 or more"),
        ({"longest": 8}, "longest must be 64 to 2048"),
        ({"picture_longest": 10**6}, "picture_longest must be 64 to 2048"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"memory_gb": 0.0}, "memory_gb must be above 0"),
        ({"content_weight": -1.0}, "content_weight must be 0 or more"),
        ({"spill_weight": float("inf")}, "spill_weight must be 0 or more"),
        ({"layer": "fc7"}, "no layer 'fc7'"),
        ({"colors": "mine"}, "colors must be picture or own"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(UserError, match=message):
        StyleConfig(**change)


def test_gaussians_of_the_fringe_keep_their_colors(scene, mask, cameras, picture, config):
    # A large, faint one far beside the thing: nothing that it shows is covered by the selection.
    values = scene._tensors()
    values["means"] = values["means"].clone().index_fill_(0, torch.tensor([7]), 0)
    values["means"][7, 1] = 0.9
    values["logit_opacities"] = values["logit_opacities"].clone()
    values["logit_opacities"][7] = -2.0
    faint = replace(scene, **values)
    config = replace(config, steps=1, learning_rate=1e-9)
    changed = (StyleTransfer(faint, mask, picture, cameras, config).run() - sh_of(faint)[mask]).abs().amax((1, 2))
    assert changed[7] < 0.02
    assert changed.median() > 0.2


def test_a_view_is_at_the_time_of_its_camera(scene, mask, cameras):
    still = replace(scene, means=scene.means + torch.tensor([cameras[2].time, 0.0, 0.0]), field=None)
    moved, placed = (view_selection(s, mask, cameras[2], 64, 4) for s in (scene, still))
    assert moved.shape == placed.shape
    torch.testing.assert_close(moved.before, placed.before)
    torch.testing.assert_close(moved.directions, placed.directions)
