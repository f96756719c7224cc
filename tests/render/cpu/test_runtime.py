import subprocess
import sys

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


def test_importing_render_loads_neither_numba_nor_gsplat():
    code = "import sys, trase_ns.render; print([m for m in ('numba', 'gsplat', 'scipy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
