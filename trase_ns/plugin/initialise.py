"""The Gaussians that a training starts from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from trase_ns.scene.quaternions import random as random_quaternions
from trase_ns.scene.spherical_harmonics import rgb_to_sh0

_START_OPACITY = 0.1


def initial_parameters(points: Tensor, colors: Tensor, sh_degree: int, feature_dimensions: int) -> nn.ParameterDict:
    """Put a Gaussian on every seed point, as large as the mean distance to its three nearest neighbours.

    Args:
        points: [N, 3] positions in the training world.
        colors: [N, 3] in 0..255.
        sh_degree: degree of the spherical harmonics.
        feature_dimensions: numbers of a segmentation feature.

    Returns:
        Parameters under the names that Splatfacto uses, and "object_features" [N, feature_dimensions].
    """
    from scipy.spatial import KDTree

    points = points.float()
    count = len(points)
    neighbours = min(4, count)
    distances = KDTree(points.numpy()).query(points.numpy(), k=neighbours)[0].reshape(count, neighbours)
    size = distances[:, 1:].mean(axis=1) if neighbours > 1 else np.full(count, 0.1)
    log_scales = torch.from_numpy(np.log(np.maximum(size, 1e-6))).float()[:, None].repeat(1, 3)
    tensors = {
        "means": points,
        "scales": log_scales,
        "quats": random_quaternions(count),
        "features_dc": rgb_to_sh0(colors.float() / 255.0),
        "features_rest": torch.zeros(count, (sh_degree + 1) ** 2 - 1, 3),
        "opacities": torch.logit(torch.full((count, 1), _START_OPACITY)),
        "object_features": torch.zeros(count, feature_dimensions),  # zero says: not trained yet
    }
    return nn.ParameterDict({name: nn.Parameter(tensor) for name, tensor in tensors.items()})
