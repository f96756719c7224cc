"""The edited scene itself: an ordinary moving scene, made of the trained one and its edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trase_ns.editing.edits import Edits
from trase_ns.scene.arrangement import Arrangement, Part
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import rotate_harmonics
from trase_ns.scene.spherical_harmonics import C0

# What of the edits decides where the Gaussians are.
MOTION = ("source", "index", "placement", "clock", "sources", "placements", "clocks")
# And what decides how they look as well.
SEEN = (*MOTION, "look", "style", "hidden", "opacity", "looks", "styles")


class Edited:
    """The scene of M Gaussians that `edits` make of `base`, in which hidden ones have opacity 0.

    What nobody touched is shared with `base`, not copied; `base` is never changed.

    Attributes:
        edits, base: what it is made of.
        scene: the edited scene.

    Args:
        edits: the edits, made for this scene.
        base: the trained scene of N Gaussians.
        before: what was made before of the same base, at the same step of training: it is used for what has not
            changed since, so that whoever keeps moments of the scene has them still.

    Raises:
        ValueError: the edits are for another number of Gaussians.
    """

    @torch.no_grad()
    def __init__(self, edits: Edits, base: DynamicGaussians, before: Edited | None = None):
        if edits.trained != len(base):
            raise ValueError(f"edits of {edits.trained} Gaussians do not fit a scene of {len(base)}")
        self.edits, self.base = edits, base.detach()
        if before is not None and _agree(edits, before.edits, MOTION):
            self._moved = before._moved
        else:
            self._moved = _gathered(edits, self.base)
        if before is not None and _agree(edits, before.edits, SEEN):
            self.scene = before.scene
        else:
            self.scene = _faded(_colored(self._moved, edits), edits)


def apply(edits: Edits, base: DynamicGaussians) -> DynamicGaussians:
    """Return the scene that `edits` make of `base`; see `Edited`."""
    return Edited(edits, base).scene


def _agree(edits: Edits, others: Edits, names: Sequence[str]) -> bool:
    """Whether two edits share the columns and tables of these names."""
    return all(getattr(edits, name) is getattr(others, name) for name in names)


def _faded(scene: DynamicGaussians, edits: Edits) -> DynamicGaussians:
    """Multiply the opacities, and take away what is hidden."""
    logits = scene.logit_opacities
    faded = (edits.opacity != 1).nonzero().flatten()
    if len(faded):
        opacity = torch.sigmoid(logits[faded]) * edits.opacity[faded]
        logits = logits.index_copy(0, faded, torch.logit(opacity))
    if bool(edits.hidden.any()):
        logits = logits.masked_fill(edits.hidden, -torch.inf)
    return scene if logits is scene.logit_opacities else replace(scene, logit_opacities=logits)


def _gathered(edits: Edits, base: DynamicGaussians) -> DynamicGaussians:
    """The Gaussians of all rows as their sources have them, moved, timed and placed by an `Arrangement`."""
    touched = bool((edits.placement > 0).any()) or bool((edits.clock > 0).any())
    if len(edits) == len(base) and not touched:
        return base
    sources = [base, *(source.to(base.device).detach() for source in edits.sources)]
    # A part is what shares source and course of time.
    courses = len(edits.clocks)
    kinds, part = torch.unique(edits.source * courses + edits.clock, return_inverse=True)
    local = edits.index.clone()
    parts = []
    for number, kind in enumerate(kinds.tolist()):
        source, clock = divmod(kind, courses)
        scene = sources[source]
        motion = scene.motion
        if motion is not None and number:  # the first part is by far the largest: it shares the memory
            rows = (part == number).nonzero().flatten()
            motion, local[rows] = motion[edits.index[rows]], torch.arange(len(rows), device=rows.device)
        parts.append(Part(scene.field, motion, edits.clocks[clock]))
    field = Arrangement(parts, part, local, edits.placements, edits.placement)
    return _stacked(edits, base, sources, field)


def _stacked(edits: Edits, base: DynamicGaussians, sources: Sequence[DynamicGaussians], field: Arrangement):
    """The canonical parameters of all rows; harmonics and features of other sources in the base's sizes."""
    used = set(edits.source[edits.trained :].tolist())
    bands = max([base.sh_rest.shape[1], *(sources[number].sh_rest.shape[1] for number in used)])
    extra = edits.index[edits.trained :]
    columns = {}
    for name in ("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "features"):
        own = getattr(base, name)
        if name == "sh_rest":
            own = _padded(own, bands)
        tail = own.new_zeros(len(extra), *own.shape[1:])
        for number in used:
            rows = (edits.source[edits.trained :] == number).nonzero().flatten()
            values = getattr(sources[number], name)
            if name == "sh_rest":
                values = _padded(values, bands)
            if name == "features" and number:
                continue  # features of another run mean something else
            tail[rows] = values[extra[rows]].to(own)
        columns[name] = torch.cat([own, tail]) if len(extra) else own
    return DynamicGaussians(**columns, field=field, motion=torch.arange(len(edits), device=base.device))


def _colored(scene: DynamicGaussians, edits: Edits) -> DynamicGaussians:
    """Give each row its style, its look, and harmonics that turn with its placement."""
    styled = (edits.style >= 0).nonzero().flatten()
    colored = (edits.look > 0).nonzero().flatten()
    turned = edits.placement if scene.sh_rest.shape[1] else edits.placement.new_zeros(0)
    sh0, rest = scene.sh0, scene.sh_rest
    if len(styled):
        bands = max(rest.shape[1], *(block.shape[1] - 1 for block in edits.styles))
        rest = _padded(rest, bands)
        styles = torch.cat([torch.cat([block[:, :1], _padded(block[:, 1:], bands)], dim=1) for block in edits.styles])
        values = styles.to(sh0)[edits.style[styled]]
        sh0, rest = sh0.index_copy(0, styled, values[:, 0]), rest.index_copy(0, styled, values[:, 1:])
    if len(colored):
        matrices = torch.stack([look.matrix for look in edits.looks]).to(sh0)[edits.look[colored]]
        offsets = torch.stack([look.offset for look in edits.looks]).to(sh0)[edits.look[colored]]
        rgb = torch.einsum("nij,nj->ni", matrices, 0.5 + C0 * sh0[colored]) + offsets
        sh0 = sh0.index_copy(0, colored, (rgb - 0.5) / C0)
        rest = rest.index_copy(0, colored, torch.einsum("nij,nkj->nki", matrices, rest[colored]))
    for number in torch.unique(turned).tolist():
        rotation = edits.placements[number].rotation
        if torch.equal(rotation, torch.eye(3).to(rotation)):
            continue
        rows = (turned == number).nonzero().flatten()
        whole = torch.cat([torch.zeros_like(rest[rows][:, :1]), rest[rows]], dim=1)
        rest = rest.index_copy(0, rows, rotate_harmonics(whole, rotation)[:, 1:])
    return scene if sh0 is scene.sh0 and rest is scene.sh_rest else replace(scene, sh0=sh0, sh_rest=rest)


def _padded(rest: Tensor, bands: int) -> Tensor:
    """`rest` [N, k, 3] with `bands` coefficients, the further ones 0."""
    if rest.shape[1] == bands:
        return rest
    return torch.cat([rest, rest.new_zeros(len(rest), bands - rest.shape[1], 3)], dim=1)
