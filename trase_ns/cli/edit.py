"""`trase edit`: what the panel does, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from trase_ns.cli.edit_operations import List, Operation, Redo, Undo
from trase_ns.cli.selection import Options, SelectionOptions, describe, find
from trase_ns.console import console


def main(
    load_config: Path,
    operation: Annotated[Operation, tyro.conf.arg(name="")],
    choice: Options = SelectionOptions(),  # noqa: B008 - frozen
) -> None:
    """Edit a scene, and keep the edit in its session: ns-viewer shows it, and every command takes it up.

    The trained parameters are never touched; `trase edit undo` takes any step back. What is edited is what the options
    select, else the selection of the session. Options stand before the operation, those of the operation after it:

        trase edit --load-config RUN/config.yml --click image000009,0.41,0.22 recolor --color 1 0 0

    Args:
        load_config: config.yml of the run; or a scene in a .safetensors or .ply file.
        operation: What to do.
        choice: What to do it to.
    """
    choice.check()
    from trase_ns.plugin.opened import open_scene

    opened = open_scene(load_config)
    studio = opened.studio()
    if not isinstance(operation, (Undo, Redo, List)):
        chosen = find(opened, studio, choice)
        if chosen is not None:
            before = studio.selection()
            if before is None or not before.equal(chosen.mask):
                studio.select("select", chosen.mask, "replace", chosen.objects)
        elif choice.whole:
            studio.select("select all", ~studio.edits.hidden, "replace")
    operation.apply(studio, opened)
    if isinstance(operation, List):
        return
    saved = studio.save()
    mask = studio.selection()
    selected = "nothing is selected" if mask is None else f"selected: {describe(mask, len(studio.edits))}"
    done = studio.steps[studio.position - 1] if studio.position else "nothing"
    console.print(
        f"step {studio.position}: {done}; {selected}; saved {saved}", highlight=False, markup=False, soft_wrap=True
    )
