"""What we write, opened by a program that we did not: PlayCanvas' splat-transform."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trase_ns.editing.exporting import Options, evenly, export, items
from trase_ns.editing.studio import Studio
from trase_ns.scene.baked import KeyTimes
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.scene.ply import read_ply, write_ply
from trase_ns.scene.quaternions import to_matrix
from trase_ns.scene.spherical_harmonics import sh0_to_rgb
from trase_ns.scene.splat import write_splat, write_spz

pytestmark = pytest.mark.slow

COUNT = 500


@pytest.fixture(scope="module")
def convert():
    """Return a function that converts a file to another with splat-transform."""
    here = Path(sys.prefix) / "node" / "node_modules" / ".bin" / "splat-transform"
    program = os.environ.get("TRASE_SPLAT_TRANSFORM") or (str(here) if here.exists() else None)
    program = program or shutil.which("splat-transform")
    if program is None or shutil.which("node") is None:
        pytest.skip("no splat-transform: npm install --prefix .venv/node @playcanvas/splat-transform")

    def run(source, target):
        done = subprocess.run(
            [program, "-w", str(source), str(target)], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return target

    return run


@pytest.fixture(params=[1, 16], ids=["degree 0", "degree 3"])
def gaussians(request):
    """Gaussians whose places tell them apart."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(*shape, generator=random)

    return Gaussians(
        8 * draw(COUNT, 3) - 4, draw(COUNT, 4) - 0.5, draw(COUNT, 3) / 4 + 0.01, 0.8 * draw(COUNT) + 0.1,
        draw(COUNT, request.param, 3) - 0.5,
    )  # fmt: skip


def table(path):
    """Columns of a CSV file, by name."""
    data = np.genfromtxt(path, delimiter=",", names=True)
    return {name: torch.from_numpy(np.atleast_1d(data[name])).float() for name in data.dtype.names}


def matched(expected, means):
    """`expected` in the order of `means` [N, 3]."""
    assert len(means) == len(expected)
    order = torch.cdist(means, expected.means).argmin(dim=1)
    assert len(order.unique()) == len(expected)
    return expected.subset(order)


def covariances(gaussians):
    axes = to_matrix(gaussians.quats) * gaussians.scales[:, None]
    return axes @ axes.mT


@pytest.mark.parametrize("ids", ["without ids", "beside", "as a column"])
def test_ply(tmp_path, convert, gaussians, ids):
    numbers = None if ids == "without ids" else torch.arange(COUNT) % 7 - 1
    write_ply(tmp_path / "a.ply", gaussians, numbers, with_ids=ids == "as a column")
    columns = table(convert(tmp_path / "a.ply", tmp_path / "a.csv"))
    means = torch.stack([columns[name] for name in "xyz"], dim=1)
    same = matched(gaussians, means)
    torch.testing.assert_close(means, same.means, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(columns["opacity"].sigmoid(), same.opacities, atol=1e-5, rtol=0)
    torch.testing.assert_close(columns["scale_1"].exp(), same.scales[:, 1], atol=0, rtol=1e-4)
    torch.testing.assert_close(columns["f_dc_2"], same.sh[:, 0, 2], atol=1e-5, rtol=1e-5)
    rest = 3 * (gaussians.sh.shape[1] - 1)
    assert sum(name.startswith("f_rest_") for name in columns) == rest
    if rest:  # all of red, then green, then blue: 15 + 4 is the fifth coefficient of green
        torch.testing.assert_close(columns["f_rest_19"], same.sh[:, 5, 1], atol=1e-5, rtol=1e-5)

    again = read_ply(convert(tmp_path / "a.ply", tmp_path / "b.ply"))
    same = matched(gaussians, again.means)
    torch.testing.assert_close(again.sh, same.sh, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(covariances(again), covariances(same), atol=1e-5, rtol=1e-4)


def test_ply_becomes_its_own_compressed_kind(tmp_path, convert, gaussians):
    write_ply(tmp_path / "a.ply", gaussians)
    convert(tmp_path / "a.ply", tmp_path / "a.compressed.ply")
    assert len(table(convert(tmp_path / "a.compressed.ply", tmp_path / "a.csv"))["x"]) == COUNT


def test_splat(tmp_path, convert, gaussians):
    write_splat(tmp_path / "a.splat", gaussians)
    again = read_ply(convert(tmp_path / "a.splat", tmp_path / "a.ply"))
    same = matched(gaussians, again.means)
    torch.testing.assert_close(again.means, same.means)
    torch.testing.assert_close(again.scales, same.scales, atol=0, rtol=1e-4)
    torch.testing.assert_close(again.opacities, same.opacities, atol=0.01, rtol=0)
    torch.testing.assert_close(to_matrix(again.quats), to_matrix(same.quats), atol=0.04, rtol=0)
    colors = [sh0_to_rgb(g.sh[:, 0]) for g in (again, same)]
    torch.testing.assert_close(colors[0], colors[1].clamp(0, 1), atol=0.01, rtol=0)


def test_spz(tmp_path, convert, gaussians):
    """It stands as the PLY does: the axes that were turned for the format are turned back."""
    pytest.importorskip("gsply", reason="gsply is not installed")
    write_spz(tmp_path / "a.spz", gaussians)
    again = read_ply(convert(tmp_path / "a.spz", tmp_path / "a.ply"))
    same = matched(gaussians, again.means)
    torch.testing.assert_close(again.means, same.means, atol=1e-4, rtol=0)
    torch.testing.assert_close(again.opacities, same.opacities, atol=0.01, rtol=0)
    torch.testing.assert_close(covariances(again), covariances(same), atol=0.003, rtol=0.08)
    torch.testing.assert_close(again.sh, same.sh, atol=0.07, rtol=0)


@pytest.mark.parametrize("format", ["ply", "splat", "spz"])
def test_a_sequence(tmp_path, convert, format):
    """Numbered from 1 without gaps, each file with all Gaussians at its time."""
    if format == "spz":
        pytest.importorskip("gsply", reason="gsply is not installed")
    motion = torch.zeros(COUNT, 2, 10)
    motion[:, 1, 0] = 4.0
    means = torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(0))
    scene = DynamicGaussians(
        means, torch.ones(COUNT, 4), torch.full((COUNT, 3), -3.0), torch.zeros(COUNT), torch.zeros(COUNT, 3),
        torch.zeros(COUNT, 0, 3), torch.zeros(COUNT, 0), KeyTimes(torch.tensor([0.0, 1.0])), motion,
    )  # fmt: skip
    studio = Studio(lambda: scene, lambda: None)
    export(studio, items(studio, "scene")[0], tmp_path, Options("sequence", format, times=evenly(5)))
    files = sorted(tmp_path.rglob("frame*"))
    assert [file.name for file in files] == [f"frame{i:04d}.{format}" for i in range(1, 6)]
    for i, file in enumerate(files):
        columns = table(convert(file, tmp_path / "table.csv"))
        assert len(columns["x"]) == COUNT
        assert float(columns["x"].mean()) == pytest.approx(float(means[:, 0].mean()) + i, abs=1e-3)
