import os
import subprocess
import sys

import pytest

from trase_ns.render.cpu.runtime import forget_stale_kernels


def test_changed_sources_forget_the_kernels(tmp_path):
    source = tmp_path / "kernels.py"
    source.write_text("one")
    forget_stale_kernels(tmp_path)
    kernel = tmp_path / "__pycache__" / "kernels.f-1.nbc"
    kernel.write_text("machine code")
    forget_stale_kernels(tmp_path)
    assert kernel.exists()
    source.write_text("two")
    forget_stale_kernels(tmp_path)
    assert not kernel.exists()


def test_changed_sources_elsewhere_forget_the_kernels(tmp_path):
    elsewhere = tmp_path / "elsewhere.py"
    package = tmp_path / "package"
    kernel = package / "__pycache__" / "kernels.f-1.nbc"
    package.mkdir()
    elsewhere.write_text("one")
    forget_stale_kernels(package, elsewhere)
    kernel.write_text("machine code")
    forget_stale_kernels(package, elsewhere)
    assert kernel.exists()
    elsewhere.write_text("two")
    forget_stale_kernels(package, elsewhere)
    assert not kernel.exists()


def test_importing_render_loads_neither_numba_nor_gsplat():
    code = "import sys, trase_ns.render; print([m for m in ('numba', 'gsplat', 'scipy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.slow
def test_only_the_first_call_compiles_and_says_so(tmp_path):
    code = """
import torch
from trase_ns.render.cpu.functions import project
print(project(torch.ones(2, 3), torch.ones(2, 4), torch.ones(2, 3), torch.eye(4)[None], torch.eye(3)[None],
              20, 20, 0.01, 1e10, 0.3)[2].tolist())
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [run.stderr.count("Compiling the CPU renderer") for run in runs] == [1, 0]
    assert runs[0].stdout == runs[1].stdout == "[[1.0, 1.0]]\n"
