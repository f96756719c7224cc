"""Export of a scene that moves, made by hand."""

import os

import pytest
import torch
from torch import nn

from trase_ns.cli.export import _times, export_moment, export_sequence
from trase_ns.errors import UserError
from trase_ns.scene import quaternions
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.ply import read_ply
from trase_ns.scene.similarity import Similarity


class Drift(nn.Module):
    """All Gaussians move one unit along x."""

    def move(self, means, quats, log_scales, motion, time):
        return means + means.new_tensor([time, 0, 0]), quats, log_scales


@pytest.fixture
def scene():
    generator = torch.Generator().manual_seed(1)
    return DynamicGaussians(
        torch.randn(5, 3, generator=generator),
        quaternions.random(5, generator),
        torch.randn(5, 3, generator=generator) - 2,
        torch.randn(5, generator=generator),
        torch.randn(5, 3, generator=generator),
        torch.randn(5, 3, 3, generator=generator),
        torch.zeros(5, 4),
        Drift(),
    )


def test_a_moment_is_where_things_are_then(scene, tmp_path):
    path = export_moment(scene, tmp_path / "new" / "folder", 0.25)
    gaussians = read_ply(path)
    torch.testing.assert_close(gaussians.means, scene.means + torch.tensor([0.25, 0, 0]))
    torch.testing.assert_close(gaussians.scales, scene.log_scales.exp())
    assert gaussians.sh_degree == 1


def test_a_sequence_is_numbered_and_follows_time(scene, tmp_path):
    export_sequence(scene, tmp_path, [0.0, 0.5, 1.0])
    assert sorted(os.listdir(tmp_path)) == ["frame0001.ply", "frame0002.ply", "frame0003.ply"]
    for i, time in enumerate([0.0, 0.5, 1.0]):
        means = read_ply(tmp_path / f"frame{i + 1:04d}.ply").means
        torch.testing.assert_close(means, scene.means + torch.tensor([time, 0, 0]))


def test_nothing_is_replaced_unless_asked(scene, tmp_path):
    export_sequence(scene, tmp_path, [0.0, 0.5, 1.0])
    path = export_moment(scene, tmp_path, 0.5)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        export_sequence(scene, tmp_path, [0.0])
    with pytest.raises(UserError, match="--overwrite"):
        export_moment(scene, tmp_path, 0.5)
    export_sequence(scene, tmp_path, [0.0], overwrite=True)
    export_moment(scene.subset(torch.tensor([0])), tmp_path, 0.5, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["frame0001.ply", "notes.txt", "time0.500.ply"]
    assert len(read_ply(path)) == 1


def test_a_sequence_that_fails_leaves_nothing_behind(scene, tmp_path):
    class Broken(Drift):
        def move(self, means, quats, log_scales, motion, time):
            if time == 1:
                raise RuntimeError("broken in the middle")
            return super().move(means, quats, log_scales, motion, time)

    export_sequence(scene, tmp_path, [0.0])
    before = (tmp_path / "frame0001.ply").read_bytes()
    object.__setattr__(scene, "field", Broken())
    with pytest.raises(RuntimeError):
        export_sequence(scene, tmp_path, [0.5, 1.0], overwrite=True)
    assert os.listdir(tmp_path) == ["frame0001.ply"]
    assert (tmp_path / "frame0001.ply").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(scene, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for export, argument in ((export_moment, 0.5), (export_sequence, [0.0, 1.0])):
        with pytest.raises(UserError, match="cannot write"):
            export(scene, tmp_path / "file", argument)


def test_an_empty_selection_is_refused(scene, tmp_path):
    with pytest.raises(UserError, match="no Gaussians"):
        export_moment(scene.subset(torch.zeros(5, dtype=torch.bool)), tmp_path, 0.5)
    assert os.listdir(tmp_path) == []


def test_the_data_sets_world_undoes_the_training_world(scene, tmp_path):
    rotation = quaternions.to_matrix(torch.tensor([0.9, 0.1, -0.3, 0.2]))
    transform = torch.cat([rotation, torch.tensor([[1.0], [2.0], [3.0]])], dim=1)
    back = Similarity.from_dataparser(transform, 0.25).inverse()
    gaussians = read_ply(export_moment(scene, tmp_path, 0.0, back))
    again = 0.25 * (gaussians.means @ rotation.T + transform[:, 3])
    torch.testing.assert_close(again, scene.means, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((1.5, False, 24, None), "0 .start. to 1"),
        ((float("nan"), False, 24, None), "0 .start. to 1"),
        ((0.5, True, 24, None), "exclude each other"),
        ((None, False, 24, 2.0), "add --sequence"),
        ((None, True, 0, None), "positive"),
        ((None, True, 24, -1.0), "positive"),
        ((None, True, 24, float("inf")), "positive"),
    ],
)
def test_times_that_make_no_sense(options, says):
    with pytest.raises(UserError, match=says):
        _times(*options)


def test_times_of_a_sequence():
    assert _times(None, False, 24, None) == [0.0]
    assert _times(None, True, 4, 1.25) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert _times(None, True, 24, 0.001) == [0.0]
