"""From a mask or strokes in a picture to all of a thing, in 4D: LUDVIG's graph diffusion and prompts to SAM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from trase_ns.errors import UserError
from trase_ns.learning.diffusion import Graph, anchor_probability, anchor_similarity, high_values
from trase_ns.learning.prompting import Predictor, uplift_prompted
from trase_ns.learning.uplift import uplift_features
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.clicks import Selection
from trase_ns.segmentation.filtering import has_features

# Bandwidths of diffusion (of features, of the unary term) to choose from by what fits the marks.
BANDWIDTHS = (0.1, 0.1), (0.3, 0.3), (0.03, 0.03)
# Where nothing is marked outside, what has less than this of the largest value does not belong to the thing.
REACHED = 1e-5


@dataclass(frozen=True)
class Reference:
    """What a person marked in a picture.

    Attributes:
        camera: the view, with its time.
        inside: [H, W] bool of the camera's size, pixels that show what is meant.
        outside: [H, W] bool, pixels that show what is not meant; of a whole mask all others.
    """

    camera: Camera
    inside: Tensor
    outside: Tensor

    @staticmethod
    def whole(camera: Camera, mask: Tensor) -> Reference:
        """Return the reference of a mask [H, W] bool that shows all of the thing in its picture."""
        return Reference(camera, mask, ~mask)


class Segmenter(Protocol):
    """Draws the mask of what points lie on in a picture that it was shown before (SAM)."""

    def look(self, picture: np.ndarray) -> None:
        """Take a picture, [H, W, 3] uint8."""
        ...

    def __call__(self, points: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
        """Return [H, W] bool for points [n, 2] (x, y) in pixels; of several the one most like `like` [H, W]."""
        ...


def strokes(camera: Camera, inside: Sequence[tuple[float, float]], outside: Sequence[tuple[float, float]]) -> Reference:
    """Return the reference of clicks, (x, y) in pixels of the camera: dots with a radius of a hundredth of its width.

    Args:
        camera: the view.
        inside: clicks on what is meant.
        outside: clicks on what is not.
    """
    radius = max(1.0, camera.width / 100)
    y, x = torch.meshgrid(torch.arange(camera.height) + 0.5, torch.arange(camera.width) + 0.5, indexing="ij")

    def dots(places: Sequence[tuple[float, float]]) -> Tensor:
        found = torch.zeros(camera.height, camera.width, dtype=torch.bool)
        for place in places:
            found |= (x - place[0]).square() + (y - place[1]).square() <= radius**2
        return found

    return Reference(camera, dots(inside), dots(outside))


@torch.no_grad()
def lift_reference(scene: DynamicGaussians, references: Sequence[Reference]) -> tuple[Tensor, Tensor]:
    """Return how much of each Gaussian, in weight, the marks show: inside [N], and outside [N].

    Raises:
        UserError: no Gaussian is seen inside.
    """
    views = [
        (r.camera.to(scene.device), torch.stack([r.inside, r.outside], dim=2).float().to(scene.device))
        for r in references
    ]
    mean, weight = uplift_features(scene, views)
    inside, outside = (mean * weight[:, None]).unbind(1)
    if not inside.any():
        raise UserError("no Gaussian is seen inside the mask: is it white on what is meant?")
    return inside, outside


@torch.no_grad()
def select_inside(scene: DynamicGaussians, references: Sequence[Reference]) -> Selection:
    """Select what is seen inside masks and not more outside; what no reference shows is left out."""
    inside, outside = lift_reference(scene, references)
    return Selection(best_cut(inside / (inside + outside).clamp_min(1e-12), inside, inside + outside)[0], [])


@torch.no_grad()
def diffuse(scene: DynamicGaussians, references: Sequence[Reference], graph: Graph | None = None) -> Selection:
    """Select all of the thing that references show, by LUDVIG's graph diffusion (section 4.3).

    The marks are lifted into the scene, and spread from there between near Gaussians that have like features. The
    unary term is a logistic regression of what is marked inside against what is marked outside, or, where nothing is
    outside, the cosine to the mean feature inside. Where outside is marked, bandwidths (of `BANDWIDTHS`) and threshold
    are those that fit the marks best, as in the paper; otherwise they are fixed, where the paper takes a mask of SAM's.

    Args:
        scene: the scene, with features.
        references: marks in one view or several.
        graph: the scene's, if it is at hand.

    Raises:
        UserError: there are no features, or nothing is marked.
    """
    if not has_features(scene.features):
        raise UserError("there are no features to spread by. Make some with `trase features --method uplift`.")
    inside, outside = lift_reference(scene, references)
    features = scene.features.float()
    share = inside / (inside + outside).clamp_min(1e-12)
    if outside.any():
        start = high_values(share)
        unary = anchor_probability(features, start > 0, inside + outside)
    else:
        start = high_values(inside)
        unary = anchor_similarity(features, start > 0)
    graph = graph or Graph(scene.means)
    if not outside.any():
        return Selection(graph.diffuse(start, features, unary) >= REACHED, [])
    fits = []
    for b_f, b_p in BANDWIDTHS:
        values = graph.diffuse(start, features, unary, feature_bandwidth=b_f, unary_bandwidth=b_p)
        fits.append(best_cut(values, inside, inside + outside))
    return Selection(max(fits, key=lambda fit: fit[1])[0], [])


@torch.no_grad()
def refine_by_prompts(
    scene: DynamicGaussians,
    mask: Tensor,
    views: Sequence[tuple[Camera, Callable[[], np.ndarray]]],
    segmenter: Segmenter,
    seed: int = 0,
) -> Selection:
    """Draw a selection anew with SAM: LUDVIG's prompts in several views (section 4.1).

    In each view that shows the selection SAM is prompted with points on it, ten times; its masks are lifted, and the
    Gaussians are taken that fit them best. Of the three masks that SAM gives, the one most like the selection counts.

    Args:
        scene: the scene.
        mask: [N] bool, the selection.
        views: cameras with their times, and what loads the picture, [H, W, 3] uint8 of any resolution.
        segmenter: SAM.
        seed: of the points.

    Raises:
        UserError: none of the views shows the selection.
    """

    def prepare(picture: Callable[[], np.ndarray]) -> Callable[[Tensor], Predictor]:
        def prepared(heat: Tensor) -> Predictor:
            image = picture()
            segmenter.look(image)
            (height, width), (h, w) = image.shape[:2], heat.shape
            enlarged = interpolate(heat[None, None].cpu(), (height, width), mode="bilinear")[0, 0]
            like = (enlarged >= 0.5).numpy()

            def predictor(points: np.ndarray) -> np.ndarray:
                found = segmenter(points * [width / w, height / h], like)
                return np.asarray(Image.fromarray(found).resize((w, h), Image.Resampling.NEAREST))

            return predictor

        return prepared

    prompts = [(camera.to(scene.device), prepare(picture)) for camera, picture in views]
    generator = torch.Generator().manual_seed(seed)
    try:
        share, weight = uplift_prompted(scene, mask.float(), prompts, generator=generator)
    except ValueError as error:
        raise UserError("none of the views shows the selection: take more of them with --sam-views.") from error
    return Selection(best_cut(share, share * weight, weight)[0], [])


def best_cut(values: Tensor, inside: Tensor, weight: Tensor) -> tuple[Tensor, float]:
    """Return the Gaussians of the largest values, down to the one that fits a mask best by the IoU of their weights.

    Args:
        values: [N].
        inside, weight: [N], the weight of each Gaussian inside the mask, and inside and outside of it together.

    Returns:
        [N] bool, Gaussians without weight among them by their value; and the IoU.
    """
    seen = weight > 0
    ranked = values[seen].sort(descending=True, stable=True)
    common = inside[seen][ranked.indices].double().cumsum(0)
    outside = (weight - inside)[seen][ranked.indices].double().cumsum(0)
    ious = common / (inside.double().sum() + outside)
    best = int(ious.argmax())
    return (values >= ranked.values[best]) & (values > 0), float(ious[best])
