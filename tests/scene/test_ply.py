import numpy as np
import pytest
import torch
from plyfile import PlyData

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import Gaussians
from trase_ns.scene.ply import ids_path, read_ply, write_ply


def some_gaussians(count=20, coefficients=4) -> Gaussians:
    torch.manual_seed(0)
    return Gaussians(
        torch.randn(count, 3), torch.nn.functional.normalize(torch.randn(count, 4), dim=1), torch.rand(count, 3) + 0.01,
        torch.rand(count) * 0.9 + 0.05, torch.randn(count, coefficients, 3),
    )  # fmt: skip


@pytest.mark.parametrize(("count", "coefficients"), [(20, 1), (20, 4), (9001, 16)])
def test_round_trip(tmp_path, count, coefficients):
    gaussians = some_gaussians(count, coefficients)
    write_ply(tmp_path / "new" / "a.ply", gaussians)
    again = read_ply(tmp_path / "new" / "a.ply")
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(again, name), getattr(gaussians, name))


def test_columns_are_the_standard_ones(tmp_path):
    gaussians = some_gaussians()
    write_ply(tmp_path / "a.ply", gaussians)
    ply = PlyData.read(str(tmp_path / "a.ply"))
    vertex = ply["vertex"].data
    names = "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 " + " ".join(f"f_rest_{i}" for i in range(9))
    names += " opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3"
    assert vertex.dtype.names == tuple(names.split())
    assert all(vertex.dtype[name] == np.dtype("<f4") for name in vertex.dtype.names)
    assert not ply.text
    # f_rest is channel-major: the second green coefficient above degree 0 is number 3 + 1.
    np.testing.assert_allclose(vertex["f_rest_4"], gaussians.sh[:, 2, 1])
    np.testing.assert_allclose(vertex["f_dc_2"], gaussians.sh[:, 0, 2])
    opacity = gaussians.opacities.numpy()
    np.testing.assert_allclose(vertex["opacity"], np.log(opacity / (1 - opacity)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(vertex["scale_1"], gaussians.scales[:, 1].log(), rtol=1e-6)
    np.testing.assert_allclose(vertex["rot_0"], gaussians.quats[:, 0], rtol=1e-6)


def test_extremes_stay_finite_and_broken_gaussians_stay_out(tmp_path, capsys):
    gaussians = some_gaussians(3)
    gaussians.opacities[0], gaussians.scales[0], gaussians.means[1] = 1.0, 0.0, float("nan")
    write_ply(tmp_path / "a.ply", gaussians)
    again = read_ply(tmp_path / "a.ply")
    assert len(again) == 2
    assert all(torch.isfinite(getattr(again, name)).all() for name in ("means", "scales", "opacities"))
    assert "1 Gaussians that are not finite" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("with_ids", [False, True])
def test_ids_go_beside_the_file_or_into_it(tmp_path, with_ids, capsys):
    gaussians = some_gaussians()
    gaussians.means[4] = float("nan")
    ids = torch.arange(20) * 3 - 1
    write_ply(tmp_path / "time0.500.ply", gaussians, ids, with_ids)
    expected = [3 * i - 1 for i in range(20) if i != 4]
    vertex = PlyData.read(str(tmp_path / "time0.500.ply"))["vertex"].data
    assert len(read_ply(tmp_path / "time0.500.ply")) == 19
    beside = tmp_path / "time0.500.ids.npy"
    if with_ids:
        assert vertex.dtype.names[-1] == "object_id"
        assert vertex.dtype["object_id"] == np.dtype("<i4")
        assert vertex["object_id"].tolist() == expected
        np.testing.assert_allclose(vertex["rot_3"][:4], gaussians.quats[:4, 3], rtol=1e-6)
        assert not beside.exists()
    else:
        assert "object_id" not in vertex.dtype.names
        assert ids_path(tmp_path / "time0.500.ply") == beside
        numbers = np.load(beside, allow_pickle=False)
        assert numbers.dtype == np.int32
        assert numbers.tolist() == expected


def test_nothing_to_write(tmp_path):
    with pytest.raises(UserError, match="no Gaussians"):
        write_ply(tmp_path / "a.ply", some_gaussians().subset(torch.zeros(20, dtype=torch.bool)))
    assert not list(tmp_path.iterdir())


def test_bad_files_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_ply(tmp_path / "missing.ply")
    write_ply(tmp_path / "a.ply", some_gaussians())
    whole = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "short.ply").write_bytes(whole[:-7])
    with pytest.raises(UserError, match=r"short\.ply"):
        read_ply(tmp_path / "short.ply")
    (tmp_path / "noise.ply").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"noise\.ply"):
        read_ply(tmp_path / "noise.ply")
    (tmp_path / "mesh.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        "end_header\n0 0 0\n"
    )
    with pytest.raises(UserError, match="lacks f_dc_0"):
        read_ply(tmp_path / "mesh.ply")
