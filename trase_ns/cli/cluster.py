"""`trase cluster`: find the objects of a trained run anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from trase_ns.console import console
from trase_ns.errors import UserError


def main(
    load_config: Path,
    method: Literal["masks", "mask-features", "hdbscan", "dbscan"] = "masks",
    cuts: tuple[float, ...] | None = None,
    min_frames: int | None = None,
    min_cluster_size: int | None = None,
    epsilon: float | None = None,
    refined: bool | None = None,
    seed: int = 0,
) -> None:
    """Find the objects of a trained run anew, and put them into its checkpoint in place of the old ones.

    The defaults need no tuning for a scene; training has used them already.

    Args:
        load_config: config.yml of the run.
        method: "masks" groups the masks of all training frames by the Gaussians that they share; "mask-features"
            clusters the mean features of these masks; "hdbscan" and "dbscan" cluster the features of Gaussians, as
            the TRASE paper and its program do.
        cuts: Of masks: how different two groups of masks may be (1 - IoU) and still be one object, each in (0, 1). The
            objects of all cuts are taken together. Default: 0.4 0.6 0.8.
        min_frames: Of masks: the fewest frames in which an object has a mask.
        min_cluster_size: Of the other methods: the least size of a cluster.
        epsilon: Of the other methods: distance of features below which clusters are not split, for dbscan the
            distance of neighbours.
        refined: Sharpen clusters by the masks that show them. Default: so for mask-features; masks always are.
        seed: Of the sample that is clustered.
    """
    options = _options(method, {"cuts": cuts, "min_frames": min_frames}, ("masks",))
    clustering = {"min_cluster_size": min_cluster_size, "epsilon": epsilon}
    options |= _options(method, clustering, ("mask-features", "hdbscan", "dbscan"))
    for cut in options.get("cuts", ()):
        if not 0 < cut < 1:
            raise UserError(f"--cuts {cut:g}: use numbers between 0 and 1.")
    for name in ("min_frames", "min_cluster_size", "epsilon"):
        if name in options and not options[name] > 0:
            raise UserError(f"--{name.replace('_', '-')} {options[name]:g}: use a number above 0.")

    from trase_ns.plugin.run import load_run, save_segmentation
    from trase_ns.segmentation.find import find_objects

    run = load_run(load_config)
    needs_masks = method in ("masks", "mask-features") or bool(refined)
    weights = run.lifted_masks() if needs_masks else None
    segmentation = find_objects(run.scene, weights, method, seed=seed, refined=refined, **options)
    path = save_segmentation(run, segmentation)

    summary = segmentation.summary
    parts = int((segmentation.parents >= 0).sum())
    console.print(
        f"{len(segmentation)} objects, {parts} of them parts of others, by {method} in {summary['seconds']:.1f} s; "
        f"{int((segmentation.labels < 0).sum()):,} of {len(run.scene):,} Gaussians are in none; saved in {path}",
        highlight=False,
        soft_wrap=True,
    )


def _options(method: str, given: dict[str, Any], methods: tuple[str, ...]) -> dict[str, Any]:
    """Return the options that were given; they must belong to `method`."""
    chosen = {name: value for name, value in given.items() if value is not None}
    if chosen and method not in methods:
        name = next(iter(chosen)).replace("_", "-")
        raise UserError(f"--{name} is no option of --method {method}, but of {', '.join(methods)}.")
    return chosen
