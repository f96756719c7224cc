"""Every kind of field comes back from its description and tensors as it was, and from wrong ones not at all."""

import json

import pytest
import torch

from trase_ns.scene.baked import KeyTimes, bake
from trase_ns.scene.deformation import DeformationField
from trase_ns.scene.field_state import (
    KINDS,
    below,
    describe_field,
    field_from_state,
    finite,
    scene_from_state,
    scene_to_state,
)
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis


def scene_with(field, motion=None, count=30):
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=random)

    return DynamicGaussians(
        draw(count, 3), draw(count, 4), draw(count, 3), draw(count), draw(count, 3), draw(count, 3, 3), draw(count, 5),
        field, motion,
    )  # fmt: skip


def moving(kind):
    torch.manual_seed(1)
    if kind == "none":
        return scene_with(None)
    if kind == "basis":
        basis = MotionBasis(motions=4, keys=6)
        torch.nn.init.normal_(basis.shifts)
        basis.centres[1:] = torch.randn(3, 3)
        return scene_with(basis, torch.randn(30, 4))
    field = DeformationField(depth=3, width=16, skip_at=1, position_bands=2, time_bands=3)
    torch.nn.init.normal_(field.heads.weight)
    field.set_box(torch.randn(30, 3))
    scene = scene_with(field)
    return scene if kind == "mlp" else bake(scene, 0.1).scene


@pytest.mark.parametrize("kind", ["none", "mlp", "basis", "keys"])
def test_round_trip(kind):
    scene = moving(kind)
    tensors, described = scene_to_state(scene)
    again = scene_from_state(tensors, json.loads(json.dumps(described)))
    assert type(again.field) is type(scene.field)
    for time in (0.0, 0.3, 1.0):
        before, after = scene.at(time), again.at(time)
        for name in ("means", "quats", "scales", "opacities", "sh"):
            assert torch.equal(getattr(before, name), getattr(after, name))
    assert not again.at(0.5).means.requires_grad


def test_names_are_those_of_the_classes():
    from importlib import import_module

    for kind, (module, name) in KINDS.items():
        if kind != "arrangement":
            assert getattr(import_module(module), name).kind == kind


def wrong(kind, change):
    """What is said of the state of a scene after `change` (tensors, description)."""
    tensors, described = scene_to_state(moving(kind))
    described = json.loads(json.dumps(described))
    change(tensors, described)
    with pytest.raises(ValueError, match=r".") as caught:
        scene_from_state(tensors, described)
    return str(caught.value)


def setting(path, value):
    def change(tensors, described):
        place = described
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def putting(name, make):
    def change(tensors, described):
        tensors[name] = make(tensors.get(name))

    return change


def nan(tensor):
    tensor = tensor.clone()
    tensor.view(-1)[0] = float("nan")
    return tensor


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("none", lambda tensors, _: tensors.pop("quats"), "no tensor quats"),
        ("none", putting("extra", lambda _: torch.zeros(1)), "unknown tensor 'extra'"),
        ("none", putting("means", lambda t: t[:0]), "no Gaussians"),
        ("none", putting("means", lambda t: t.sum()), "no Gaussians"),
        ("none", putting("quats", lambda t: t[:, :3]), "quats must be float32 [30, 4], not float32 [30, 3]"),
        ("none", putting("quats", lambda t: t[:7]), "quats must be"),
        ("none", putting("sh0", lambda t: t.double()), "not float64"),
        ("none", putting("sh_rest", lambda t: t[:, :2]), "3 coefficients are no degree"),
        ("none", putting("features", lambda t: t[:, 0]), "features must be"),
        ("none", putting("sh0", nan), "1 of 30 Gaussians"),
        ("none", putting("log_scales", lambda t: t + 1000), "30 of 30 Gaussians"),
        ("none", putting("motion", lambda _: torch.zeros(30, 4)), "motion, but no field"),
        ("none", putting("field.centre", lambda _: torch.zeros(3)), "no field"),
        ("mlp", setting(["kind"], "os.system"), "unknown kind of field 'os.system'"),
        ("mlp", setting(["kind"], ["mlp"]), "unknown kind of field"),
        ("mlp", setting(["spec"], [1]), "JSON object"),
        ("mlp", setting(["spec", "depth"], 10**12), "depth of the field must be from 1 to 64"),
        ("mlp", setting(["spec", "width"], 10**12), "width of the field"),
        ("mlp", setting(["spec", "width"], 17), "of a wrong shape"),
        ("mlp", setting(["spec", "width"], 16.0), "width of the field"),
        ("mlp", setting(["spec", "depth"], 2), "too many"),
        ("mlp", setting(["spec", "more"], 2), "needs depth"),
        ("mlp", setting(["more"], 2), "kind and spec"),
        ("mlp", putting("motion", lambda _: torch.zeros(30, 4)), "keeps nothing"),
        ("mlp", putting("field.heads.bias", lambda t: t.double()), "wrong shape or type: heads.bias"),
        ("mlp", putting("field.heads.bias", nan), "heads.bias of the field has values"),
        ("mlp", putting("field.radius", torch.zeros_like), "radius"),
        ("basis", setting(["spec", "motions"], 10**15), "motions of the field"),
        ("basis", lambda tensors, _: tensors.pop("motion"), "motion must be floats [30, 4]"),
        ("basis", putting("motion", lambda t: t[:, :3]), "motion must be floats [30, 4]"),
        ("basis", putting("motion", nan), "motion of the field has values"),
        ("basis", lambda tensors, _: tensors.pop("field.turns"), "missing"),
        ("keys", putting("field.times", lambda t: t.flip(0)), "ascending"),
        ("keys", putting("field.times", lambda t: t[:0]), "at least one"),
        ("keys", putting("field.times", lambda t: t[:-1]), "motion must be floats"),
        ("keys", setting(["spec", "keys"], 3), "times and nothing else"),
    ],
)
def test_wrong_states_are_refused(kind, change, said):
    assert said in wrong(kind, change)


def test_a_hidden_gaussian_is_finite_and_a_broken_one_is_not():
    scene = scene_with(None)
    scene.logit_opacities[3] = -float("inf")
    scene.sh_rest[4, 1, 1] = float("nan")
    assert finite(scene).tolist() == [i != 4 for i in range(30)]


def test_a_field_within_another_names_its_tensors_by_what_holds_it():
    field = KeyTimes(torch.tensor([0.0, 1.0]))
    outer = {"parts.0.field.times": field.times, "part": torch.zeros(3)}
    again = field_from_state(describe_field(field), below(outer, "parts.0.field."))
    assert isinstance(again, KeyTimes)
    assert torch.equal(again.times, field.times)
