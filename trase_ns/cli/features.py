"""`trase features`: give a finished run the features of any method, without training its geometry again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.learning.methods.options import (
    CgcOptions,
    ClickOptions,
    DgdOptions,
    Method,
    TraseOptions,
    UpliftOptions,
    check_options,
)


def main(
    load_config: Path,
    method: Method = "trase",
    objects: Literal["masks", "mask-features", "hdbscan", "dbscan", "candidates", "threshold", "clicks"] | None = None,
    similarity: float | None = None,
    prune: float = 0.0,
    output_dir: Path | None = None,
    seed: int = 0,
    trase: TraseOptions = TraseOptions(),  # noqa: B008 - frozen
    cgc: CgcOptions = CgcOptions(),  # noqa: B008
    click: ClickOptions = ClickOptions(),  # noqa: B008
    dgd: DgdOptions = DgdOptions(),  # noqa: B008
    uplift: UpliftOptions = UpliftOptions(),  # noqa: B008
) -> None:
    """Give a finished run the features of any method, and the objects that go with them; its geometry stays.

    Features and objects take the place of those in the run's checkpoint, all at once at the end; the checkpoint as it
    was trained is kept beside its folder, as trained-step-STEP.ckpt.

    Args:
        load_config: config.yml of the run.
        method: "trase", "cgc" (Contrastive Gaussian Clustering), "click" (Click-Gaussian), "dgd" (distillation of
            feature maps), "uplift" (LUDVIG, without training). Each has options under its own name.
        objects: How objects are found: "masks", "mask-features", "hdbscan" and "dbscan" as in `trase cluster`;
            "candidates" of two levels, of click alone; "threshold", what resembles the centre of a cluster; "clicks",
            none: a click takes what resembles it. Default: masks (as the run was configured) for trase, threshold
            for cgc and dgd, candidates for click, masks for uplift, threshold with its maps.
        similarity: Keep of each object the Gaussians with at least this cosine to its mean feature: TRASE's filter.
        prune: Drop this share of the Gaussians first, those that the training views show least (LUDVIG drops half):
            smaller files for a little of the picture.
        output_dir: As for ns-train: write a run of its own there, and leave this one alone.
        seed: Of all that is drawn.
        trase: Options of --method trase.
        cgc: Options of --method cgc.
        click: Options of --method click.
        dgd: Options of --method dgd.
        uplift: Options of --method uplift.
    """
    groups: dict[str, Any] = {"trase": trase, "cgc": cgc, "click": click, "dgd": dgd, "uplift": uplift}
    check(method, groups, objects, similarity)
    if not 0 <= prune < 1:
        raise UserError(f"--prune {prune:g}: it is a share of the Gaussians, from 0 up to, not including, 1.")

    from trase_ns.plugin.features import make_features, save_features
    from trase_ns.plugin.objectives import feature_space
    from trase_ns.plugin.pruning import prune as prune_run
    from trase_ns.plugin.run import load_run

    run = load_run(load_config)
    kept = prune_run(run, prune) if prune else None
    features, segmentation = make_features(run, groups[method], objects, similarity, seed)
    space = feature_space(groups[method], run.datamanager, seed=seed)
    path = save_features(run, features, segmentation, output_dir, method, space, kept)
    console.print(
        f"features of {features.shape[1]} numbers for {len(features):,} Gaussians by {method}; "
        f"{len(segmentation)} objects by {segmentation.summary['method']}; saved in {path}",
        highlight=False,
        soft_wrap=True,
    )


def check(method: Method, groups: dict[str, Any], objects: str | None, similarity: float | None) -> None:
    """Check the options before anything is loaded.

    Raises:
        UserError: one is out of its range, belongs to another method, or is missing.
    """
    check_options(method, groups)
    if objects == "candidates" and method != "click":
        raise UserError(f"--objects candidates is of --method click alone, not of {method}.")
    if similarity is not None and not -1 <= similarity <= 1:
        raise UserError(f"--similarity {similarity:g}: it is a cosine, from -1 to 1.")
