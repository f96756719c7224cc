"""The CPU backend: gsplat's picture and gradients from numba kernels.

`functions` is what the rest of the package calls; the kernels are in `projection`, `tiles`, `blending` and `sparse`,
written with the vectors of `vectors`.
"""
