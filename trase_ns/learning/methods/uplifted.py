"""Features without training: LUDVIG's sum over all views, of feature maps or of masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from trase_ns.learning.distillation import sample_map
from trase_ns.learning.methods.training import View
from trase_ns.learning.uplift import MaskWeights, uplift_features
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians


def uplifted_maps(scene: DynamicGaussians, views: Sequence[View], load: Callable[[str], Tensor]) -> Tensor:
    """Return [N, C], for each Gaussian the mean of the feature maps that it was seen with (LUDVIG equation 3).

    Args:
        scene: the Gaussians and their deformation.
        views: at least one.
        load: returns the feature map [h, w, C] of a frame by its name.
    """
    return uplift_features(scene, _Upsampled(views, load))[0]


def uplifted_masks(weights: MaskWeights, dimensions: int = 64, seed: int = 0) -> Tensor:
    """Return [N, dimensions] features made of masks: the same sum over a feature map that the masks make up.

    Each mask of each frame has a code, random directions of length one, and the map shows at each pixel the sum of
    the codes of the masks that cover it. Codes are nearly at right angles, so that the cosine of two Gaussians is
    about that of how much of them each mask shows. LUDVIG uplifts one mask at a time.

    Args:
        weights: the uplifted masks.
        dimensions: numbers of a code; chance adds about one over their root to a cosine.
        seed: of the codes.
    """
    count = len(weights.frame_of_mask)
    codes = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    codes /= np.linalg.norm(codes, axis=1, keepdims=True).clip(min=1e-12)
    seen = np.asarray(weights.visibility.sum(axis=0), dtype=np.float32).reshape(-1, 1)
    sums = np.asarray(weights.inside.T @ codes, dtype=np.float32)
    return torch.from_numpy(sums / np.maximum(seen, np.finfo(np.float32).tiny))


class _Upsampled:
    """Cameras and feature maps at their size, made when their turn comes; with a length."""

    def __init__(self, views: Sequence[View], load: Callable[[str], Tensor]):
        self._views, self._load = views, load

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[tuple[Camera, Tensor]]:
        for view in (self._views[i] for i in range(len(self))):
            camera = view.camera
            y, x = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
            pixels = torch.stack([x.flatten(), y.flatten()], dim=1)
            values = sample_map(self._load(view.frame), pixels, camera.width, camera.height)
            yield camera, values.view(camera.height, camera.width, -1)
