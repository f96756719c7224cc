import pytest
import torch

from trase_ns.scene.deformation import DeformationField, encode_frequencies
from trase_ns.scene.gaussians import DynamicGaussians


def trained_field(**options) -> DeformationField:
    """A small double-precision field whose heads are no longer zero."""
    torch.manual_seed(0)
    field = DeformationField(**{"depth": 6, "width": 16, "position_bands": 3, "time_bands": 2, **options}).double()
    torch.nn.init.normal_(field.heads.weight)
    torch.nn.init.normal_(field.heads.bias)
    return field


def concatenated(field: DeformationField, means, times):
    """The textbook form: position and time side by side in N rows, given again after layer `skip_at`."""
    position = encode_frequencies((means - field.centre) / field.radius, field.position_bands)
    encoded = torch.cat([position, encode_frequencies(times, field.time_bands)], dim=1)
    hidden = encoded
    for i, layer in enumerate(field.layers):
        hidden = layer(hidden).relu()
        if i == field.skip_at and i + 1 < len(field.layers):
            hidden = torch.cat([encoded, hidden], dim=1)
    return field.heads(hidden)


def test_an_untrained_field_is_the_identity():
    means = torch.randn(50, 3)
    scene = DynamicGaussians(
        means, torch.randn(50, 4), torch.randn(50, 3), torch.randn(50), torch.randn(50, 3), torch.randn(50, 0, 3),
        torch.randn(50, 2), DeformationField(depth=4, width=32),
    )  # fmt: skip
    moved = scene.at(0.7)
    assert torch.equal(moved.means, scene.means)
    assert torch.equal(moved.quats, scene.quats)
    assert torch.equal(moved.scales, scene.log_scales.exp())


def test_defaults_are_the_papers():
    field = DeformationField()
    assert [layer.in_features for layer in field.layers] == [84, 256, 256, 256, 256, 84 + 256, 256, 256]
    assert all(layer.out_features == 256 for layer in field.layers)


def test_encoding_by_hand():
    encoded = encode_frequencies(torch.tensor([[0.5, -1.0]], dtype=torch.float64), 2)
    angles = torch.tensor([0.5, 1.0, -1.0, -2.0], dtype=torch.float64)
    expected = torch.cat([torch.tensor([0.5, -1.0], dtype=torch.float64), angles.sin(), angles.cos()])
    torch.testing.assert_close(encoded[0], expected)


@pytest.mark.parametrize("options", [{}, {"depth": 3}, {"skip_at": 0}], ids=["skip", "shallow", "first"])
@pytest.mark.parametrize("time", [0.3, torch.tensor(0.3), torch.tensor([0.3]), torch.tensor([[0.3]])])
def test_one_time_for_all_equals_the_concatenated_form(options, time):
    field = trained_field(**options)
    means = torch.randn(7, 3, dtype=torch.float64)
    times = torch.full((7, 1), float(time), dtype=torch.float64)
    torch.testing.assert_close(torch.cat(field(means, time), dim=1), concatenated(field, means, times))
    torch.testing.assert_close(torch.cat(field(means, times), dim=1), concatenated(field, means, times))


def test_each_gaussian_may_have_its_own_time():
    field = trained_field()
    means, times = torch.randn(7, 3, dtype=torch.float64), torch.rand(7, 1, dtype=torch.float64)
    torch.testing.assert_close(torch.cat(field(means, times), dim=1), concatenated(field, means, times))
    with pytest.raises(ValueError, match=r"\[7, 1\]"):
        field(means, times[:3])


def test_gradients_reach_every_weight_and_positions_only_when_asked():
    means = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    field = trained_field()
    sum(change.square().sum() for change in field(means, 0.4)).backward()
    assert means.grad is None
    folded = [parameter.grad.clone() for parameter in field.parameters()]
    field.zero_grad()
    concatenated(field, means.detach(), torch.full((7, 1), 0.4, dtype=torch.float64)).square().sum().backward()
    for gradient, parameter in zip(folded, field.parameters()):
        torch.testing.assert_close(gradient, parameter.grad)

    attached = trained_field(detach_positions=False)
    assert torch.autograd.gradcheck(lambda means: attached(means, 0.4), means)


def test_the_box_brings_positions_to_one_and_forgets_strays():
    means = torch.rand(1000, 3) * torch.tensor([4.0, 2.0, 1.0]) + 10
    means[0] = 1e6
    field = DeformationField(depth=2, width=8)
    field.set_box(means)
    assert field.radius == pytest.approx(2.0, abs=0.1)
    torch.testing.assert_close(field.centre, torch.tensor([12.0, 11.0, 10.5]), atol=0.1, rtol=0)
    assert {"centre", "radius"} <= set(field.state_dict())


def test_one_gaussian_makes_a_finite_box():
    field = trained_field()
    field.set_box(torch.ones(1, 3))
    assert all(change.isfinite().all() for change in field(torch.ones(1, 3, dtype=torch.float64), 0.0))
