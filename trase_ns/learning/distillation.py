"""Feature maps of 2D models distilled into the Gaussians: DGD (sections 3.2 and 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trase_ns.learning.centres import cosines


class Blending(Protocol):
    """The blending weights of pixels, as `Contributions` holds them."""

    def matmul(self, values: Tensor) -> Tensor:
        """Return [P, C] for values [N, C] of the Gaussians."""
        ...


def distillation_loss(features: Tensor, weights: Blending, target: Tensor) -> Tensor:
    """Return the mean absolute difference of the rendered features (DGD equation 4) and a feature map.

    The paper says that rendered features "can be compared" to the map; the authors' program takes the L1 norm. Here
    it is taken at sampled pixels, so that only their blending weights and P x C numbers exist besides the features
    and their gradient: a step of 100,000 Gaussians with 384 numbers needs some 0.3 GB, and Adam twice as much.

    Args:
        features: [N, C] features of the Gaussians, for any C; differentiable.
        weights: blending weights [P, N] of the sampled pixels at the time of their view.
        target: [P, C] the feature map at these pixels, see `sample_map`.
    """
    return (weights.matmul(features) - target).abs().mean()


def sample_map(feature_map: Tensor, pixels: Tensor, width: int, height: int) -> Tensor:
    """Return a feature map at pixels of a larger picture, upsampled bilinearly as the paper does.

    The whole map at the picture's size, hundreds of megabytes, is never made. The map covers the picture: corner on
    corner, pixel centres at + 0.5; beyond the centres of its outermost pixels it is constant.

    Args:
        feature_map: [h, w, C].
        pixels: [P, 2] int64 (x, y).
        width, height: size of the picture.

    Returns:
        [P, C] float32 on the map's device.
    """
    h, w = feature_map.shape[:2]
    scale = torch.tensor([w / width, h / height], device=feature_map.device)
    limit = torch.tensor([w - 1, h - 1], device=feature_map.device)
    place = ((pixels.to(feature_map.device) + 0.5) * scale - 0.5).clamp_min(0).minimum(limit)
    corner = place.floor().long()
    right, down = (place - corner)[..., None].unbind(1)
    x, y = corner.unbind(1)
    x1, y1 = (corner + 1).minimum(limit).unbind(1)
    above = feature_map[y, x].float() * (1 - right) + feature_map[y, x1].float() * right
    below = feature_map[y1, x].float() * (1 - right) + feature_map[y1, x1].float() * right
    return above * (1 - down) + below * down


@dataclass(frozen=True)
class Reduction:
    """Principal components: from C numbers to K and back.

    Attributes:
        mean: [C] float32.
        components: [K, C] float32, orthonormal rows, the one of largest variance first.
        explained: share of the variance that the K numbers keep.
    """

    mean: Tensor
    components: Tensor
    explained: float

    @staticmethod
    def fit(samples: Tensor, size: int) -> Reduction:
        """Find the components of [n, C] samples, at most C of them; the signs are fixed, so that runs agree.

        Raises:
            ValueError: there is no sample, or `size` is below 1.
        """
        if not len(samples) or size < 1:
            raise ValueError(f"no components from {len(samples)} samples and for {size} numbers")
        samples = samples.double()
        mean = samples.mean(dim=0)
        centred = samples - mean
        variances, vectors = torch.linalg.eigh(centred.T @ centred / len(samples))
        components = vectors.T.flip(0)[:size]
        largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
        kept = variances.flip(0)[:size].sum() / variances.sum().clamp_min(torch.finfo(variances.dtype).tiny)
        return Reduction(mean.float(), (components * largest.sign()).float(), float(kept.clamp(0, 1)))

    def reduce(self, features: Tensor) -> Tensor:
        """Return [..., K] for `features` [..., C]."""
        return (features - self.mean) @ self.components.T

    def restore(self, reduced: Tensor) -> Tensor:
        """Return [..., C] for `reduced` [..., K]: the nearest features that K numbers can say."""
        return reduced @ self.components + self.mean

    def to(self, device: torch.device | str) -> Reduction:
        """Return the same on another device."""
        return Reduction(self.mean.to(device), self.components.to(device), self.explained)


@torch.no_grad()
def similarity(features: Tensor, query: Tensor, reduction: Reduction | None = None) -> Tensor:
    """Return the cosine [N] of each Gaussian's feature with a clicked Gaussian's, or with an encoded text.

    Reduced features are compared as if they were restored, for a cosine depends on the mean that PCA takes away; but
    only K numbers of each are looked at.

    Args:
        features: [N, C] features, or [N, K] reduced ones.
        query: [C], never reduced: `reduction.restore(features[i])` for a click.
        reduction: what the features were reduced by.
    """
    if reduction is None:
        return cosines(features, query)
    r = reduction.to(features.device)
    query = query.to(features)
    products = features @ (r.components @ query) + r.mean @ query
    squares = features.square().sum(dim=1) + 2 * features @ (r.components @ r.mean) + r.mean @ r.mean
    lengths = squares.clamp_min(0).sqrt() * query.norm()
    return products / lengths.clamp_min(torch.finfo(features.dtype).tiny)


def select_similar(features: Tensor, query: Tensor, threshold: float, reduction: Reduction | None = None) -> Tensor:
    """Return [N] bool, the Gaussians above a threshold (DGD section 3.3); it decides the granularity.

    Args:
        features, query, reduction: see `similarity`.
        threshold: theta, a cosine. The paper takes the feature of the one Gaussian that was clicked; the mean of
            several may be given, too.
    """
    return similarity(features, query, reduction) > threshold
