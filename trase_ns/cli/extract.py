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
    """Write a derived run that holds only a selection; stock Nerfstudio tools work on it.

    ns-viewer, ns-render and `ns-export gaussian-splat` take the new run's config.yml like any other.

    Args:
        load_config: config.yml of the run.
        output_dir: Folder for the new run, as for ns-train.
        choice: Which Gaussians are meant.
    """
    choice.check()
    from trase_ns.plugin.run import extract_run, load_run

    run = load_run(load_config)
    mask = choose(run, choice)
    if mask is None:
        raise UserError("nothing is selected. Click with --click FRAME,X,Y, or save a selection with `trase segment`.")
    config = extract_run(run, mask, output_dir)
    console.print(f"wrote {config}: {describe(mask, len(run.scene))}", highlight=False, soft_wrap=True)
    console.print(f"look at it: ns-viewer --load-config {config}", highlight=False, soft_wrap=True)
