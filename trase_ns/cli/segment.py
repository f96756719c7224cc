"""`trase segment`: select what is under clicks, in 4D, and save the selection."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trase_ns.cli.selection import Clicks, parse_click
from trase_ns.console import console
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.plugin.run import Run
    from trase_ns.segmentation.clicks import Prompt, Selection


def main(
    load_config: Path,
    click: Clicks = (),
    exclude: Clicks = (),
    granularity: Literal["auto", "coarse", "fine"] = "auto",
    similarity: float | None = None,
    output: Path | None = None,
) -> None:
    """Select what is under clicks, in 4D: in all views and at all times.

    Prints the objects that were hit, and writes selection.npz (which `trase export` and `trase extract` take),
    selection.json (what was clicked and hit) and selection.png (the selection in the first clicked frame).

    Args:
        load_config: config.yml of the run.
        click: Clicks on what to select: a frame, and fractions of its width (to the right) and height (down), as in
            image000009,0.41,0.22. Several add up.
        exclude: Clicks on what to leave out, written in the same way.
        granularity: Of nested objects under a click take the largest (coarse), the smallest (fine) or the one that
            the masks agree on best (auto).
        similarity: Keep of each object the Gaussians with at least this cosine to its mean feature. Default: keep all.
        output: Folder for the files. Default: the run's folder.
    """
    clicks, excluded = [*chain(*click)], [*chain(*exclude)]
    if not clicks:
        raise UserError("nothing to select: add --click FRAME,X,Y, as in --click image000009,0.41,0.22.")
    from trase_ns.plugin.run import load_run
    from trase_ns.segmentation.clicks import select
    from trase_ns.segmentation.selection_file import FILE_NAME, save_selection

    run = load_run(load_config)
    prompts = [parse_click(run, text, True, granularity) for text in clicks]
    prompts += [parse_click(run, text, False, granularity) for text in excluded]
    selection = select(run.scene, run.segmentation, prompts, similarity)

    output = output or run.directory
    metadata = {"clicks": clicks, "excluded": excluded, "granularity": granularity, "similarity": similarity}
    metadata |= {"objects": _objects(run, selection), "gaussians": len(selection), "of": len(run.scene)}
    metadata["notes"] = list(selection.notes)
    save_selection(output / FILE_NAME, selection.mask, metadata)
    from trase_ns.files import atomic_write

    with atomic_write(output / "selection.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    _save_picture(run, selection, prompts, clicks, excluded, output / "selection.png")

    for entry in metadata["objects"]:
        part = "" if entry["part_of"] is None else f", part of object {entry['part_of']}"
        console.print(
            f"object {entry['object']}: {entry['gaussians']:,} Gaussians, support {entry['support']:.2f}{part}",
            highlight=False,
        )
    for note in selection.notes:
        console.print(note, highlight=False, soft_wrap=True)
    console.print(
        f"selected {len(selection):,} of {len(run.scene):,} Gaussians; wrote {output / FILE_NAME}, selection.json and "
        "selection.png",
        highlight=False,
        soft_wrap=True,
    )


def _objects(run: Run, selection: Selection) -> list[dict[str, Any]]:
    segmentation = run.segmentation
    if segmentation is None:
        return []
    return [
        {
            "object": index,
            "gaussians": int(segmentation.sizes[index]),
            "support": round(float(segmentation.support[index]), 4),
            "part_of": None if segmentation.parents[index] < 0 else int(segmentation.parents[index]),
        }
        for index in selection.objects
    ]


def _save_picture(
    run: Run, selection: Selection, prompts: list[Prompt], clicks: list[str], excluded: list[str], path: Path
) -> None:
    """Draw the selection over the picture of the first click's frame, with all clicks in that frame."""
    from trase_ns.evaluation import pictures
    from trase_ns.evaluation.frames import pinhole_picture
    from trase_ns.segmentation.clicks import render_selection

    frames = [run.frame(text.rsplit(",", 2)[0]) for text in [*clicks, *excluded]]
    frame = frames[0]
    width, height = frame.source_size
    image = pinhole_picture(frame.source, width, height)
    weight = render_selection(run.scene, selection.mask, frame.camera.resized(width, height))
    marks = [
        pictures.Mark(p.x * width / p.camera.width, p.y * height / p.camera.height, p.positive)
        for p, f in zip(prompts, frames)
        if f.name == frame.name
    ]
    tinted = pictures.tint(image, (weight >= 0.5).cpu().numpy(), pictures.PREDICTED)
    pictures.save(pictures.draw_marks(tinted, marks), path)
