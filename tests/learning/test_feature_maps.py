import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from trase_ns.errors import UserError
from trase_ns.learning.feature_maps import FeatureMaps


@pytest.fixture
def folder(tmp_path):
    values = np.random.default_rng(0).normal(1, 1, (5, 4, 6)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "other.npy", values)
    (tmp_path / "cam").mkdir()
    save_file({"features": torch.from_numpy(values).half()}, tmp_path / "cam" / "b.safetensors")
    return tmp_path


def test_maps_are_found_by_the_frames_names(folder):
    maps = FeatureMaps(folder, ["a", "cam/b", "missing"])
    assert maps.frames() == ["a", "cam/b"]
    assert maps.channels == 6
    assert "missing" not in maps
    assert "other" not in maps
    torch.testing.assert_close(maps.load("a"), torch.from_numpy(np.load(folder / "a.npy")))
    torch.testing.assert_close(maps.load("cam/b"), maps.load("a"), atol=1e-2, rtol=1e-2)
    assert maps.load("cam/b").dtype == torch.float32


def test_a_basis_keeps_the_cosines(tmp_path):
    generator = np.random.default_rng(0)
    flat = 2 + generator.normal(0, 1, (30, 3)) @ generator.normal(0, 1, (3, 9))  # a mean and three components
    np.save(tmp_path / "a.npy", flat.reshape(5, 6, 9))
    maps = FeatureMaps(tmp_path, ["a"])
    basis = maps.reduction(3)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4), atol=1e-5, rtol=0)
    values = maps.load("a").flatten(0, 1)
    short, whole = (torch.nn.functional.cosine_similarity(v[:15], v[15:]) for v in (values @ basis.T, values))
    torch.testing.assert_close(short, whole, atol=1e-4, rtol=0)
    assert maps.reduction(100).shape == (9, 9)  # nothing lies outside of all components


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("a.npy", np.zeros((3, 4)), "is no feature map"),
        ("a.npy", np.zeros((3, 4, 2), np.int64), "is no feature map"),
        ("a.npy", np.zeros((0, 4, 2)), "is no feature map"),
        ("a.npy", np.array([{}], dtype=object), "cannot be read"),
        ("a.npy", b"nonsense", "cannot be read"),
        ("a.safetensors", b"nonsense", "cannot be read"),
        ("a.npy", np.full((3, 4, 2), np.nan), "not finite"),
    ],
)
def test_what_is_no_map_is_named(tmp_path, name, value, message):
    if isinstance(value, bytes):
        (tmp_path / name).write_bytes(value)
    else:
        np.save(tmp_path / name, value, allow_pickle=True)
    with pytest.raises(UserError, match=message) as error:
        FeatureMaps(tmp_path, ["a"]).load("a")
    assert name in str(error.value)


def test_maps_of_two_models_are_refused(folder):
    np.save(folder / "c.npy", np.ones((2, 2, 5), np.float32))
    with pytest.raises(UserError, match=r"c\.npy has 5 channels, but .*a\.npy has 6"):
        FeatureMaps(folder, ["a", "c"]).load("c")


def test_a_folder_without_maps_is_named(folder):
    with pytest.raises(UserError, match="--dgd.maps: there is no folder .*nowhere"):
        FeatureMaps(folder / "nowhere", ["a"], "--dgd.maps")
    with pytest.raises(UserError, match=r"as in x/y\.npy"):
        FeatureMaps(folder, ["x/y"])
