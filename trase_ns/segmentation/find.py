"""The one way to the objects of a scene, by any method."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.clustering import cluster_gaussians, cluster_masks
from trase_ns.segmentation.filtering import has_features
from trase_ns.segmentation.mask_graph import objects_from_masks
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.refine import Lifted, refine

if TYPE_CHECKING:
    from trase_ns.learning.uplift import MaskWeights

Method = Literal["masks", "mask-features", "hdbscan", "dbscan"]


def find_objects(
    scene: DynamicGaussians,
    weights: MaskWeights | None = None,
    method: Method = "masks",
    *,
    seed: int = 0,
    refined: bool | None = None,
    **options: Any,
) -> Segmentation:
    """Find the objects of a scene.

    Args:
        scene: the trained scene; its features are read by all methods but "masks", which only keeps their means.
        weights: the uplifted masks of the training frames; "hdbscan" and "dbscan" do without unless `refined`.
        method: "masks" groups the masks themselves by the Gaussians that they share, "mask-features" clusters the
            mean features of masks, "hdbscan" and "dbscan" cluster the features of Gaussians as the paper does.
        seed: of all that is drawn.
        refined: whether clusters are sharpened by lifting the masks that show them; by default those of
            "mask-features" are. "masks" always refines.
        options: further settings of the method: `cuts`, `min_frames` and `rounds` of
            `objects_from_masks`; `min_cluster_size` and `epsilon` of `cluster_masks` and `cluster_gaussians`.

    Raises:
        UserError: an unknown method, no masks for a method that needs them, or features that were not trained.
    """
    if method not in get_args(Method):
        raise UserError(f"method {method!r}: use one of {', '.join(get_args(Method))}.")
    refined = method in ("masks", "mask-features") if refined is None else refined
    if weights is None and (refined or method in ("masks", "mask-features")):
        raise UserError(f"method {method!r} needs masks. Make them with `trase masks`, or use --method hdbscan.")
    features = scene.features.detach() if has_features(scene.features) else None
    if features is None and method != "masks":
        raise UserError(f"method {method!r}: this scene has no trained features. Use --method masks.")

    start = time.perf_counter()
    samples: dict[str, int] = {}
    if method == "masks":
        assert weights is not None
        lifted = objects_from_masks(weights, **options)
    else:
        assert features is not None
        if method == "mask-features":
            assert weights is not None
            clusters = cluster_masks(features, weights, seed=seed, **options)
        else:
            clusters = cluster_gaussians(features, method, seed=seed, **options)
        samples = {"sample": clusters.sample, "second_sample": clusters.second_sample}
        lifted = Lifted.from_labels(clusters.labels.numpy())
        if refined:
            assert weights is not None
            sharper = refine(weights, lifted.members)
            # A cluster that no mask shows stays as it was.
            members = [new if len(new) else old for new, old in zip(sharper.members, lifted.members)]
            lifted = Lifted(members, sharper.support)

    options = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    summary = {"method": method, "seed": seed, "refined": refined, **options, **samples}
    summary["objects"] = len(lifted.members)
    summary |= {"gaussians": len(scene), "masks": 0 if weights is None else len(weights.frame_of_mask)}
    summary["seconds"] = round(time.perf_counter() - start, 3)
    members = [torch.from_numpy(m) for m in lifted.members]
    result = Segmentation.from_members(members, len(scene), torch.from_numpy(lifted.support), features, summary)
    return result.to(scene.device)
