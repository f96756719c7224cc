"""Checkpoints are whole or absent; a damaged one gives way to the one before."""

import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.plugin import checkpoints


def state(step):
    return {"step": step, "pipeline": {"weights": torch.arange(1000.0) + step}, "optimizers": {}, "schedulers": {}}


def test_newest_is_loaded_and_old_ones_are_removed(tmp_path):
    folder = tmp_path / "nerfstudio_models"
    for step in (10, 20, 30):
        checkpoints.save_checkpoint(folder, step, state(step), keep=2)
    assert [path.name for path in checkpoints.checkpoints(folder)] == ["step-000000030.ckpt", "step-000000020.ckpt"]
    path, loaded = checkpoints.load_newest(folder)
    assert path.name == "step-000000030.ckpt"
    assert torch.equal(loaded["pipeline"]["weights"], state(30)["pipeline"]["weights"])


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"not a checkpoint" * 50])
def test_damaged_newest_gives_way_with_a_warning(tmp_path, damage, capsys):
    for step in (10, 20):
        checkpoints.save_checkpoint(tmp_path, step, state(step), keep=2)
    newest = tmp_path / "step-000000020.ckpt"
    newest.write_bytes(damage(newest.read_bytes()))
    path, loaded = checkpoints.load_newest(tmp_path)
    assert loaded["step"] == 10
    assert path.name == "step-000000010.ckpt"
    assert "step-000000020.ckpt" in capsys.readouterr().err.replace("\n", "")


def test_nothing_to_load_is_said(tmp_path):
    with pytest.raises(UserError, match="no checkpoint in"):
        checkpoints.load_newest(tmp_path / "missing")
    checkpoints.save_checkpoint(tmp_path, 5, state(5), keep=1)
    with pytest.raises(UserError, match="no checkpoint of step 6"):
        checkpoints.load_newest(tmp_path, step=6)
    (tmp_path / "step-000000005.ckpt").write_bytes(b"")
    with pytest.raises(UserError, match="can be read"):
        checkpoints.load_newest(tmp_path)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    path = tmp_path / "step-000000001.ckpt"
    torch.save({**state(1), "pipeline": Attack()}, path)
    with pytest.raises(UserError, match="damaged"):
        checkpoints.load(path)
    assert not marker.exists()


def test_numpy_scalars_are_saved_as_numbers(tmp_path):
    saved = {**state(1), "schedulers": {"means": {"_last_lr": [np.float64(0.5)], "counts": (np.int64(3),)}}}
    path = checkpoints.save_checkpoint(tmp_path, 1, saved, keep=1)
    assert checkpoints.load(path)["schedulers"] == {"means": {"_last_lr": [0.5], "counts": (3,)}}


def test_a_failed_save_leaves_the_old_checkpoint_alone(tmp_path):
    folder = tmp_path / "nerfstudio_models"
    checkpoints.save_checkpoint(folder, 10, state(10), keep=2)
    with pytest.raises(Exception, match="pickle"):
        checkpoints.save_checkpoint(folder, 20, {"step": 20, "pipeline": lambda: None}, keep=2)
    assert [path.name for path in folder.iterdir()] == ["step-000000010.ckpt"]
    assert not any((tmp_path / ".checkpoint").iterdir())
