"""Files for web viewers: what comes back is what was written, as exactly as their bytes allow."""

import sys

import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import Gaussians
from trase_ns.scene.quaternions import to_matrix
from trase_ns.scene.spherical_harmonics import sh0_to_rgb
from trase_ns.scene.splat import read_splat, write_splat, write_spz


def some_gaussians(count=50, coefficients=4) -> Gaussians:
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(*shape, generator=random)

    return Gaussians(
        6 * draw(count, 3) - 3, draw(count, 4) - 0.5, draw(count, 3) + 0.01, 0.9 * draw(count) + 0.05,
        draw(count, coefficients, 3) - 0.5,
    )  # fmt: skip


def covariances(gaussians):
    axes = to_matrix(gaussians.quats) * gaussians.scales[:, None]
    return axes @ axes.mT


def test_splat_round_trip(tmp_path):
    gaussians = some_gaussians()
    write_splat(tmp_path / "new" / "a.splat", gaussians)
    assert (tmp_path / "new" / "a.splat").stat().st_size == 32 * 50
    again = read_splat(tmp_path / "new" / "a.splat")
    order = torch.cdist(again.means, gaussians.means).argmin(dim=1)
    expected = gaussians.subset(order)
    assert torch.equal(again.means, expected.means)
    assert torch.equal(again.scales, expected.scales)
    torch.testing.assert_close(again.opacities, expected.opacities, atol=0.5 / 255 + 1e-6, rtol=0)
    assert again.sh.shape == (50, 1, 3)
    color = sh0_to_rgb(expected.sh[:, 0])
    torch.testing.assert_close(sh0_to_rgb(again.sh[:, 0]), color.clamp(0, 1), atol=0.5 / 255 + 1e-6, rtol=0)
    torch.testing.assert_close(to_matrix(again.quats), to_matrix(expected.quats), atol=0.04, rtol=0)


def test_splat_is_sorted_and_laid_out_as_the_viewer_reads_it(tmp_path):
    """Bytes by hand: position, scale, colour, rotation, the largest and most opaque first."""
    gaussians = Gaussians(
        torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),
        torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]),
        torch.tensor([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [0.2, 0.2, 0.2]]),
        torch.tensor([0.9, 0.2, 0.4]),
        torch.tensor([[[0.0, 99.0, -99.0]]]).expand(3, 1, 3),
    )
    write_splat(tmp_path / "a.splat", gaussians)
    data = (tmp_path / "a.splat").read_bytes()
    assert [np.frombuffer(data, "<f4", 3, 32 * i).tolist() for i in range(3)] == [[7, 8, 9], [4, 5, 6], [1, 2, 3]]
    assert list(data[24:32]) == [128, 255, 0, 102, 192, 192, 192, 192]
    assert list(data[32 + 28 : 64]) == [128, 0, 128, 128]
    assert list(data[64 + 27 : 96]) == [230, 255, 128, 128, 128]


def read_spz(path):
    """What the reader of gsply's C++ half reads, in the axes of the file; our writer uses the half in Python."""
    gsply = pytest.importorskip("gsply", reason="gsply is not installed")
    gsply.use_backend("cpp")
    try:
        data = gsply.read_spz(path)
    finally:
        gsply.use_backend("python")
    names = ("means", "quats", "scales", "opacities", "sh0")
    means, quats, scales, opacities, sh0 = (torch.as_tensor(np.array(getattr(data, name))) for name in names)
    rest = torch.zeros(len(sh0), 0, 3) if data.shN is None else torch.as_tensor(np.array(data.shN))
    sh = torch.cat([sh0[:, None], rest.reshape(len(sh0), -1, 3)], dim=1)
    return Gaussians(means, quats, scales.exp(), opacities.flatten().sigmoid(), sh)


@pytest.mark.parametrize("coefficients", [1, 4, 16])
def test_spz_holds_the_gaussians_with_up_and_back_turned(tmp_path, coefficients):
    pytest.importorskip("gsply", reason="gsply is not installed")
    gaussians = some_gaussians(coefficients=coefficients)
    write_spz(tmp_path / "a.spz", gaussians)
    again = read_spz(tmp_path / "a.spz")
    flip = torch.tensor([1.0, -1.0, -1.0])
    torch.testing.assert_close(again.means, gaussians.means * flip, atol=2**-20, rtol=0)
    turned = covariances(gaussians) * flip[:, None] * flip
    torch.testing.assert_close(covariances(again), turned, atol=0.03, rtol=0.08)
    torch.testing.assert_close(again.opacities, gaussians.opacities, atol=0.01, rtol=0)
    torch.testing.assert_close(again.sh[:, 0], gaussians.sh[:, 0], atol=0.02, rtol=0)
    assert again.sh.shape == gaussians.sh.shape
    if coefficients > 1:  # degree 1 is -y z -x: the first two change sign with y and z
        signs = torch.tensor([-1.0, -1.0, 1.0])[:, None]
        torch.testing.assert_close(again.sh[:, 1:4], gaussians.sh[:, 1:4] * signs, atol=0.07, rtol=0)


def test_spz_positions_far_away_are_rounded_not_wrapped(tmp_path):
    pytest.importorskip("gsply", reason="gsply is not installed")
    for farthest in (1e-3, 5.0, 2048.0, 1e5):
        gaussians = some_gaussians()
        gaussians.means[:2] = torch.tensor([[farthest, -farthest, farthest], [-farthest, 0.0, 0.0]])
        write_spz(tmp_path / "a.spz", gaussians)
        flip = torch.tensor([1.0, -1.0, -1.0])
        error = (read_spz(tmp_path / "a.spz").means - gaussians.means * flip).abs().max()
        assert error <= max(farthest, 8) * 2**-22 + 1e-6
    gaussians.means[0] = 1e9
    with pytest.raises(UserError, match="too far"):
        write_spz(tmp_path / "a.spz", gaussians)


def test_spz_without_gsply_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gsply", None)
    with pytest.raises(UserError, match=r"trase_ns\[spz\]"):
        write_spz(tmp_path / "a.spz", some_gaussians())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_splat, write_spz])
def test_broken_gaussians_stay_out(tmp_path, capsys, write):
    if write is write_spz:
        pytest.importorskip("gsply", reason="gsply is not installed")
    gaussians = some_gaussians()
    gaussians.means[3, 0], gaussians.sh[4, 0, 0], gaussians.scales[5] = float("nan"), float("inf"), 0.0
    write(tmp_path / "a.file", gaussians)
    again = (read_splat if write is write_splat else read_spz)(tmp_path / "a.file")
    assert len(again) == 48
    assert again.scales.isfinite().all()
    assert "2 Gaussians that are not finite" in capsys.readouterr().err.replace("\n", " ")
    with pytest.raises(UserError, match="no Gaussians"):
        write(tmp_path / "b.file", gaussians.subset(torch.tensor([3, 4])))
    assert not (tmp_path / "b.file").exists()
