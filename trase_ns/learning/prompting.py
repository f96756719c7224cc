"""SAM prompted in all views by what is known of an object: LUDVIG (section 4.1), on a scene that may move."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from trase_ns.learning.diffusion import high_values
from trase_ns.learning.uplift import uplift_features
from trase_ns.render import render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians

# Draws a mask from points: [n, 2] float64 (x, y) in pixels of the camera, to [H, W] bool of its size.
Predictor = Callable[[np.ndarray], np.ndarray]
# What sets the image of a view and returns the predictor, from what is known there: [H, W] from 0 to 1.
Prepare = Callable[[Tensor], Predictor]

POINTS, ROUNDS = 3, 10
# What has less of the reference mask is not prompted with: a view that does not show the object has no high values.
LEAST_SHARE = 0.2


def prompted_mask(
    heat: Tensor,
    predictor: Predictor,
    *,
    points: int = POINTS,
    rounds: int = ROUNDS,
    threshold: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the mean of SAM's masks for points drawn from the high values of a view (section 4.1).

    Args:
        heat: [H, W] the uplifted reference mask rendered into the view, from 0 to 1.
        predictor: SAM with this view's image set, see `Predictor`.
        points: positive points of a prompt.
        rounds: prompts.
        threshold: see `high_values`; besides, points have LEAST_SHARE or more of the reference mask.
        generator: source of the draws, on the CPU.

    Returns:
        [H, W] float32 from 0 to 1 on the device of `heat`; 0 where no value is high.
    """
    high = _high(heat, threshold).cpu().nonzero().flip(1)
    mean = torch.zeros(heat.shape)
    if not len(high):
        return mean.to(heat.device)
    for _ in range(rounds):
        if len(high) >= points:
            chosen = torch.randperm(len(high), generator=generator)[:points]
        else:
            chosen = torch.randint(len(high), (points,), generator=generator)
        mean += torch.from_numpy(np.asarray(predictor(high[chosen].double().numpy() + 0.5), dtype=np.float32)) / rounds
    return mean.to(heat.device)


@torch.no_grad()
def uplift_prompted(
    scene: DynamicGaussians,
    belongs: Tensor,
    views: Sequence[tuple[Camera, Prepare]],
    *,
    threshold: float = 1.0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Return how much each Gaussian belongs to the object that a reference mask or a selection shows (section 4.1).

    What is known is rendered into all views, each at its own time; SAM is prompted there with the high values, and
    its masks are uplifted. Rendered again and thresholded they segment any view. Views that show too little to prompt
    with are left out, where the paper has an empty mask: what hides there would count as background.

    Args:
        scene: the Gaussians and their deformation.
        belongs: [N] from 0 to 1, the uplifted reference mask (see `uplift_features`) or a selection.
        views: each view with what sets its image; called in order, where the view shows the object.
        threshold, generator: see `prompted_mask`.

    Returns:
        [N] from 0 to 1, and [N] the total weight of each Gaussian in the views that were prompted.

    Raises:
        ValueError: no view shows the object.
    """

    def drawn() -> Iterator[tuple[Camera, Tensor]]:
        for camera, prepare in views:
            heat = render_view(scene.at(camera.time), camera, colors=belongs[:, None].float()).color[..., 0]
            if _high(heat, threshold).any():
                mask = prompted_mask(heat, prepare(heat), threshold=threshold, generator=generator)
                yield camera, mask[..., None]

    mean, weight = uplift_features(scene, _Sized(drawn(), len(views)))
    return mean[:, 0], weight


def _high(heat: Tensor, threshold: float) -> Tensor:
    """[H, W] bool, where prompts may be."""
    return (high_values(heat, threshold) > 0) & (heat >= LEAST_SHARE)


class _Sized:
    """Views whose masks are drawn when their turn comes; it has a length, the most there can be, for the progress."""

    def __init__(self, views: Iterable[tuple[Camera, Tensor]], length: int):
        self._views, self._length = views, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[Camera, Tensor]]:
        return iter(self._views)
