"""Two levels of features, whole objects and their parts: Click-Gaussian (sections 3.2 to 3.5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.centres import cluster_centres, hdbscan, nearest_centre, pair_cosines
from trase_ns.masks import MaskSet

if TYPE_CHECKING:
    from trase_ns.render import Contributions

Level = Literal["coarse", "fine"]
LEVELS: tuple[Level, ...] = "coarse", "fine"

MARGINS: dict[Level, float] = {"coarse": 0.5, "fine": 0.75}  # tau^l
RADII: dict[Level, float] = {"coarse": 1.0, "fine": math.sqrt(2)}  # r^l
EPSILONS: dict[Level, float] = {"coarse": 1e-2, "fine": 1e-3}
BELONGS = 0.9  # tau^g
NEGATIVE_WEIGHT = 0.1
GUIDANCE_WEIGHT, NORM_WEIGHT, RENDERED_NORM_WEIGHT, SPATIAL_WEIGHT = 10.0, 0.2, 0.2, 0.5  # lambda_1 to lambda_4
# HDBSCAN takes minutes and gigabytes beyond some ten thousand points.
MOST_SEGMENTS = 8_000
# Entries of a matrix of cosines that are held at a time: a cache's worth on a CPU, enough to fill a GPU.
_BLOCK = {"cpu": 1 << 18, "cuda": 1 << 25}


def level_features(features: Tensor, level: Level) -> Tensor:
    """Return the numbers of `features` [..., D] that belong to a level: the first half or all (granularity prior).

    With the paper's D = 24 the coarse feature is the first 12 numbers. Things that differ as wholes differ as parts.
    """
    return features[..., : features.shape[-1] // 2] if level == "coarse" else features


# --- masks -----------------------------------------------------------------------------------------------------------


def level_maps(masks: MaskSet, width: int, height: int) -> dict[Level, Tensor]:
    """Return the segment of each pixel (supplement B): the largest mask that covers it, and the smallest.

    Args:
        masks: masks of a frame, in any resolution of the same view.
        width, height: resolution of the camera.

    Returns:
        "coarse" and "fine": [H, W] int64 on the CPU, the index of the mask, -1 where there is none.
    """
    dense = masks.resized(height, width)
    by_size = np.argsort(masks.areas, kind="stable")
    maps: dict[Level, Tensor] = {}
    for level in LEVELS:
        order = by_size if level == "coarse" else by_size[::-1]
        labels = np.full((height, width), -1)
        for index in order:  # what is painted later stays
            labels[dense[index]] = index
        maps[level] = torch.from_numpy(labels)
    return maps


def sample_by_size(segments: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw pixels so that every segment is as likely as any other, however small.

    The paper says "importance sampling based on mask pixel count" and no more; here a pixel's weight is one over the
    number of pixels of its segment.

    Args:
        segments: [H, W] int64, segment of each pixel on the CPU; -1 is never drawn.
        count: number of pixels; all that have a segment where there are no more.
        generator: source of the draw, on the CPU.

    Returns:
        [P, 2] int64 (x, y), each pixel at most once.
    """
    flat = segments.flatten()
    places = (flat >= 0).nonzero()[:, 0]
    sizes = torch.bincount(flat[places])
    if count < len(places):
        # The smallest of exponential variables with these rates: a weighted draw without repeats.
        uniform = torch.rand(len(places), generator=generator, dtype=torch.float64)
        arrival = -torch.log1p(-uniform) * sizes[flat[places]]
        places = places[arrival.topk(count, largest=False).indices]
    return torch.stack([places % segments.shape[1], places // segments.shape[1]], dim=1)


# --- objective -------------------------------------------------------------------------------------------------------


def click_gaussian_loss(
    features: Tensor,
    rendered: Tensor,
    segments: Mapping[Level, Tensor],
    rows: Tensor,
    neighbours: Tensor,
    candidates: Mapping[Level, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Return the weighted terms of Click-Gaussian's objective (equation 13); their sum is the loss.

    Args:
        features: [N, D] features of the Gaussians.
        rendered: [P, D] features rendered from them at the sampled pixels of a frame.
        segments: for each level [P] int64, the segment of each pixel, -1 for none.
        rows: [S] int64, Gaussians drawn for the spatial term.
        neighbours: [S, K] int64, the nearest Gaussians of each (5 in the paper).
        candidates: for each level [C, D_l], see `global_candidates`; None before guidance begins (step 2000 of 3000).

    Returns:
        Scalars "positive", "negative", "norm", "rendered_norm", "spatial" and, with candidates, "guidance".
    """
    positive, negative = contrastive_losses(rendered, segments)
    terms = {
        "positive": positive,
        "negative": NEGATIVE_WEIGHT * negative,
        "norm": NORM_WEIGHT * norm_loss(features),
        "rendered_norm": RENDERED_NORM_WEIGHT * rendered_norm_loss(rendered),
        "spatial": SPATIAL_WEIGHT * spatial_loss(features, rows, neighbours),
    }
    if candidates is not None:
        belong, others = guidance_losses(features, candidates)
        terms["guidance"] = GUIDANCE_WEIGHT * (belong + others)
    return terms


def contrastive_losses(
    rendered: Tensor, segments: Mapping[Level, Tensor], margins: Mapping[Level, float] = MARGINS
) -> tuple[Tensor, Tensor]:
    """Return the positive and the negative loss (equations 3 and 4), unweighted, over both levels.

    Both sets of pixels of the paper, P_1 and P_2, are the same sample; a pixel's pair with itself, of cosine one, adds
    a constant. In the fine negatives gradients do not reach the coarse half: parts of one object may differ only in
    the other half. Differentiable once.

    Args:
        rendered: [P, D] rendered features, not normalised.
        segments: for each level [P] int64, the segment of each pixel; pixels with -1 are left out, of |P| too.
        margins: cosine above which a pair of different segments counts.
    """
    half = rendered.shape[1] // 2
    positive = negative = 0 * rendered.sum()
    for level in LEVELS:
        covered = segments[level] >= 0
        labels = segments[level][covered]
        features = level_features(rendered, level)[covered]
        positive = positive - _agreement(normalize(features, dim=1), labels)
        if level == "fine":
            features = torch.cat([features[:, :half].detach(), features[:, half:]], dim=1)
        negative = negative + _collision(normalize(features, dim=1), labels, margins[level])
    return positive, negative


def _agreement(directions: Tensor, labels: Tensor) -> Tensor:
    """Mean over all pairs of the cosine of pairs with one label: squared lengths of the labels' sums."""
    if not len(labels):
        return directions.sum()
    sums = directions.new_zeros(int(labels.max()) + 1, directions.shape[1]).index_add(0, labels, directions)
    return sums.square().sum() / len(labels) ** 2


def _collision(directions: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Mean over all pairs of the cosine of pairs with two labels, where it is above the margin.

    It is linear in the cosines wherever it is differentiable, so its gradient is summed block by block, and the
    matrix of all pairs is never in memory.
    """
    count = len(labels)
    with torch.no_grad():
        pull = torch.empty_like(directions)  # for each pixel the sum of the directions that are too close
        for some in torch.arange(count, device=labels.device).split(_height(directions, count)):
            cosine = directions[some] @ directions.T
            close = (cosine > margin) & (labels[some, None] != labels)
            pull[some] = close.to(directions) @ directions
    total = (directions * pull).sum() / max(count, 1) ** 2
    return 2 * total - total.detach()  # every pair stands in it twice, and pulls at both


def guidance_losses(
    features: Tensor,
    candidates: Mapping[Level, Tensor],
    belongs: float = BELONGS,
    margins: Mapping[Level, float] = MARGINS,
) -> tuple[Tensor, Tensor]:
    """Return the losses of global feature-guided learning (equations 7 and 8) over all Gaussians and both levels.

    A Gaussian is pulled to the candidate that it resembles most, if the cosine is above `belongs`, and pushed from
    all others that it resembles more than the margin. Differentiable once; candidates are constants.

    Args:
        features: [N, D] features of the Gaussians, of any length.
        candidates: for each level [C, D_l], of length one; a level without candidates adds nothing.
        belongs: tau_g.
        margins: tau_l.
    """
    positive = negative = 0 * features.sum()
    for level in LEVELS:
        centres = candidates[level].detach()
        if not len(centres) or not len(features):
            continue
        directions = normalize(level_features(features, level), dim=1)
        rows = torch.arange(len(directions), device=directions.device)
        with torch.no_grad():
            pull, push = torch.empty_like(directions), torch.empty_like(directions)
            for some in rows.split(_height(directions, len(centres))):
                cosine = directions[some] @ centres.T
                best, own = cosine.max(dim=1)
                pull[some] = centres[own] * (best > belongs)[:, None]
                close = (cosine > margins[level]).scatter_(1, own[:, None], False)
                push[some] = close.to(centres) @ centres / len(centres)
        # Linear in the cosines wherever differentiable: the coefficients make both the value and the gradient.
        positive = positive - (directions * pull).sum() / len(directions)
        negative = negative + (directions * push).sum() / len(directions)
    return positive, negative


def norm_loss(features: Tensor) -> Tensor:
    """Return the hypersphere regularisation (equation 10): both halves of each of `features` [N, D] to length one."""
    coarse, rest = features.tensor_split(2, dim=1)
    return ((coarse.norm(dim=1) - 1).square() + (rest.norm(dim=1) - 1).square()).mean()


def rendered_norm_loss(rendered: Tensor) -> Tensor:
    """Return the rendered feature regularisation (equation 11): what a pixel blends is to point one way.

    The paper takes the mean over all pixels of the frame; `rendered` [P, D] may be a sample of them.
    """
    terms = [(level_features(rendered, level).norm(dim=1) - RADII[level]).square() for level in LEVELS]
    return torch.stack(terms).sum(dim=0).mean()


def spatial_loss(features: Tensor, rows: Tensor, neighbours: Tensor) -> Tensor:
    """Return the spatial consistency regularisation (equation 12) of sampled Gaussians.

    Args:
        features: [N, D], of any length; all D numbers count, as in the paper.
        rows: [S] int64, the sampled Gaussians (100,000 in the paper).
        neighbours: [S, K] int64, the nearest others of each (5 in the paper).
    """
    return -pair_cosines(features, rows, neighbours).mean()


def _height(values: Tensor, width: int) -> int:
    return max(1, _BLOCK["cuda" if values.is_cuda else "cpu"] // max(width, 1))


# --- global candidates -----------------------------------------------------------------------------------------------


@torch.no_grad()
def segment_means(rendered: Tensor, segments: Mapping[Level, Tensor]) -> dict[Level, Tensor]:
    """Return the mean rendered feature of every segment of a frame (equation 6).

    Args:
        rendered: [H, W, D] rendered features, or [P, D].
        segments: for each level [H, W] or [P] int64, the segment of each pixel, -1 for none.

    Returns:
        For each level [S, D_l], of the segments that have a pixel.
    """
    means: dict[Level, Tensor] = {}
    for level in LEVELS:
        labels = segments[level].to(rendered.device)
        features = level_features(rendered, level)[labels >= 0]
        _, labels = labels[labels >= 0].unique(return_inverse=True)
        counts = torch.bincount(labels)
        sums = features.new_zeros(len(counts), features.shape[1]).index_add_(0, labels, features)
        means[level] = sums / counts[:, None]
    return means


def global_candidates(means: Tensor, views: int, level: Level, seed: int = 0) -> Tensor:
    """Return the global feature candidates of a level (section 3.4): centres of clusters of the segments of all views.

    HDBSCAN on normalised features, for it is cosines that decide later; noise belongs to no candidate. The paper's
    least size of a cluster is "proportional to the number of training views": here a twelfth of them, from 3 to 30.
    Of more than MOST_SEGMENTS segments so many are drawn.

    Args:
        means: [n, D_l], the segments' mean features of all views, see `segment_means`.
        views: number of views.
        level: decides below which distance clusters are not split.
        seed: of the draw.

    Returns:
        [C, D_l] on the device of `means`, of length one; C is 0 where there is no cluster.
    """
    points = normalize(means[means.norm(dim=1) > 0].float(), dim=1)
    drawn = torch.randperm(len(points), generator=torch.Generator().manual_seed(seed))[:MOST_SEGMENTS]
    smallest = min(max(math.ceil(views * len(drawn) / max(len(points), 1) / 12), 3), 30)
    points = points[drawn.to(points.device)]
    labels = hdbscan(points.cpu().numpy(), smallest, EPSILONS[level]).to(points.device)
    return cluster_centres(points, labels)


@torch.no_grad()
def nearest_candidates(features: Tensor, candidates: Mapping[Level, Tensor]) -> dict[Level, Tensor]:
    """Return for each level [N] int64, the candidate that each of `features` [N, D] resembles most; -1 for none.

    Once for a scene: a click only names a candidate. With a rendered map it segments everything in a view.
    """
    return {
        level: nearest_centre(normalize(level_features(features, level), dim=1), candidates[level])[0]
        for level in LEVELS
    }


@torch.no_grad()
def clicked_candidate(
    pixel: Contributions, features: Tensor, candidates: Mapping[Level, Tensor], level: Level
) -> tuple[int, float]:
    """Return which candidate a click selects (section 4.1), and the cosine; -1 and 0 where nothing is to be seen.

    The object is the Gaussians whose `nearest_candidates` it is.

    Args:
        pixel: blending weights [1, N] of the clicked pixel.
        features: [N, D] features of the Gaussians.
        candidates: for each level [C, D_l], of length one.
        level: how much to select.
    """
    rendered = level_features(pixel.matmul(features), level)
    candidate, cosine = nearest_centre(normalize(rendered, dim=1), candidates[level])
    return int(candidate), float(cosine)
