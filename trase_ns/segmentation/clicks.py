"""From clicks to Gaussians: what a pixel really shows decides which objects are meant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.segmentation.filtering import cosine_to, filter_by_similarity, has_features
from trase_ns.segmentation.objects import Segmentation

Granularity = Literal["coarse", "fine"]

# A pixel whose Gaussians are more transparent than this shows nothing.
OPAQUE = 0.05
# An object lies under a pixel if it makes up this share of what the pixel shows; at borders the best one does.
UNDER = 0.5
AT_BORDER = 0.25
# Where there is no object, Gaussians whose feature has this cosine to the clicked one are selected.
SIMILAR = 0.7


@dataclass(frozen=True)
class Prompt:
    """A click in a picture.

    Attributes:
        camera: the view that was clicked, with its time.
        x, y: position in pixels of that view, x right, y down, (0, 0) the upper left corner.
        positive: whether the click asks for what it hits or excludes it.
        granularity: "coarse" for the largest object there, "fine" for the smallest, None for the natural one.
    """

    camera: Camera
    x: float
    y: float
    positive: bool = True
    granularity: Granularity | None = None


@dataclass(frozen=True)
class Selection:
    """What clicks selected.

    Attributes:
        mask: bool [N], the selected Gaussians.
        objects: the objects that were added, in the order of the clicks.
        notes: one sentence for each click that did something else than select or exclude an object.
    """

    mask: Tensor
    objects: list[int]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return the number of selected Gaussians."""
        return int(self.mask.sum())


@dataclass(frozen=True)
class Hit:
    """What is under a click.

    Attributes:
        prompt: the click.
        name: what messages call it.
        gaussians: int64 [K], the Gaussians there.
        weights: [K], their blending weights.
        total: the sum of these.
        objects: int64, the objects there.
    """

    prompt: Prompt
    name: str
    gaussians: Tensor
    weights: Tensor
    total: float
    objects: Tensor


@torch.no_grad()
def select(
    scene: DynamicGaussians,
    segmentation: Segmentation | None,
    prompts: list[Prompt],
    similarity: float | None = None,
    at: Callable[[float], Gaussians] | None = None,
    ground: Tensor | None = None,
) -> Selection:
    """Select in 4D what is seen at the clicked pixels.

    Positive clicks add up. Of nested objects under a click `granularity` chooses one, among those that no click of
    the other sign lies on, if there are such: so a click on the hand and a negative one on the sleeve give the hand
    alone. Negative clicks take away the objects under them. Where a click hits no object, the Gaussians whose feature
    is like the one at that pixel take its place, if features were trained.

    Args:
        scene: the scene.
        segmentation: its objects, or None to select by features alone.
        prompts: the clicks, at least one of them positive if there is no `ground`.
        similarity: keep of each selected object the Gaussians whose cosine to its mean feature is at least this; no
            filter where it is None or not above 0.
        at: returns the scene's Gaussians at a time, from where they are kept; `scene.at` by default. It is called once
            for each time that was clicked.
        ground: bool [N], the selection that the clicks start from, made by any means: positive clicks add to it,
            negative ones take away from it, too.

    Raises:
        UserError: a click outside its picture, no positive click and no `ground`, or nothing selected: the message
            says why.
        ValueError: `ground` has another shape or type.
    """
    if ground is None and not any(prompt.positive for prompt in prompts):
        raise UserError("no positive click: add one on what you want to select.")
    names = {i: f"click {i + 1}" for i in range(len(prompts))}
    for i, prompt in enumerate(prompts):
        _check(prompt, names[i])
    at = lru_cache(maxsize=1)(at or scene.at)
    by_time = sorted(names, key=lambda i: prompts[i].camera.time)
    found = {i: hit(at(prompts[i].camera.time), segmentation, prompts[i], names[i]) for i in by_time}
    return select_hits(scene, segmentation, [found[i] for i in names], similarity, ground)


@torch.no_grad()
def select_hits(
    scene: DynamicGaussians,
    segmentation: Segmentation | None,
    hits: list[Hit],
    similarity: float | None = None,
    ground: Tensor | None = None,
) -> Selection:
    """Select what clicks hit that were looked up before; see `select`, which looks them up.

    Raises:
        UserError: nothing is selected: the message says why.
        ValueError: `ground` has another shape or type.
    """
    if ground is not None and (ground.dtype != torch.bool or ground.shape != (len(scene),)):
        raise ValueError(f"ground is {ground.dtype} {list(ground.shape)}, expected bool [{len(scene)}]")
    mask = torch.zeros(len(scene), dtype=torch.bool, device=scene.device) if ground is None else ground.to(scene.device)
    objects: list[int] = []
    notes: list[str] = []
    for found in sorted(hits, key=lambda h: not h.prompt.positive):  # what is excluded wins, in any order of clicks
        candidates = _candidates(found, hits, objects)
        part, chosen, note = _meant(scene, segmentation, found, candidates, similarity)
        mask = mask | part if found.prompt.positive else mask & ~part
        if chosen is not None and found.prompt.positive and chosen not in objects:
            objects.append(chosen)
        if note:
            notes.append(note)
    if not mask.any():
        raise UserError(" ".join(notes) or "nothing is left: the negative clicks exclude all that the others select.")
    return Selection(mask, objects, tuple(notes))


