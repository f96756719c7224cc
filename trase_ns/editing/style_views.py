"""What a camera sees of selected Gaussians, as a linear function of their colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from trase_ns.render import Contributions, contributions, render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import evaluate

# Where less of a pixel than this is the selection's, its colour there says nothing.
SEEN = 0.5
# A crop leaves this margin, and each side is at least so long, pixels.
MARGIN, SMALLEST = 16, 64
# The search for the selection in a view renders it so large, pixels.
COARSE = 256


@dataclass(frozen=True)
class SelectionView:
    """What one camera sees of the selection, as a linear function of its colours.

    Attributes:
        weights: P pixels by R selected Gaussians.
        rest: [P, 3] what all others show.
        directions: [R, 3] from the camera to the Gaussians.
        shape: height and width of the crop, P pixels.
        cells: int64 [Q], the features' cells, in rows, that show something of the selection.
        shares: [Q] how much of each is the selection's.
        before: [P, 3] the picture as it was.
        fringe: [P] in [0, 1/4], large where the selection and what is behind it mix.
    """

    weights: Contributions
    rest: Tensor
    directions: Tensor
    shape: tuple[int, int]
    cells: Tensor
    shares: Tensor
    before: Tensor
    fringe: Tensor

    def picture(self, sh: Tensor) -> Tensor:
        """Return the picture [H, W, 3] with coefficients `sh` [R, K, 3]; differentiable."""
        return (self.weights.matmul(evaluate(sh, self.directions)) + self.rest).reshape(*self.shape, 3)

    def spill(self, picture: Tensor) -> Tensor:
        """Return the mean squared change of `picture` [H, W, 3] in the fringe."""
        change = (picture.flatten(0, 1) - self.before).square().mean(dim=1)
        return (self.fringe * change).sum() / self.fringe.sum().clamp_min(1e-12)

    def change(self, features: Tensor, before: Tensor) -> Tensor:
        """Return the squared change of features [h, w, C] where the selection is seen, relative to their squares."""
        now, then = (x.flatten(0, 1)[self.cells] for x in (features, before))
        change = (self.shares[:, None] * (now - then).square()).sum()
        return change / (self.shares[:, None] * then.square()).sum().clamp_min(1e-12)

    def covered(self, sh: Tensor) -> tuple[Tensor, Tensor]:
        """Return the colours [P', 3] of the pixels that the selection covers, and how much it does [P']."""
        alpha = self.weights.row_sums()
        seen = alpha > SEEN
        return self.weights.matmul(evaluate(sh, self.directions))[seen] / alpha[seen, None], alpha[seen]

    def weight_where(self, covered: bool) -> Tensor:
        """Return the weight [R] that each Gaussian has in pixels that the selection covers, or in the others."""
        return self.weights.transpose_matmul(((self.weights.row_sums() > SEEN) == covered).float()[:, None])[:, 0]

    @property
    def nbytes(self) -> int:
        """Size in bytes, with the transposed weights that gradients need."""
        parts = self.rest, self.directions, self.before, self.fringe
        return 2 * self.weights.nbytes + sum(part.nbytes for part in parts)


def view_selection(
    scene: DynamicGaussians, mask: Tensor, camera: Camera, longest: int, stride: int
) -> SelectionView | None:
    """Make the view of a camera, cropped to the selection; None where it shows less of it than one cell of features.

    Args:
        scene: the scene; what hides the selection is respected.
        mask: bool [N], the selected Gaussians.
        camera: the view and its time.
        longest: longest side of the selection in the view, pixels.
        stride: side of a cell of the features, pixels.
    """
    gaussians = scene.at(camera.time)
    coarse = camera.scaled(min(1.0, COARSE / max(camera.width, camera.height)))
    alone = render_view(gaussians, coarse, colors=mask[:, None].to(gaussians.means)).color[..., 0]
    crop = _crop(camera, alone > SEEN / 2, longest)
    if crop is None:
        return None
    whole = contributions(gaussians, crop)
    weights = _columns(whole, mask)
    alpha = weights.row_sums()
    grid = (crop.height // stride, crop.width // stride)
    shares = interpolate(alpha.reshape(1, 1, crop.height, crop.width), size=grid, mode="area").flatten()
    if float(shares.sum()) < 1 or not bool((alpha > SEEN).any()):
        return None
    directions = gaussians.means - camera.position
    colors = evaluate(gaussians.sh, directions)
    cells = (shares > 0.01).nonzero().flatten()
    return SelectionView(
        weights=weights,
        rest=whole.matmul(colors * ~mask[:, None]),
        directions=directions[mask],
        shape=(crop.height, crop.width),
        cells=cells,
        shares=shares[cells],
        before=whole.matmul(colors),
        fringe=torch.where(alpha < SEEN, alpha * (1 - alpha), 0.0),
    )


def _crop(camera: Camera, seen: Tensor, longest: int) -> Camera | None:
    """Camera of the part of the picture where `seen` (bool [h, w], the picture scaled) is true; None if nowhere."""
    if not bool(seen.any()):
        return None
    spans = []
    for axis, size in ((0, camera.width), (1, camera.height)):
        hits = seen.any(dim=axis).nonzero().flatten()
        scale = size / seen.shape[1 - axis]
        spans.append((float(hits[0]) * scale, float(hits[-1] + 1) * scale, size))
    factor = longest / max(high - low for low, high, _ in spans)
    (left, width), (top, height) = (
        _grown(low * factor, high * factor, round(size * factor)) for low, high, size in spans
    )
    scaled = camera.scaled(factor)
    K = scaled.K.clone()
    K[0, 2] -= left
    K[1, 2] -= top
    return Camera(camera.viewmat, K, width, height, camera.time)


def _grown(low: float, high: float, size: int) -> tuple[int, int]:
    """Start and length of a span with its margin: inside the picture, but at least SMALLEST long."""
    margin = max(MARGIN, (SMALLEST - (high - low)) / 2)
    start, stop = max(0, int(low - margin)), min(size, int(high + margin) + 1)
    return start, max(stop - start, SMALLEST)


def _columns(matrix: Contributions, mask: Tensor) -> Contributions:
    """The columns of `matrix` that `mask` (bool [N]) names."""
    kept = mask[matrix.indices]
    counts = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.cumsum(0)])
    new = mask.cumsum(0) - 1
    shape = (matrix.shape[0], int(mask.sum()))
    return Contributions(counts[matrix.indptr], new[matrix.indices[kept]], matrix.weights[kept], shape)
