"""The blending weights of a view: a sparse matrix of pixels by Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from trase_ns.render.rasterization import check_arguments
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians

NEAR_PLANE, FAR_PLANE, EPS2D = 0.01, 1e10, 0.3  # those of `rasterize`


@dataclass(frozen=True)
class Contributions:
    """A sparse matrix W of P pixels by N Gaussians in CSR form: the weight of each Gaussian in each pixel.

    W times colours [N, C] is the picture of these colours, without background. A row lists the Gaussians of its
    pixel from front to back.

    Attributes:
        indptr: [P + 1] int64, where each row begins.
        indices: [nnz] int64, the Gaussians.
        weights: [nnz] float32, in (0, 1).
        shape: (P, N).
    """

    indptr: Tensor
    indices: Tensor
    weights: Tensor
    shape: tuple[int, int]

    def matmul(self, values: Tensor) -> Tensor:
        """Return W values [P, C] for `values` [N, C]; differentiable in them."""
        return self._product(values, transposed=False)

    def transpose_matmul(self, values: Tensor) -> Tensor:
        """Return W^T values [N, C] for `values` [P, C]; differentiable in them."""
        return self._product(values, transposed=True)

    def rows(self, index: Tensor) -> Contributions:
        """Return the rows that `index` names: bool [P] or integers [R], which may repeat."""
        index = torch.arange(self.shape[0], device=self.indptr.device)[index]
        starts, counts = self.indptr[index], self.indptr.diff()[index]
        indptr = _cumulated(counts)
        shift = torch.repeat_interleave(starts - indptr[:-1], counts)
        picks = shift + torch.arange(len(shift), device=shift.device)
        return Contributions(indptr, self.indices[picks], self.weights[picks], (len(index), self.shape[1]))

    def row_sums(self) -> Tensor:
        """Return the opacity [P] of each pixel."""
        return self.matmul(self.weights.new_ones(self.shape[1], 1))[:, 0]

    def column_sums(self) -> Tensor:
        """Return the total weight [N] of each Gaussian."""
        return self.transpose_matmul(self.weights.new_ones(self.shape[0], 1))[:, 0]

    def to_scipy(self) -> Any:
        """Return the same matrix as a `scipy.sparse.csr_array`, which shares its memory where it is on the CPU."""
        from scipy.sparse import csr_array

        return csr_array(tuple(t.cpu().numpy() for t in (self.weights, self.indices, self.indptr)), shape=self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(t.nbytes for t in (self.indptr, self.indices, self.weights))

    @cached_property
    def _transposed(self) -> Contributions:
        if self.indptr.is_cuda:
            gaussian, order = torch.sort(self.indices, stable=True)
            rows = torch.repeat_interleave(torch.arange(self.shape[0], device=order.device), self.indptr.diff())
            counts = torch.bincount(gaussian, minlength=self.shape[1])
            parts = _cumulated(counts), rows[order], self.weights[order]
        else:
            from trase_ns.render.cpu.functions import transpose_csr

            parts = transpose_csr(self.indptr, self.indices, self.weights, self.shape[1])
        return Contributions(*parts, (self.shape[1], self.shape[0]))

    def _product(self, values: Tensor, transposed: bool) -> Tensor:
        expected = self.shape[0 if transposed else 1]
        if values.dim() != 2 or values.shape[0] != expected:
            raise ValueError(f"values has shape {list(values.shape)}, expected [{expected}, C]")
        if values.device != self.weights.device:
            raise ValueError(f"values is on {values.device}, the weights are on {self.weights.device}")
        return _Product.apply(values, self, transposed)  # type: ignore[return-value]


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values, matrix, transposed):
        ctx.matrix, ctx.transposed = matrix, transposed
        return _multiply(matrix._transposed if transposed else matrix, values)

    @staticmethod
    def backward(ctx: Any, v_result):
        return _Product.apply(v_result, ctx.matrix, not ctx.transposed), None, None


def _multiply(matrix: Contributions, values: Tensor) -> Tensor:
    """W values without gradient."""
    if matrix.weights.is_cuda:
        crow, col, weights = matrix.indptr, matrix.indices, matrix.weights.to(values.dtype)
        return torch.sparse_csr_tensor(crow, col, weights, size=matrix.shape) @ values
    from trase_ns.render.cpu.functions import multiply_csr

    return multiply_csr(matrix.indptr, matrix.indices, matrix.weights, values)


def _cumulated(counts: Tensor) -> Tensor:
    """[0, counts[0], counts[0] + counts[1], ...]."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


@torch.no_grad()
def contributions(
    gaussians: Gaussians, camera: Camera, pixels: Tensor | None = None, backend: str = "auto"
) -> Contributions:
    """Return the weight of each Gaussian in the pixels that `camera` sees, on the Gaussians' device.

    Args:
        gaussians: N Gaussians at the camera's time.
        camera: OpenCV axes, on any device.
        pixels: [P, 2] integers (x, y), which may repeat; all pixels by default, in rows of the image (y * width + x).
        backend: as in `rasterize`.

    Raises:
        ValueError: a pixel outside the image, or see `rasterize`.
    """
    device = gaussians.means.device
    g = gaussians
    viewmats, Ks = camera.viewmat[None].detach().to(device), camera.K[None].to(device)
    scene = g.means, g.quats, g.scales, g.opacities, viewmats, Ks, camera.width, camera.height
    backend = check_arguments(*scene, backend)
    wanted = None
    if pixels is not None:
        wanted, row_of = torch.unique(_flat_index(pixels.to(device), camera), return_inverse=True)
    if backend == "cpu":
        from trase_ns.render.cpu.functions import view_weights

        matrix = Contributions(*view_weights(*scene, wanted, NEAR_PLANE, FAR_PLANE, EPS2D))
        return matrix if pixels is None else matrix.rows(row_of)
    if backend == "cuda":
        from trase_ns.render.cuda import view_weights
    else:
        from trase_ns.render.reference import view_weights
    matrix = Contributions(*view_weights(*scene, NEAR_PLANE, FAR_PLANE, EPS2D))
    return matrix if wanted is None else matrix.rows(wanted[row_of])


def _flat_index(pixels: Tensor, camera: Camera) -> Tensor:
    """Index y * width + x [P] of `pixels` [P, 2]."""
    if pixels.dim() != 2 or pixels.shape[1] != 2 or pixels.is_floating_point() or pixels.dtype == torch.bool:
        raise ValueError(f"pixels is {pixels.dtype} {list(pixels.shape)}, expected integers [P, 2] (x, y)")
    x, y = pixels.long().unbind(1)
    outside = (x < 0) | (x >= camera.width) | (y < 0) | (y >= camera.height)
    if outside.any():
        first = pixels[outside][0].tolist()
        raise ValueError(f"pixel {tuple(first)} is outside the image of {camera.width} x {camera.height}")
    return y * camera.width + x
