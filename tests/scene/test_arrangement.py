"""Arranged scenes are made again from their state, cut down to what they need, and bad states are refused."""

from dataclasses import replace

import pytest
import torch

from trase_ns.scene.arrangement import Arrangement, Part, compact
from trase_ns.scene.baked import KeyTimes, bake
from trase_ns.scene.clock import backwards, frozen
from trase_ns.scene.field_state import scene_from_state, scene_to_state
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis
from trase_ns.scene.similarity import Similarity


@pytest.fixture
def arranged():
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    basis = MotionBasis(4, 8)
    torch.nn.init.normal_(basis.shifts, std=0.1, generator=generator)
    keys = KeyTimes(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    parts = [
        Part(basis, random(6, 4), ()),
        Part(basis, random(3, 4), (backwards(), frozen(0.3))),
        Part(keys, random(2, 3, 10)),
        Part(None, None),
    ]
    part = torch.tensor([0, 1, 0, 0, 2, 0, 1, 3, 2, 1, 0])
    local = torch.tensor([5, 2, 0, 1, 1, 2, 1, 0, 0, 0, 3])
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    placements = [Similarity.identity(), Similarity(turn, torch.ones(3, dtype=torch.float64), 0.5)]
    placement = torch.tensor([0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 1])
    n = len(part)
    field = Arrangement(parts, part, local, placements, placement).requires_grad_(False)
    return DynamicGaussians(
        random(n, 3), random(n, 4), random(n, 3), random(n), random(n, 3), random(n, 3, 3), random(n, 8),
        field, torch.arange(n),
    )  # fmt: skip


def same(a, b):
    for time in (0.0, 0.37, 1.0):
        for name in ("means", "quats", "scales", "opacities", "sh"):
            torch.testing.assert_close(getattr(a.at(time), name), getattr(b.at(time), name))


def test_state_and_back(arranged):
    tensors, described = scene_to_state(arranged)
    same(scene_from_state({k: v.clone() for k, v in tensors.items()}, described), arranged)


def test_compact_keeps_the_scene_and_drops_what_it_does_not_need(arranged):
    chosen = arranged.subset(torch.tensor([9, 1, 8]))
    small = compact(chosen)
    same(small, chosen)
    assert [len(part.motion) for part in small.field.parts] == [2, 1]
    assert len(small.field.part) == 3


def test_compact_of_one_part_as_recorded_is_its_own_field(arranged):
    chosen = arranged.subset(torch.tensor([0, 5, 2]))
    small = compact(chosen)
    assert isinstance(small.field, MotionBasis)
    same(small, chosen)


def test_an_arrangement_is_baked_like_any_field(arranged):
    baked = bake(arranged, 0.05, max_keys=64, half=False)
    for time in (0.1, 0.6):
        torch.testing.assert_close(baked.scene.at(time).means, arranged.at(time).means, atol=0.05, rtol=0)


def damage(name, value):
    def change(tensors, described):
        tensors["field." + name] = value(tensors["field." + name])

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage("part", lambda t: t + 2), "part of the arrangement points outside"),
        (damage("local", lambda t: t + 5), "local of the arrangement points outside"),
        (damage("placement", lambda t: t - 1), "placement of the arrangement points outside"),
        (damage("rotations", lambda t: 2 * t), "not rotations"),
        (damage("scales", lambda t: -t), "scales"),
        (damage("scales", lambda t: t[:0]), "scales"),
        (damage("local", lambda t: t[1:]), "local"),
        (damage("part", lambda t: t.float()), "part"),
        (damage("parts.0.motion", lambda t: t[:, :2]), "motion"),
        (lambda t, d: t.update(motion=t["motion"] + 4), "points outside"),
        (lambda t, d: t.pop("field.local"), "missing"),
        (lambda t, d: t.update({"field.parts.9.motion": torch.ones(2)}), "does not have"),
        (lambda t, d: d["spec"]["parts"].pop(), "does not have|points outside"),
        (lambda t, d: d["spec"].update(parts=[]), "parts"),
        (lambda t, d: d["spec"]["parts"][1]["clock"][0].update(wrap="twist"), "wrap"),
        (lambda t, d: d["spec"]["parts"][1]["clock"][0].update(speed="fast"), "numbers"),
        (lambda t, d: d["spec"]["parts"][1]["clock"][0].update(speed=float("nan")), "finite"),
        (lambda t, d: d["spec"]["parts"].__setitem__(3, 7), "needs field and clock"),
    ],
)
def test_bad_states_are_refused(arranged, change, message):
    tensors, described = scene_to_state(arranged)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    change(tensors, described)
    with pytest.raises(ValueError, match=message):
        scene_from_state(tensors, described)


def test_nesting_without_end_is_refused(arranged):
    tensors, described = scene_to_state(arranged)
    for _ in range(500):
        described = {"kind": "arrangement", "spec": {"parts": [{"field": described, "clock": []}]}}
    with pytest.raises(ValueError, match="nested"):
        scene_from_state(tensors, described)


def test_parts_may_be_arrangements(arranged):
    outer = Arrangement(
        [Part(arranged.field, arranged.motion)],
        torch.zeros(11, dtype=torch.int64),
        torch.arange(11),
        [Similarity.identity()],
        torch.zeros(11, dtype=torch.int64),
    )
    scene = replace(arranged, field=outer.requires_grad_(False))
    same(scene, arranged)
    tensors, described = scene_to_state(scene)
    same(scene_from_state(tensors, described), arranged)
