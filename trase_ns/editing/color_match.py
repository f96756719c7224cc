"""Colours with the mean and covariance of others."""

from __future__ import annotations

import torch
from torch import Tensor

# Standard deviations below about this, of colours in [0, 1], are noise: they are not blown up.
NOISE = 0.03


def covariance(colors: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the mean [3] and the covariance [3, 3] of `colors` [P, 3] with `weights` [P], all 1 by default."""
    weights = torch.ones_like(colors[:, 0]) if weights is None else weights
    weights = weights / weights.sum()
    mean = weights @ colors
    centred = colors - mean
    return mean, (weights[:, None] * centred).T @ centred


def linear_match(mean: Tensor, covariances: Tensor, target_mean: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return the linear map of colours, c -> matrix c + offset, between two means and covariances.

    Of all maps that do so it moves the colours least (Pitié and Kokaram 2007, equation 9).

    Args:
        mean, covariances: [3] and [3, 3] of the colours.
        target_mean, target: those that they shall have.

    Returns:
        matrix [3, 3], symmetric, and offset [3].
    """
    noise = NOISE**2 * torch.eye(3, device=mean.device, dtype=mean.dtype)
    root = _power(covariances + noise, 0.5)
    inverse = _power(covariances + noise, -0.5)
    matrix = inverse @ _power(root @ (target + noise) @ root, 0.5) @ inverse
    return matrix, target_mean - matrix @ mean


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Power of a symmetric matrix with positive eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(1e-12) ** exponent @ vectors.T
