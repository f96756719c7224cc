"""`trase extract`: a derived run that holds only a selection."""

from __future__ import annotations

from pathlib import Path

from trase_ns.cli.selection import Options, SelectionOptions, choose, describe
from trase_ns.console import console
from trase_ns.errors import UserError


def main(
    load_config: Path,
    output_dir: Path,
    choice: Options = SelectionOptions(),  # noqa: B008 - frozen
) -> None:
    """Write a derived run that holds only a selection, as it was edited; stock Nerfstudio tools work on it.

    ns-viewer, ns-render and `ns-export gaussian-splat` take the new run's config.yml like any other.

    Args:
        load_config: config.yml of the run.
        output_dir: Folder for the new run, as for ns-train.
        choice: Which Gaussians are meant.
    """
    choice.check()
    from trase_ns.editing.edits import segmentation_of
    from trase_ns.plugin.opened import open_scene
    from trase_ns.plugin.run import extract_run

    opened = open_scene(load_config)
    if opened.run is None:
        raise UserError(f"{opened.path} is no run: derived runs are made of runs. `trase export` takes any scene.")
    studio = opened.studio(not choice.as_trained)
    mask = choose(opened, studio, choice)
    if mask is None:
        raise UserError("nothing is selected. Click with --click FRAME,X,Y, or select something with `trase segment`.")
    objects = segmentation_of(studio.edits, studio.scene().features) if studio.objects else None
    config = extract_run(opened.run, studio.scene(), mask, objects, output_dir)
    console.print(f"wrote {config}: {describe(mask, len(studio.edits))}", highlight=False, soft_wrap=True)
    console.print(f"look at it: ns-viewer --load-config {config}", highlight=False, soft_wrap=True)
