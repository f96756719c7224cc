"""Contrast of pixels with the prototypes of segments: Contrastive Gaussian Clustering (CGC, section 3.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.learning.centres import cosines, pair_cosines

Temperature = Literal["paper", "program"]

SMALLEST_SEGMENT = 100
CLUSTERING_WEIGHT = 1e-6  # of the prototype loss in equation 5
NEAREST, FARTHEST = 2, 5
NEAR_WEIGHT, FAR_WEIGHT = 0.05, 0.15
THRESHOLD = 0.7
# Below this a temperature would make float32 overflow; features that agree to a thousandth have none to learn from.
LEAST_TEMPERATURE = 1e-3


def prototype_loss(
    rendered: Tensor,
    mask_vectors: Tensor,
    *,
    share: float = 1.0,
    smallest_segment: int = SMALLEST_SEGMENT,
    temperature: Temperature = "paper",
) -> Tensor:
    """Return the contrastive clustering loss (CGC equation 3) of one frame, without its weight in equation 5.

    Every pixel of a segment is to resemble the segment's prototype, its mean feature, more than any other's. Gradients
    flow through pixels and prototypes, and not through the temperatures, as in the authors' program; the paper leaves
    this open. SAM's segments overlap: a pixel counts in each segment that covers it, and all others are its negatives,
    which is equation 3 read literally; the authors' program keeps one segment for a pixel.

    Args:
        rendered: [P, F] rendered features of pixels, not normalised.
        mask_vectors: [P, M] bool, which masks of the frame cover each pixel; pixels that none covers take no part.
        share: share of the frame's pixels that these are. The paper takes all. Of a uniform sample, the sizes of the
            segments and the loss, which is a sum over their pixels, are scaled up to the frame.
        smallest_segment: segments of fewer pixels of the frame are left out.
        temperature: see `temperatures`.

    Returns:
        A scalar; 0 if no segment is large enough.
    """
    sizes = mask_vectors.sum(dim=0) / share
    mask_vectors = mask_vectors[:, sizes >= smallest_segment]
    covered = mask_vectors.any(dim=1)
    if not covered.any():
        return 0 * rendered.sum()
    inside = mask_vectors[covered].to(rendered)
    directions = normalize(rendered[covered], dim=1)
    counts = inside.sum(dim=0)
    prototypes = inside.T @ directions / counts[:, None]
    logits = directions @ prototypes.T / temperatures(directions, inside, prototypes, counts / share, temperature)
    likelihoods = inside * (logits - logits.logsumexp(dim=1, keepdim=True))
    return -likelihoods.sum() / (share * inside.shape[1])


@torch.no_grad()
def temperatures(
    directions: Tensor, inside: Tensor, prototypes: Tensor, sizes: Tensor, kind: Temperature = "paper"
) -> Tensor:
    """Return the temperature [M] of each segment: mean distance from its prototype over log(size + 100).

    Args:
        directions: [P, F] rendered features of length one.
        inside: [P, M] 0 or 1, which segments cover each pixel.
        prototypes: [M, F] mean feature of each segment.
        sizes: [M] pixels of each segment in the whole frame.
        kind: "paper" as in the text below equation 3, and at least LEAST_TEMPERATURE: the loss vanishes as soon as
            segments can be told apart; "program": ten times that, from 0.1 to 1, as in the authors' program, which
            goes on to make them compact.
    """
    # By matrix products the distance of close points would be noise.
    distances = torch.cdist(directions, prototypes, compute_mode="donot_use_mm_for_euclid_dist")
    spread = (inside * distances).sum(dim=0) / inside.sum(dim=0)
    phi = spread / (sizes + 100).log()
    return phi.clamp_min(LEAST_TEMPERATURE) if kind == "paper" else (10 * phi).clamp(0.1, 1.0)


@torch.no_grad()
def nearest_and_farthest(
    means: Tensor, rows: Tensor, nearest: int = NEAREST, farthest: int = FARTHEST, chunk: int = 256
) -> tuple[Tensor, Tensor]:
    """Find the nearest and the farthest Gaussians of some, among all, for `spatial_loss`.

    Args:
        means: [N, 3] positions in canonical space.
        rows: [S] int64, the Gaussians.
        nearest, farthest: how many of each (K and L); a Gaussian is not its own neighbour.
        chunk: Gaussians that are worked on at once.

    Returns:
        [S, K] and [S, L] int64.
    """
    near, far = [], []
    for some in rows.split(chunk):
        distances = torch.cdist(means[some], means, compute_mode="donot_use_mm_for_euclid_dist")
        far.append(distances.topk(min(farthest, len(means)), dim=1).indices)
        distances.scatter_(1, some[:, None], torch.inf)
        near.append(distances.topk(min(nearest, len(means) - 1), dim=1, largest=False).indices)
    return torch.cat(near), torch.cat(far)


def spatial_loss(
    features: Tensor,
    rows: Tensor,
    near: Tensor,
    far: Tensor,
    near_weight: float = NEAR_WEIGHT,
    far_weight: float = FAR_WEIGHT,
) -> Tensor:
    """Return the spatial-similarity regularisation (CGC equation 4) of sampled Gaussians.

    Neighbours are to be alike and distant Gaussians not; the products of equation 4 are cosines, as the text says.
    The sigmoid is taken of each cosine; the authors' program takes it of their mean.

    Args:
        features: [N, F], of any length.
        rows: [S] int64, the sampled Gaussians (the authors take 1000).
        near, far: [S, K] and [S, L] int64, the nearest and the farthest Gaussians of each.
        near_weight, far_weight: lambda_near and lambda_far.
    """
    alike = torch.sigmoid(1 - pair_cosines(features, rows, near)).mean()
    apart = torch.sigmoid(pair_cosines(features, rows, far)).mean()
    return near_weight * alike + far_weight * apart


def threshold_mask(features: Tensor, query: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Return what resembles the clicked pixel (CGC equation 6).

    Args:
        features: [..., F] rendered features of pixels, or the Gaussians' own.
        query: [F] rendered feature at the clicked pixel.
        threshold: least cosine.

    Returns:
        [...] bool.
    """
    return cosines(features, query) >= threshold
