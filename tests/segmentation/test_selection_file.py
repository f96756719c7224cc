import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.segmentation.selection_file import load_selection, save_selection


@pytest.mark.parametrize("count", [1, 8, 1001])
def test_what_is_saved_is_loaded(tmp_path, count):
    mask = torch.rand(count, generator=torch.Generator().manual_seed(count)) > 0.5
    metadata = {"clicks": ["image000009,0.4,0.2"], "objects": [3, 5]}
    save_selection(tmp_path / "selection.npz", mask, metadata)
    loaded, kept = load_selection(tmp_path / "selection.npz", count)
    assert torch.equal(loaded, mask)
    assert kept == metadata


def test_a_selection_of_another_run_is_refused(tmp_path):
    save_selection(tmp_path / "selection.npz", torch.ones(10, dtype=torch.bool))
    with pytest.raises(UserError, match="10 Gaussians, but the run has 11"):
        load_selection(tmp_path / "selection.npz", 11)


def test_damaged_files_are_one_clear_message(tmp_path):
    path = tmp_path / "selection.npz"
    with pytest.raises(UserError, match="does not exist"):
        load_selection(path, 10)
    save_selection(path, torch.ones(1000, dtype=torch.bool))
    whole = path.read_bytes()
    for content in (b"", b"not a zip file", whole[:40], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="cannot be read"):
            load_selection(path, 1000)
    np.savez(path, version=1, bits=np.zeros(3, np.uint8), gaussians=1000, metadata=np.array("{}"))
    with pytest.raises(UserError, match="format"):
        load_selection(path, 1000)
    np.savez(path, something=np.zeros(3))
    with pytest.raises(UserError, match="cannot be read"):
        load_selection(path, 1000)


def test_pickles_are_not_opened(tmp_path):
    path = tmp_path / "selection.npz"
    np.savez(path, version=1, bits=np.array([{}], dtype=object), gaussians=8, metadata=np.array("{}"))
    with pytest.raises(UserError, match="cannot be read"):
        load_selection(path, 8)
