"""What a rectangle and a scribble in a picture select, by the same rules as clicks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.segmentation.clicks import OPAQUE, Granularity, Selection, choose, lies_under, similar_members
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.visibility import visible_weight

if TYPE_CHECKING:
    from trase_ns.render import Contributions

# So many pixels, evenly over a region, are looked at one by one.
SAMPLE = 1500
# Of the pixels that an object lies under, this share must mean it: at the borders of others some always do.
MEANT = 0.1
# A Gaussian that so little light comes from, on average over where it is seen, lies behind what the picture shows.
BEHIND = 0.05


@dataclass(frozen=True)
class Rectangle:
    """A rectangle in a picture: it means what lies mostly inside.

    Attributes:
        camera: the view, with its time.
        left, top, right, bottom: edges in pixels of that view, x right, y down; in any order, and cut off by the
            borders of the picture.
        granularity: "coarse", "fine" or None as for a click, or "gaussians" to select no objects but the Gaussians.
        share: of what is visible of an object or Gaussian, the least share inside, in (0, 1].
    """

    camera: Camera
    left: float
    top: float
    right: float
    bottom: float
    granularity: Granularity | Literal["gaussians"] | None = None
    share: float = 0.5

    def pixels(self) -> Tensor:
        """Return bool [H, W], the pixels whose centre lies inside."""
        camera = self.camera
        x, y = torch.arange(camera.width) + 0.5, torch.arange(camera.height) + 0.5
        across = (x >= min(self.left, self.right)) & (x <= max(self.left, self.right))
        down = (y >= min(self.top, self.bottom)) & (y <= max(self.top, self.bottom))
        return down[:, None] & across


@dataclass(frozen=True)
class Scribble:
    """A line drawn over a picture with a round brush: it means what a click on each of its pixels would.

    Attributes:
        camera: the view, with its time.
        points: the corners of the line in pixels (x right, y down) of that view, one or more; what lies outside of
            the picture is cut off.
        radius: of the brush, in pixels.
        granularity: "coarse", "fine" or None as for a click, or "gaussians" to select no objects but the Gaussians.
        share: of the scribble's pixels, the least share that means an object; with "gaussians", of what is visible of
            a Gaussian, the least share under the brush; in (0, 1].
    """

    camera: Camera
    points: tuple[tuple[float, float], ...]
    radius: float = 4.0
    granularity: Granularity | Literal["gaussians"] | None = None
    share: float = 0.2

    def pixels(self) -> Tensor:
        """Return bool [H, W], the pixels whose centre is under the brush, and those that a corner lies in."""
        camera = self.camera
        under = torch.zeros(camera.height, camera.width, dtype=torch.bool)
        corners = torch.tensor(self.points, dtype=torch.float64).reshape(-1, 2)
        for start, end in zip(corners, torch.cat([corners[1:], corners[-1:]])):
            low = (torch.minimum(start, end) - self.radius).floor().clamp(min=0)
            high = (torch.maximum(start, end) + self.radius).ceil()
            left, right = int(low[0]), int(min(high[0], camera.width))
            top, bottom = int(low[1]), int(min(high[1], camera.height))
            if left >= right or top >= bottom:
                continue
            x, y = torch.arange(left, right) + 0.5, torch.arange(top, bottom) + 0.5
            ys, xs = torch.meshgrid(y, x, indexing="ij")
            offset = torch.stack([xs, ys], dim=-1) - start
            along = end - start
            place = ((offset @ along) / along.square().sum().clamp_min(1e-12)).clamp(0, 1)
            distance = (offset - place[..., None] * along).norm(dim=-1)
            under[top:bottom, left:right] |= distance <= self.radius
        column, row = corners.floor().long().unbind(1)
        inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
        under[row[inside], column[inside]] = True
        return under


Region = Rectangle | Scribble


@torch.no_grad()
def select_region(
    scene: DynamicGaussians,
    segmentation: Segmentation | None,
    region: Region,
    similarity: float | None = None,
    at: Callable[[float], Gaussians] | None = None,
) -> Selection:
    """Select in 4D what a rectangle or a scribble in a picture means.

    Every pixel means the object that a click there would select. A rectangle selects those of them whose visible
    weight lies mostly inside, a scribble those that enough of its pixels mean. Where there is no such object, or with
    granularity "gaussians", the Gaussians seen there are selected themselves, if enough of their visible weight lies
    inside and they do not only shine through from behind.

    Args:
        scene: the scene.
        segmentation: its objects, or None to select Gaussians.
        region: what was drawn.
        similarity: as in `select`; Gaussians that are selected themselves are not filtered.
        at: as in `select`.

    Returns:
        The selection; add its mask to another one, or take it away.

    Raises:
        UserError: a region outside the picture, on nothing, or that selects nothing; numbers that make no sense.
    """
    from trase_ns.render import contributions

    name = type(region).__name__.lower()
    _check(region, name)
    pixels = region.pixels()
    if not pixels.any():
        raise UserError(f"the {name} holds no pixel of the picture of {_size(region.camera)} pixels: draw it inside.")
    camera = region.camera.to(scene.device)
    gaussians = (at or scene.at)(camera.time)
    matrix = contributions(gaussians, camera, _sample(pixels).to(scene.device))
    if not (matrix.row_sums() >= OPAQUE).any():
        raise UserError(f"the {name} is on nothing: no Gaussian is seen there.")
    both = torch.stack([pixels, torch.ones_like(pixels)], dim=-1).float()
    inside, seen = visible_weight(gaussians, camera, both).unbind(1)

    note = ""
    if segmentation is not None and len(segmentation) and region.granularity != "gaussians":
        objects = _objects(segmentation, region, matrix, inside, seen)
        if objects:
            parts = [similar_members(scene, segmentation, i, similarity) for i in objects]
            return Selection(torch.stack(parts).any(dim=0), objects)
        note = f"No object lies {'mostly inside the' if name == 'rectangle' else 'under enough of the'} {name}: "
        note += "the Gaussians that are seen there were taken."
    mask = (inside > 0) & (inside >= region.share * seen) & ~_behind(matrix)
    if not mask.any():
        raise UserError(f"the {name} selects nothing: no object or Gaussian lies mostly inside. Draw it larger.")
    return Selection(mask, [], (note,) if note else ())


def _objects(
    segmentation: Segmentation, region: Region, matrix: Contributions, inside: Tensor, seen: Tensor
) -> list[int]:
    """Return the objects that a region means, ascending."""
    under = _under(segmentation, matrix)
    if isinstance(region, Rectangle):
        under &= (segmentation.coverage(inside) >= region.share * segmentation.coverage(seen)).cpu()
    granularity = None if region.granularity == "gaussians" else region.granularity
    votes = torch.zeros(len(segmentation), dtype=torch.int64)
    for candidates, count in zip(*torch.unique(under, dim=0, return_counts=True)):
        if candidates.any():
            index = candidates.nonzero().flatten().to(segmentation.labels.device)
            votes[choose(segmentation, index, granularity)] += int(count)
    least = MEANT * under.sum(dim=0)
    if isinstance(region, Scribble):
        least = least.clamp_min(region.share * int((matrix.row_sums() >= OPAQUE).sum()))
    return ((votes > 0) & (votes >= least)).nonzero().flatten().tolist()


def _under(segmentation: Segmentation, matrix: Contributions) -> Tensor:
    """Return bool [P, O] on the CPU, the objects that lie under each of P pixels; none under transparent ones."""
    from scipy import sparse

    indices, indptr = segmentation.indices.cpu().numpy(), segmentation.indptr.cpu().numpy()
    shape = (segmentation.gaussians, len(segmentation))
    members = sparse.csc_array((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
    covered = torch.from_numpy((matrix.to_scipy() @ members).toarray())
    total = matrix.row_sums().cpu()[:, None]
    return lies_under(covered / total.clamp_min(OPAQUE)) & (total >= OPAQUE)


def _behind(matrix: Contributions) -> Tensor:
    """Return bool [N], the Gaussians that lie behind others in the pixels where they are seen.

    The light that reaches an entry of a row is what the entries before it let through; the mean is over its weights.
    """
    weights = matrix.weights
    before = weights.double().cumsum(0) - weights
    starts = before[matrix.indptr[:-1].clamp(max=max(len(weights) - 1, 0))] if len(weights) else before
    light = 1 - (before - torch.repeat_interleave(starts, matrix.indptr.diff()))
    total = weights.new_zeros(matrix.shape[1]).index_add_(0, matrix.indices, weights)
    passed = weights.new_zeros(matrix.shape[1]).index_add_(0, matrix.indices, weights * light.to(weights))
    return (total > 0) & (passed < BEHIND * total)


def _sample(pixels: Tensor) -> Tensor:
    """Return [P, 2] int64 (x, y): of the pixels in bool [H, W] at most SAMPLE, evenly over them."""
    y, x = pixels.nonzero().unbind(1)
    if len(x) > SAMPLE:
        step = math.ceil(math.sqrt(len(x) / SAMPLE))
        squares = (y // step * pixels.shape[1] + x // step).numpy()  # one pixel of each square of step x step
        first = torch.from_numpy(np.unique(squares, return_index=True)[1])
        x, y = x[first], y[first]
    return torch.stack([x, y], dim=1)


def _check(region: Region, name: str) -> None:
    """Raise a UserError where numbers make no sense."""
    if isinstance(region, Scribble):
        numbers = [number for point in region.points for number in point]
        if not (math.isfinite(region.radius) and region.radius >= 0):
            raise UserError(f"scribble with a brush of radius {region.radius:g}: use a number of pixels, 0 or more.")
    else:
        numbers = [region.left, region.top, region.right, region.bottom]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise UserError(f"the {name} has no place in the picture: draw it again.")
    if not 0 < region.share <= 1:
        raise UserError(f"{name}: share {region.share:g}: use a number above 0, at most 1.")
    if region.granularity not in (None, "coarse", "fine", "gaussians"):
        raise UserError(f"{name}: granularity {region.granularity!r}: use coarse, fine or gaussians, or leave it out.")


def _size(camera: Camera) -> str:
    return f"{camera.width} x {camera.height}"
