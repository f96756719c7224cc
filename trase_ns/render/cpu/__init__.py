"""The CPU backend: gsplat's picture and gradients from numba kernels.

`functions` is what the rest of the package calls; the kernels are in `projection`, `tiles`, `blending` and `sparse`,
written with the vectors of `vectors`.
"""

from pathlib import Path

from trase_ns.render.cpu.runtime import forget_stale_kernels

forget_stale_kernels(Path(__file__).parent)
