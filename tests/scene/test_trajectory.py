"""Trajectories of things whose way is known."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.baked import KeyTimes
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity
from trase_ns.scene.trajectory import follow, write_trajectory


def cloud(count=4000, way=((0, 0, 0), (2, 0, 0), (2, 0, -6))):
    """A unit cube of Gaussians about (1, 2, 3) that goes by `way` at times 0, 0.5 and 1."""
    generator = torch.Generator().manual_seed(0)
    motion = torch.zeros(count, 3, 10)
    motion[:, :, :3] = torch.tensor(way, dtype=torch.float32)
    means = torch.rand(count, 3, generator=generator) - 0.5 + torch.tensor([1.0, 2.0, 3.0])
    return DynamicGaussians(
        means, torch.ones(count, 4), torch.zeros(count, 3), torch.zeros(count), torch.zeros(count, 3),
        torch.zeros(count, 0, 3), torch.zeros(count, 0), KeyTimes(torch.tensor([0.0, 0.5, 1.0])), motion,
    )  # fmt: skip


def test_centre_extent_and_speed(tmp_path):
    path = follow(cloud(), [i / 20 for i in range(21)], duration=4.0)
    np.testing.assert_allclose(path.centres[[0, 5, 10, 20]], [[1, 2, 3], [2, 2, 3], [3, 2, 3], [3, 2, -3]], atol=0.03)
    np.testing.assert_allclose(path.high - path.low, 0.98, atol=0.02)
    np.testing.assert_allclose((path.high + path.low) / 2, path.centres, atol=0.03)
    np.testing.assert_allclose(path.speeds[[0, 5, 15, 20]], [1, 1, 3, 3], atol=1e-3)  # 2 and 6 in 2 s each
    np.testing.assert_allclose(follow(cloud(), [0.0, 0.3], None).speeds, 4, atol=1e-3)


def test_strays_and_what_is_hidden_do_not_count():
    scene = cloud()
    scene.means[:20] += 1000.0  # half a percent of the opacity
    faint = replace(scene, logit_opacities=torch.where(torch.arange(4000) < 20, -torch.inf, 0.0))
    scene.means[30] = float("nan")
    path = follow(scene, [0.0, 1.0])
    assert (path.high - path.low).max() < 1.02
    assert path.centres[0, 0] > 2
    np.testing.assert_allclose(follow(faint, [0.0, 1.0]).centres[0], [1, 2, 3], atol=0.03)


def test_opacity_weighs():
    scene = cloud(2)
    scene.means[:] = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    scene.logit_opacities[:] = torch.logit(torch.tensor([0.25, 0.75]))
    np.testing.assert_allclose(follow(scene, [0.0, 1.0]).centres[0], [0.75, 0, 0], atol=1e-6)


def test_in_the_world_of_the_data_set():
    turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    world = Similarity(turn, torch.tensor([0.0, 0, 1], dtype=torch.float64), 10.0)
    path = follow(cloud(), [0.0, 0.5], similarity=world)
    np.testing.assert_allclose(path.centres[0], [-20, 10, 40], atol=0.3)
    np.testing.assert_allclose(path.high - path.low, 9.8, atol=0.2)
    np.testing.assert_allclose(path.speeds, 40, atol=0.01)


@pytest.mark.parametrize("duration", [None, 4.0])
def test_csv(tmp_path, duration):
    trajectory = follow(cloud(), [0.0, 0.5, 1.0], duration)
    write_trajectory(tmp_path / "new" / "a.csv", trajectory)
    with open(tmp_path / "new" / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["time", "seconds", *(f"{name}_{axis}" for name in ("centre", "min", "max") for axis in "xyz"), "speed"]
    assert list(rows[0]) == [name for name in names if duration or name != "seconds"]
    assert len(rows) == 3
    assert float(rows[1]["centre_x"]) == pytest.approx(trajectory.centres[1, 0], rel=1e-6)
    assert float(rows[1]["min_z"]) == pytest.approx(trajectory.low[1, 2], rel=1e-6)
    assert float(rows[2]["max_y"]) == pytest.approx(trajectory.high[2, 1], rel=1e-6)
    assert float(rows[2]["speed"]) == pytest.approx(trajectory.speeds[2], rel=1e-6)
    if duration:
        assert [row["seconds"] for row in rows] == ["0", "2", "4"]


def test_what_cannot_be_followed():
    scene = cloud(5)
    for times in ([], [0.5], [0.5, 0.5], [1.0, 0.0]):
        with pytest.raises(UserError, match="two times"):
            follow(scene, times)
    for duration in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="seconds"):
            follow(scene, [0.0, 1.0], duration)
    with pytest.raises(UserError, match="nothing to follow"):
        follow(scene.subset(torch.zeros(5, dtype=torch.bool)), [0.0, 1.0])
