"""How well each object fits a text, and the objects that a threshold on it selects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.learning.uplift import uplift_masks
from trase_ns.masks import MaskSet
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.clicks import Selection
from trase_ns.segmentation.objects import Segmentation

# Objects with this share of support are selected by default.
SHARE = 0.5
# Of the views the best and the worst are left out, this share each: where the detector erred.
TRIM = 0.2
# A view where the detector found nothing counts this much: detectors miss things more often than they invent them.
SILENT = 0.25
# A whole that agrees better than its part is taken with it down to this share of the part's support: what lies at the
# border of an object is inside the masks less often than its middle.
WHOLE = 0.8
# Two objects are the same thing, or one part of the other, if they share this much of the smaller one.
NESTED = 0.5


@dataclass(frozen=True)
class TextSupport:
    """How well each object fits a text; `select` is cheap, for a slider.

    Attributes:
        text: the text.
        segmentation: the objects, or None where single Gaussians were measured.
        support: [O] float32 in [0, 1], or [N] without objects: how much of what is seen of it lies inside the masks.
        agreement: the same shape: how well it and the masks are one (their IoU). A part of the thing meant lies inside
            the masks as it does, but agrees with them less.
        found: number of views in which something was found.
        views: number of views.
    """

    text: str
    segmentation: Segmentation | None
    support: Tensor
    agreement: Tensor
    found: int
    views: int

    def select(self, share: float = SHARE) -> Selection:
        """Select what has at least this share of support.

        Of objects that lie in each other the one with the best agreement is taken: the book, neither the shelf that
        it stands in nor the picture on its cover. It may have a little less than the share, if the picture has it.

        Args:
            share: in [0, 1].

        Returns:
            the selected Gaussians and objects, the best first; a note where nothing is selected.

        Raises:
            UserError: the share is not in [0, 1].
        """
        if not 0 <= share <= 1:
            raise UserError(f"the share of support must lie in [0, 1], but is {share}.")
        good = (self.support >= share) & (self.support > 0)
        notes = () if good.any() else (self._nothing(share),)
        if self.segmentation is None:
            return Selection(good, [], notes)
        objects = self._objects(good.cpu().numpy())
        mask = torch.zeros(self.segmentation.gaussians, dtype=torch.bool, device=self.segmentation.labels.device)
        for index in objects:
            mask |= self.segmentation.members(index)
        return Selection(mask, objects, notes)

    def _objects(self, good: np.ndarray) -> list[int]:
        """The objects that are meant where those in `good` [O] bool have the share; the best first."""
        assert self.segmentation is not None
        support, agreement = (values.cpu().numpy() for values in (self.support, self.agreement))
        least = WHOLE * support[good].min(initial=np.inf)
        candidates = (support >= least).nonzero()[0]
        candidates = candidates[np.argsort(-agreement[candidates], kind="stable")]
        good, support, agreement = good[candidates], support[candidates], agreement[candidates]
        nested = _nested(self.segmentation, candidates)
        whole = nested & (agreement[:, None] > agreement) & (support[:, None] >= WHOLE * support)
        allowed = good | (whole & good).any(axis=1)
        taken: list[int] = []
        for i in allowed.nonzero()[0].tolist():
            if not nested[i, taken].any():
                taken.append(i)
        return candidates[taken].tolist()

    def _nothing(self, share: float) -> str:
        what = "Gaussian" if self.segmentation is None else "object"
        if not self.found:
            return f"{self.text!r} was found in none of {self.views} views: try other words."
        best = float(self.support.max()) if len(self.support) else 0.0
        if best <= 0:
            return f"{self.text!r} was found in {self.found} of {self.views} views, but on no {what}: try other words."
        return (
            f"no {what} has a support of {share:.0%} for {self.text!r}: the best has {math.floor(100 * best + 1e-4)}%. "
            "Lower the share or try other words."
        )


@torch.no_grad()
def measure_support(
    scene: DynamicGaussians,
    segmentation: Segmentation | None,
    views: list[tuple[Camera, MaskSet]],
    text: str,
) -> TextSupport:
    """Lift what was found in pictures into the scene, and measure how well each object fits it.

    A view gives each object the share of its visible weight that lies inside the masks. The support of an object is
    the mean of these over the views, weighted by what each sees of it, without the best and the worst fifth.

    Args:
        scene: the scene.
        segmentation: its objects; None, or one without objects, to measure each Gaussian by itself.
        views: each view with the masks of what was found in it; no masks where nothing was.
        text: what was looked for.

    Raises:
        ValueError: there is no view.
    """
    from scipy import sparse

    if segmentation is not None and not len(segmentation):
        segmentation = None
    found = np.array([len(masks) > 0 for _, masks in views])
    unions = [(camera, _union(masks)) for camera, masks in views]
    # At most one entry for each Gaussian in each row: nothing is thinned out.
    lifted = uplift_masks(scene, unions, budget=16 * len(views) * (len(scene) + 16))
    frames, rows = lifted.frame_of_mask, np.arange(len(lifted.frame_of_mask))
    place: Any = sparse.csr_matrix((np.ones(len(rows), np.float32), (frames, rows)), shape=(len(views), len(rows)))
    inside, seen = place @ lifted.inside, lifted.visibility
    covered = np.asarray(inside.sum(axis=1))  # [F, 1]
    if segmentation is not None:
        members = membership(segmentation)
        inside, seen = inside @ members.T, seen @ members.T
    inside, seen = inside.toarray(), seen.toarray()
    weights = seen * np.where(found, 1, SILENT)[:, None]
    tiny = np.finfo(np.float32).tiny
    support = trimmed_mean(inside / np.maximum(seen, tiny), weights, TRIM)
    agreement = trimmed_mean(inside / np.maximum(seen + covered - inside, tiny), weights, TRIM)
    support, agreement = (torch.from_numpy(v.clip(0, 1)).float().to(scene.device) for v in (support, agreement))
    return TextSupport(text, segmentation, support, agreement, int(found.sum()), len(views))


def trimmed_mean(values: np.ndarray, weights: np.ndarray, trim: float) -> np.ndarray:
    """Return the weighted mean of each column, [C], without the share `trim` of its weight at either end.

    Args:
        values: [F, C].
        weights: [F, C], not negative; the mean of a column without weight is 0.
        trim: in [0, 0.5).
    """
    order = np.argsort(values, axis=0)
    values, weights = (np.take_along_axis(array, order, axis=0).astype(np.float64) for array in (values, weights))
    upper = weights.cumsum(axis=0)
    total = upper[-1]
    kept = np.minimum(upper, (1 - trim) * total) - np.maximum(upper - weights, trim * total)
    kept = kept.clip(min=0)
    return (kept * values).sum(axis=0) / np.maximum(kept.sum(axis=0), np.finfo(np.float64).tiny)


def membership(segmentation: Segmentation) -> Any:
    """Return which object has which Gaussians, [O, N] scipy CSR float32 of ones."""
    from scipy import sparse

    indices, indptr = segmentation.indices.cpu().numpy(), segmentation.indptr.cpu().numpy()
    ones = np.ones(len(indices), np.float32)
    return sparse.csr_matrix((ones, indices, indptr), shape=(len(segmentation), segmentation.gaussians))


def _union(masks: MaskSet) -> MaskSet:
    """One mask of all that was found."""
    dense = masks.dense()
    return MaskSet.from_dense(masks.frame, dense.max(axis=0, keepdims=True) if len(dense) else dense)


def _nested(segmentation: Segmentation, objects: np.ndarray) -> np.ndarray:
    """[K, K] bool, which of some objects (int64 [K]) are the same thing, or one part of the other."""
    members = membership(segmentation)[objects]
    shared = (members @ members.T).toarray()
    sizes = shared.diagonal()
    return shared >= NESTED * np.minimum(sizes[:, None], sizes[None])