@torch.no_grad()
def hit(gaussians: Gaussians, segmentation: Segmentation | None, prompt: Prompt, name: str) -> Hit:
    """Find what is under a click.

    Args:
        gaussians: the scene's Gaussians at the time of the click.
        segmentation: the scene's objects, or None.
        prompt: the click, inside its picture.
        name: what messages call it.
    """
    from trase_ns.render import contributions

    device = gaussians.means.device
    pixel = torch.tensor([[math.floor(prompt.x), math.floor(prompt.y)]], dtype=torch.int64, device=device)
    row = contributions(gaussians, prompt.camera.to(device), pixel)
    total = float(row.weights.sum())
    objects = torch.zeros(0, dtype=torch.int64, device=device)
    if segmentation is not None and len(segmentation) and total >= OPAQUE:
        weights = torch.zeros(len(gaussians), device=device).index_add_(0, row.indices, row.weights)
        objects = lies_under(segmentation.coverage(weights) / total).nonzero().flatten()
    return Hit(prompt, name, row.indices, row.weights, total, objects)


@torch.no_grad()
def render_selection(scene: DynamicGaussians, mask: Tensor, camera: Camera, alone: bool = False) -> Tensor:
    """Render how much of each pixel the selected Gaussians make up at the camera's time.

    By default all other Gaussians are there too, black: what hides the selection is respected, and the result at or
    above 0.5 is the mask of what is really seen of it. That is how selections are scored. With `alone` only the
    selected Gaussians are rendered, so that hidden parts show as well.

    Args:
        scene: the scene.
        mask: bool [N], the selected Gaussians.
        camera: the view and its time.
        alone: leave the others out.

    Returns:
        [H, W] float32 in [0, 1].
    """
    from trase_ns.render import render_view

    gaussians = scene.at(camera.time)
    if alone:
        gaussians, mask = gaussians.subset(mask), mask[mask]
    return render_view(gaussians, camera.to(scene.device), colors=mask[:, None].to(gaussians.means)).color[..., 0]


def lies_under(share: Tensor) -> Tensor:
    """Tell which objects lie under pixels: bool [..., O] for the share [..., O] of a pixel that each object makes up.

    Those that make up half of it, or at borders the best one if that is a quarter.
    """
    return share >= share.amax(-1, keepdim=True).clamp(AT_BORDER, UNDER)


def choose(segmentation: Segmentation, candidates: Tensor, granularity: Granularity | None) -> int:
    """Choose one of the objects (int64 [K], K > 0) that lie over each other, as `Prompt.granularity` says."""
    if granularity is None:
        return segmentation.natural(candidates)
    return segmentation.extreme(candidates, largest=granularity == "coarse")


def similar_members(
    scene: DynamicGaussians, segmentation: Segmentation, index: int, similarity: float | None
) -> Tensor:
    """Return bool [N], the Gaussians of an object, filtered by `similarity` to its mean feature as in `select`.

    Raises:
        UserError: there is something to filter by, but there are no features.
    """
    mask = segmentation.members(index)
    if similarity is None or similarity <= 0:
        return mask
    if segmentation.centres is None:
        raise UserError("similarity: this run has no trained features to compare. Leave it out.")
    return filter_by_similarity(mask, scene.features, segmentation.centres[index], similarity)


def _check(prompt: Prompt, name: str) -> None:
    """Raise a UserError where a click makes no sense."""
    camera, x, y = prompt.camera, prompt.x, prompt.y
    if not (0 <= x < camera.width and 0 <= y < camera.height):  # NaN is outside as well
        raise UserError(
            f"{name} at x {x:g}, y {y:g} is outside the picture of {camera.width} x {camera.height} pixels: "
            "x goes right and y down from the upper left corner."
        )
    if prompt.granularity not in (None, "coarse", "fine"):
        raise UserError(f"{name}: granularity {prompt.granularity!r}: use coarse or fine, or leave it out.")


def _meant(
    scene: DynamicGaussians,
    segmentation: Segmentation | None,
    hit: Hit,
    candidates: Tensor,
    similarity: float | None,
) -> tuple[Tensor, int | None, str]:
    """Return the Gaussians that a click means (bool [N]), their object, and a note if there is something to say."""
    nothing = torch.zeros(len(scene), dtype=torch.bool, device=scene.device)
    if hit.total < OPAQUE:
        return nothing, None, f"{hit.name} is on nothing: no Gaussian is seen at that pixel."
    if segmentation is not None and len(hit.objects):
        if not len(candidates):
            return nothing, None, ""
        chosen = choose(segmentation, candidates, hit.prompt.granularity)
        return similar_members(scene, segmentation, chosen, similarity), chosen, ""
    if not has_features(scene.features):
        return nothing, None, f"{hit.name} is on no object: click on another part of it or in another frame."
    feature = torch.nn.functional.normalize(scene.features[hit.gaussians].float(), dim=1).T @ hit.weights
    threshold = similarity if similarity is not None and similarity > 0 else SIMILAR
    mask = cosine_to(scene.features, feature) >= threshold
    return mask, None, f"{hit.name} is on no object: Gaussians with a feature like its own were taken."


def _candidates(hit: Hit, hits: list[Hit], selected: list[int]) -> Tensor:
    """Return the objects under a click that it may mean: those on which no click of the other sign lies.

    If there are none, a positive click may mean all, a negative one those that were selected although it lies on them.
    """
    others = [h.objects for h in hits if h.prompt.positive != hit.prompt.positive]
    apart = hit.objects[~torch.isin(hit.objects, torch.cat([*others, hit.objects[:0]]))]
    if len(apart):
        return apart
    return (
        hit.objects if hit.prompt.positive else hit.objects[torch.isin(hit.objects, hit.objects.new_tensor(selected))]
    )
