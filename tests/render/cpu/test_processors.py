"""The kernels on processors with narrower vectors than this one's: LLVM splits ours."""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

CODE = """
import sys
import numpy as np
import torch
from trase_ns.render import rasterize
from trase_ns.render.cpu.blending import blend, blend_backward

given = {name: torch.from_numpy(value) for name, value in np.load(sys.argv[1]).items()}
leaves = {name: given[name].requires_grad_() for name in ("means", "quats", "scales", "opacities", "colors")}
picture, alpha, _ = rasterize(**leaves, viewmats=given["viewmats"], Ks=given["Ks"], width=70, height=45)
(picture * given["weights"]).sum().backward()
np.savez(sys.argv[2], picture=picture.detach(), **{name: leaf.grad for name, leaf in leaves.items()})
code = "".join(text for kernel in (blend, blend_backward) for text in kernel.inspect_asm().values())
print([name for name in ("xmm", "ymm", "zmm") if name in code])
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the processors of this test are x86-64")
@pytest.mark.parametrize(
    ("processor", "registers"), [("haswell", "['xmm', 'ymm']"), ("x86-64", "['xmm']")], ids=["AVX2", "SSE2"]
)
def test_narrow_vectors_give_the_same_picture(make_scene, tmp_path, processor, registers):
    from llvmlite.binding import get_host_cpu_features

    if processor == "haswell" and not get_host_cpu_features().get("avx2"):
        pytest.skip("this processor has no AVX2")
    scene = make_scene(count=300, channels=36)
    weights = np.random.default_rng(0).normal(size=(1, 45, 70, 36)).astype(np.float32)
    inputs = {name: t.numpy() for name, t in scene.inputs.items() if name != "backgrounds"}
    np.savez(tmp_path / "scene.npz", viewmats=scene.viewmats, Ks=scene.Ks, weights=weights, **inputs)

    def rendered(name, **environment):
        result = subprocess.run(
            [sys.executable, "-c", CODE, tmp_path / "scene.npz", tmp_path / f"{name}.npz"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return result.stdout, np.load(tmp_path / f"{name}.npz")

    _, expected = rendered("host")
    narrow = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    shown, got = rendered("narrow", **narrow)
    assert shown.strip() == registers
    for name, value in expected.items():
        tolerance = 1e-5 if name == "picture" else 1e-4 * np.abs(value).max()
        np.testing.assert_allclose(got[name], value, rtol=0, atol=tolerance, err_msg=name)
