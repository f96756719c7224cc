"""The objects of a scene: sets of Gaussians that may nest, as a hand lies in an arm."""

from __future__ import annotations

import colorsys
import json
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

# An object is part of a larger one if this share of its Gaussians lies in it.
PART = 0.8
# Of the objects at a place, those with this share of the best support there are all good; the largest is natural.
NATURAL = 0.8
# Unless this share of it is made up of at least two parts that are as good: they are objects of their own.
COMPOSED = 0.85
# What has less than this share of the best support at a place is no object for any purpose.
PLAUSIBLE = 0.6


@dataclass(frozen=True)
class Segmentation:
    """Objects over N Gaussians; a Gaussian may be in none, one or several of them. Make one with `from_members`.

    Objects are numbered by falling size, so that the same objects get the same numbers and colours in every run.

    Attributes:
        indptr: [O + 1] int64; object i has the Gaussians indices[indptr[i] : indptr[i + 1]].
        indices: [nnz] int64, ascending within an object.
        labels: [N] int64, the natural object of each Gaussian (see `natural`), -1 where it is in none.
        parents: [O] int64, the smallest object that an object is part of, -1 if there is none.
        support: [O] float32 in [0, 1], how well the masks agree that this is an object: the mean over the frames
            that see it of the IoU with the mask that shows it; 1 where the method has no such measure.
        centres: [O, F] float32 mean feature of each object, normalised, or None without features.
        summary: method, parameters, counts and seconds; plain JSON values.
        colors: [O, 3] float32 in [0, 1], colours that were given to the objects, or None.
    """

    indptr: Tensor
    indices: Tensor
    labels: Tensor
    parents: Tensor
    support: Tensor
    centres: Tensor | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    colors: Tensor | None = None

    @staticmethod
    def from_members(
        members: list[Tensor],
        gaussians: int,
        support: Tensor | None = None,
        features: Tensor | None = None,
        summary: dict[str, Any] | None = None,
    ) -> Segmentation:
        """Number the objects by falling size and work out their labels, parents and centres.

        Args:
            members: for each object the Gaussians in it: int64 indices or bool [N].
            gaussians: N.
            support: [O] in [0, 1]; 1 for all by default.
            features: [N, F] features of the Gaussians, for the centres.
            summary: see the attribute.
        """
        members = [(m.nonzero().flatten() if m.dtype == torch.bool else m.long().unique()).cpu() for m in members]
        support = torch.ones(len(members)) if support is None else support.float().cpu()
        order = sorted(range(len(members)), key=lambda i: (-len(members[i]), members[i][:1].tolist()))
        return Segmentation.in_order([members[i] for i in order], gaussians, support[order], features, summary)

    @staticmethod
    def in_order(
        members: list[Tensor],
        gaussians: int,
        support: Tensor,
        features: Tensor | None = None,
        summary: dict[str, Any] | None = None,
        colors: Tensor | None = None,
    ) -> Segmentation:
        """Work out labels, parents and centres of objects that keep their numbers.

        Args:
            members: for each object the Gaussians in it, int64 [n] ascending.
            gaussians: N.
            support: [O] in [0, 1].
            features: [N, F] features of the Gaussians, for the centres.
            summary, colors: see the attributes.
        """
        result = _assemble(members, gaussians, support, dict(summary or {}))
        if features is not None:
            features = normalize(features.detach().to(result.indices.device).float(), dim=1)
            centres = features.new_zeros(len(result), features.shape[1])
            centres = centres.index_add_(0, result._owners, features[result.indices])
            result = replace(result, centres=normalize(centres, dim=1))
        return replace(result, colors=colors)

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def gaussians(self) -> int:
        """Number of Gaussians of the scene."""
        return len(self.labels)

    @property
    def sizes(self) -> Tensor:
        """[O] int64, number of Gaussians of each object."""
        return self.indptr.diff()

    @cached_property
    def palette(self) -> Tensor:
        """[O, 3] float32 in [0, 1], a colour for each object: that it was given, or one by its number alone."""
        return self.colors if self.colors is not None else distinct_colors(len(self)).to(self.labels.device)

    def members(self, index: int) -> Tensor:
        """Return bool [N], true for the Gaussians of object `index`."""
        mask = torch.zeros(self.gaussians, dtype=torch.bool, device=self.labels.device)
        mask[self.indices[self.indptr[index] : self.indptr[index + 1]]] = True
        return mask

    def coverage(self, weights: Tensor) -> Tensor:
        """Return [O], for each object the sum of `weights` [N] over its Gaussians."""
        return torch.segment_reduce(weights.index_select(0, self.indices), "sum", offsets=self.indptr)

    def natural(self, candidates: Tensor) -> int:
        """Choose among objects (int64 [K], K > 0) that lie over each other the one that a person most likely means.

        It is the largest of those whose support is close to the best: the whole book rather than the picture on its
        cover, but not the whole shelf if masks showed that only now and then. Where an object is nothing but the sum
        of parts that are as well supported, as an arm is of hand and sleeve, the part is meant: clicks add up.
        """
        whole = [i for i, parts in self._composed.items() if torch.isin(candidates, parts).any()]
        apart = candidates[~torch.isin(candidates, candidates.new_tensor(whole))]
        support = self.support[apart]
        good = apart[support >= NATURAL * support.max()]
        return int(good[self.sizes[good].argmax()])

    def extreme(self, candidates: Tensor, largest: bool) -> int:
        """Return the largest or the smallest of the plausible ones among `candidates` (int64 [K], K > 0)."""
        support = self.support[candidates]
        plausible = candidates[support >= PLAUSIBLE * support.max()]
        sizes = self.sizes[plausible]
        return int(plausible[sizes.argmax() if largest else sizes.argmin()])

    def subset(self, mask: Tensor) -> Segmentation:
        """Return the objects among the Gaussians in `mask` (bool [N]), without those that lose over half of theirs."""
        new_index = mask.cumsum(0) - 1
        members = [self.members(i).nonzero().flatten() for i in range(len(self))]
        left = [m[mask[m]] for m in members]
        kept = [i for i in range(len(self)) if 2 * len(left[i]) > len(members[i])]
        result = _assemble([new_index[left[i]] for i in kept], int(mask.sum()), self.support[kept], self.summary)
        centres = None if self.centres is None else self.centres[kept]
        colors = None if self.colors is None else self.colors[kept]
        return replace(result, centres=centres, colors=colors)

    def to(self, device: torch.device | str) -> Segmentation:
        """Return the same objects with all tensors on `device`; this very one, with what it keeps, if it is there."""
        if self.labels.to(device) is self.labels:
            return self
        moved = {k: v.to(device) for k, v in self._parts().items() if isinstance(v, Tensor)}
        return Segmentation(**{**self._parts(), **moved})

    def to_state(self) -> dict[str, Tensor | str]:
        """Return tensors and one JSON string, fit for `torch.save` and `torch.load(weights_only=True)`."""
        tensors = {k: v for k, v in self._parts().items() if isinstance(v, Tensor)}
        return {**tensors, "summary": json.dumps(self.summary)}

    @staticmethod
    def from_state(state: dict[str, Any]) -> Segmentation:
        """Return the objects that `to_state` described.

        Raises:
            ValueError: parts of a segmentation are missing from the state.
        """
        names = {"indptr", "indices", "labels", "parents", "support", "summary"}
        if not names <= state.keys():
            raise ValueError(f"not the state of a segmentation: no {', '.join(sorted(names - state.keys()))}")
        parts = {name: state[name] for name in names} | {"summary": json.loads(state["summary"])}
        return Segmentation(**parts, centres=state.get("centres"), colors=state.get("colors"))

    @cached_property
    def _owners(self) -> Tensor:
        """[nnz] int64, the object of each entry of `indices`."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.indptr.device), self.sizes)

    @cached_property
    def _composed(self) -> dict[int, Tensor]:
        """The objects that are no more than the sum of their parts, and these parts, int64."""
        composed = {}
        for whole in self.parents.unique().tolist():
            good = self.support >= NATURAL * self.support[whole]
            parts = ((self.parents == whole) & good).nonzero().flatten()
            if whole < 0 or len(parts) < 2:
                continue
            covered = torch.stack([self.members(int(part)) for part in parts]).any(dim=0) & self.members(whole)
            if int(covered.sum()) >= COMPOSED * int(self.sizes[whole]):
                composed[whole] = parts
        return composed

    def _parts(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


def distinct_colors(count: int) -> Tensor:
    """Return [count, 3] float32 colours in [0, 1]; the golden ratio keeps neighbours in number apart in hue."""
    colors = []
    for i in range(count):
        hue = (0.08 + i * 0.618033988749895) % 1.0
        saturation, value = (0.75, 0.5, 0.9)[i // 3 % 3], (0.95, 0.75, 0.6)[i // 9 % 3]
        colors.append(colorsys.hsv_to_rgb(hue, saturation, value))
    return torch.tensor(colors, dtype=torch.float32).reshape(count, 3)


def _assemble(members: list[Tensor], gaussians: int, support: Tensor, summary: dict[str, Any]) -> Segmentation:
    """Put ascending `members` in the order given into one Segmentation without centres."""
    sizes = torch.tensor([len(m) for m in members], dtype=torch.int64, device=support.device)
    indptr = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
    indices = torch.cat([*members, sizes.new_zeros(0)])
    parents = _parents(indptr, indices, gaussians)
    result = Segmentation(indptr, indices, indices.new_full((gaussians,), -1), parents, support, None, summary)
    return Segmentation(**{**result._parts(), "labels": _natural_labels(result)})


def _natural_labels(segmentation: Segmentation) -> Tensor:
    """Return [N] int64, for every Gaussian what `Segmentation.natural` says of the objects that hold it, or -1."""
    owners, indices = segmentation._owners, segmentation.indices
    kept = torch.ones_like(indices, dtype=torch.bool)
    for whole, parts in segmentation._composed.items():
        inside = torch.stack([segmentation.members(int(part)) for part in parts]).any(dim=0)
        kept &= (owners != whole) | ~inside[indices]
    owners, indices = owners[kept], indices[kept]

    support = segmentation.support[owners]
    best = support.new_zeros(segmentation.gaussians).scatter_reduce(0, indices, support, "amax")
    good = support >= NATURAL * best[indices]
    order = segmentation.sizes.argsort(descending=True, stable=True)
    rank = order.argsort()  # 0 is the largest object
    first = order.new_full((segmentation.gaussians,), len(order))
    first = first.scatter_reduce(0, indices[good], rank[owners[good]], "amin")
    return torch.cat([order, order.new_full((1,), -1)])[first]


def _parents(indptr: Tensor, indices: Tensor, gaussians: int) -> Tensor:
    """Return [O] int64, for each object the smallest larger one that holds the share PART of it, or -1."""
    from scipy import sparse

    count = len(indptr) - 1
    ones = torch.ones(len(indices), dtype=torch.float64).numpy()
    members = sparse.csr_matrix((ones, indices.cpu().numpy(), indptr.cpu().numpy()), shape=(count, gaussians))
    sizes = indptr.diff().tolist()
    parents = [-1] * count
    shared = (members @ members.T).tocoo()
    for child, other, common in zip(shared.row.tolist(), shared.col.tolist(), shared.data.tolist()):
        if (sizes[other], -other) <= (sizes[child], -child) or common < PART * sizes[child]:
            continue
        if parents[child] < 0 or sizes[other] < sizes[parents[child]]:
            parents[child] = other
    return torch.tensor(parents, dtype=torch.int64, device=indptr.device)
