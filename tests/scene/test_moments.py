"""What is evaluated once is not evaluated again, until something changes."""

from dataclasses import replace

import pytest
import torch

from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.moments import Moments


class CountingField(DeformationField):
    """Counts how often it is evaluated."""

    calls = 0

    def forward(self, means, time):
        self.calls += 1
        return super().forward(means, time)


@pytest.fixture
def scene():
    field = CountingField(depth=1, width=8, position_bands=1, time_bands=1)
    torch.nn.init.normal_(field.heads.weight)
    zeros = torch.zeros(5, 3)
    return DynamicGaussians(
        torch.randn(5, 3),
        torch.ones(5, 4),
        zeros.clone(),
        torch.zeros(5),
        zeros.clone(),
        torch.zeros(5, 0, 3),
        zeros,
        field,
    )


def test_a_time_is_evaluated_once(scene):
    moments = Moments()
    first = moments.at(scene, 0.5)
    assert moments.at(scene, 0.5) is first
    assert torch.equal(first.means, scene.at(0.5).means)
    assert not first.means.requires_grad
    assert scene.field.calls == 2  # one of them by this test


def test_only_the_latest_times_are_kept(scene):
    moments = Moments(count=2)
    for time in (0.1, 0.2, 0.1, 0.3, 0.1):
        moments.at(scene, time)
    assert scene.field.calls == 3
    moments.at(scene, 0.2)
    assert scene.field.calls == 4


@pytest.mark.parametrize("change", ["means", "sh0", "weight", "box", "other"])
def test_a_change_is_noticed(scene, change):
    moments = Moments()
    moments.at(scene, 0.5)
    with torch.no_grad():
        if change == "weight":
            scene.field.heads.weight += 1
        elif change == "box":
            scene.field.set_box(torch.rand(100, 3))
        elif change == "other":
            scene = scene.subset(torch.tensor([3, 1]))
        else:
            getattr(scene, change).add_(1.0)
    now, then = scene.at(0.5), moments.at(scene, 0.5)
    assert torch.equal(now.means, then.means)
    assert torch.equal(now.sh, then.sh)


@pytest.mark.parametrize("name", ["sh0", "logit_opacities"])
def test_other_colours_and_opacities_move_nothing_again(scene, name):
    moments = Moments()
    before = moments.at(scene, 0.5)
    painted = replace(scene, **{name: getattr(scene, name) + 1})
    after, expected = moments.at(painted, 0.5), painted.at(0.5)
    assert scene.field.calls == 2  # one of them by this test
    assert after.means is before.means
    assert torch.equal(after.sh, expected.sh)
    assert torch.equal(after.opacities, expected.opacities)
    assert torch.equal(moments.at(scene, 0.5).sh, before.sh)
