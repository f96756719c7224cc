import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from trase_ns.errors import UserError
from trase_ns.learning.diffusion import Graph
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.spreading import (
    Reference,
    best_cut,
    diffuse,
    lift_reference,
    refine_by_prompts,
    select_inside,
    strokes,
)

EACH = 150
PLACES = (-1.4, 0.0, 1.4)  # of three balls in a row; the last is the twin of the first


class Rise(Field):
    """Moves everything up."""

    def move(self, means, quats, log_scales, motion, time):
        return means + torch.tensor([0.0, -0.4 * time, 0.0]), quats, log_scales


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(0)
    means = 0.2 * torch.randn(3 * EACH, 3, generator=generator).clamp(-2, 2)
    means[:, 0] += torch.tensor(PLACES).repeat_interleave(EACH)
    centres = normalize(torch.randn(2, 12, generator=generator), dim=1)[[0, 1, 0]]
    features = centres.repeat_interleave(EACH, 0) + 0.08 * torch.randn(3 * EACH, 12, generator=generator)
    n = len(means)
    return DynamicGaussians(
        means,
        torch.tensor([[1.0, 0, 0, 0]]).repeat(n, 1),
        torch.full((n, 3), -2.7),
        torch.full((n,), 0.0),
        torch.zeros(n, 3),
        torch.zeros(n, 0, 3),
        features,
        Rise(),
    )


def looking(time=0.0, x=0.0):
    viewmat = torch.eye(4)
    viewmat[0, 3], viewmat[2, 3] = -x, 4.0
    return Camera(viewmat, torch.tensor([[45.0, 0, 40], [0, 45, 24], [0, 0, 1]]), 80, 48, time)


@pytest.fixture
def cameras():
    return [looking(time, x) for time, x in ((0.0, 0.0), (0.5, -0.2), (1.0, 0.2))]


def balls(*indices):
    return torch.isin(torch.arange(3 * EACH) // EACH, torch.tensor(indices))


def shown(scene, camera, *indices):
    """[H, W] bool, where balls are seen."""
    made_up = render_view(scene.at(camera.time), camera, colors=balls(*indices)[:, None].float())
    return made_up.color[..., 0] > 0.3


def agrees(found, truth, least=0.95):
    return float((found & truth).sum() / (found | truth).sum()) >= least


def test_a_mask_selects_what_is_seen_inside(scene, cameras):
    reference = Reference.whole(cameras[1], shown(scene, cameras[1], 1))
    assert agrees(select_inside(scene, [reference]).mask, balls(1))


def test_marks_are_lifted_as_the_blending_weights_say(scene, cameras):
    from trase_ns.render import contributions

    reference = Reference(cameras[2], shown(scene, cameras[2], 0), shown(scene, cameras[2], 2))
    weights = contributions(scene.at(1.0), cameras[2]).to_scipy()
    inside, outside = lift_reference(scene, [reference])
    for found, marks in ((inside, reference.inside), (outside, reference.outside)):
        expected = weights.T @ marks.flatten().numpy().astype(np.float32)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_stroke_spreads_over_its_thing_alone(scene, cameras):
    """The twin has the same features, but lies apart; the ball between has others."""
    dot = strokes(cameras[0], [(40 - 45 * 1.4 / 4, 24)], [])
    assert 2 <= dot.inside.sum() <= 6
    graph = Graph(scene.means, 20)
    assert agrees(diffuse(scene, [dot], graph).mask, balls(0))


def test_a_whole_mask_spreads_to_what_it_does_not_show(scene, cameras):
    """Half of the ball is outside of the picture."""
    K = cameras[0].K.clone()
    K[0, 2] = 45 * 1.4 / 4
    camera = Camera(cameras[0].viewmat, K, 48, 48, 0.0)
    mask = shown(scene, camera, 0)
    assert mask[:, 0].any()
    assert select_inside(scene, [Reference.whole(camera, mask)]).mask[:EACH].float().mean() < 0.9
    assert agrees(diffuse(scene, [Reference.whole(camera, mask)], Graph(scene.means, 20)).mask, balls(0), 0.9)


def test_strokes_on_what_is_not_meant_hold_it_back(scene, cameras):
    """All balls are near each other in a graph of so many neighbours, and first and last look the same."""
    graph = Graph(scene.means, 3 * EACH)
    left, middle, right = ((40 + 45 * x / 4, 24) for x in PLACES)
    both = diffuse(scene, [strokes(cameras[0], [left], [middle])], graph).mask
    assert agrees(both, balls(0, 2), 0.9)
    middle_alone = diffuse(scene, [strokes(cameras[0], [middle], [left, right])], graph).mask
    assert agrees(middle_alone, balls(1))


class Seer:
    """Draws the ball that the points lie on; pictures are label images, larger than the views."""

    def __init__(self):
        self.looked = 0

    def look(self, picture):
        self.picture = picture[..., 0]
        self.looked += 1

    def __call__(self, points, like=None):
        assert like.shape == self.picture.shape
        x, y = points.astype(int).T
        labels = self.picture[y, x]
        return self.picture == np.bincount(labels[labels > 0], minlength=2).argmax()


def label_picture(scene, camera):
    camera = camera.resized(160, 96)
    labels = torch.zeros(96, 160)
    for ball in range(3):
        labels[shown(scene, camera, ball)] = ball + 1
    return labels.byte().numpy()[..., None].repeat(3, 2)


def test_sam_draws_a_rough_selection_anew(scene, cameras):
    rough = balls(1) & (scene.means[:, 1] < 0.1)
    rough[:10] = True
    views = [(camera, lambda camera=camera: label_picture(scene, camera)) for camera in cameras]
    seer = Seer()
    found = refine_by_prompts(scene, rough, views, seer).mask
    assert not agrees(rough, balls(1), 0.8)
    assert agrees(found, balls(1), 0.9)
    assert seer.looked == 3
    assert torch.equal(found, refine_by_prompts(scene, rough, views, Seer()).mask)


def test_what_cannot_be_done_is_said(scene, cameras):
    nothing = torch.zeros(48, 80, dtype=torch.bool)
    corner = nothing.clone()
    corner[0, 0] = True
    with pytest.raises(UserError, match="no Gaussian is seen inside the mask"):
        select_inside(scene, [Reference.whole(cameras[0], corner)])
    from dataclasses import replace

    with pytest.raises(UserError, match="no features to spread by"):
        diffuse(replace(scene, features=torch.zeros(len(scene), 0)), [Reference.whole(cameras[0], corner)])
    away = Camera(torch.diag(torch.tensor([-1.0, 1, -1, 1])), cameras[0].K, 80, 48, 0.0)
    with pytest.raises(UserError, match="none of the views shows the selection"):
        refine_by_prompts(scene, balls(0), [(away, lambda: np.zeros((96, 160, 3), np.uint8))], Seer())


def test_the_best_cut_is_that_of_trying_all():
    generator = torch.Generator().manual_seed(0)
    values, weight, share = torch.rand(3, 30, generator=generator).unbind(0)
    weight[::4] = 0
    inside = weight * ((values + share) / 2).round()

    def iou(mask):
        return inside[mask].sum() / (inside.sum() + (weight - inside)[mask].sum())

    best = max(float(iou(values >= t)) for t in values)
    found, value = best_cut(values, inside, weight)
    assert float(iou(found)) == pytest.approx(best)
    assert value == pytest.approx(best)
    assert values[found].min() > values[~found].max()
