"""`trase segment`: select what is under clicks, in 4D, and save the selection."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trase_ns.cli.selection import Options, SelectionOptions, parse_click
from trase_ns.cli.spreading import Spread, SpreadOptions, find_all
from trase_ns.console import console
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.editing.studio import Studio
    from trase_ns.plugin.opened import Opened
    from trase_ns.segmentation.clicks import Selection


def main(
    load_config: Path,
    output: Path | None = None,
    choice: Options = SelectionOptions(),  # noqa: B008 - frozen
    spread: Spread = SpreadOptions(),  # noqa: B008 - frozen
) -> None:
    """Select what is under clicks or marked in a frame, in 4D: in all views and at all times.

    Prints the objects that were hit. The selection is kept in the session of the run, where ns-viewer shows it and
    `trase export`, `render`, `edit` and `extract` take it up; selection.json says what was clicked and hit, and
    selection.png shows the selection in the first clicked frame, or the marked one.

    Args:
        load_config: config.yml of the run; or a scene in a .safetensors or .ply file.
        output: Folder for these files, and for the selection itself as selection.npz; the session stays as it is.
            Default: the run's folder, and the session.
        choice: What to select.
        spread: How to go on from there.
    """
    choice.check()
    spread.check(choice)
    if choice.exclude and not choice.click:
        raise UserError("nothing to select: add --click FRAME,X,Y, as in --click image000009,0.41,0.22.")
    if not (choice.named or spread.marks):
        raise UserError("nothing to select: add --click FRAME,X,Y, as in --click image000009,0.41,0.22, or --object.")
    from trase_ns.files import atomic_write
    from trase_ns.plugin.opened import open_scene
    from trase_ns.segmentation.selection_file import FILE_NAME, save_selection

    opened = open_scene(load_config)
    studio = opened.studio(not choice.as_trained)
    selection = find_all(opened, studio, choice, spread)
    already = studio.selection()
    if already is None or not already.equal(selection.mask):
        studio.select("segment", selection.mask, "replace", selection.objects)
    metadata = _metadata(studio, selection, choice, spread)
    folder = output or opened.directory
    if folder is None:
        raise UserError("there is no folder for the files: name one with --output.")
    if output is not None:
        save_selection(output / FILE_NAME, selection.mask[: studio.edits.trained], metadata)
    with atomic_write(folder / "selection.json") as temporary:
        temporary.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    if choice.click or spread.marks:
        _save_picture(opened, studio, selection, choice, spread, folder / "selection.png")
    saved = folder if output is not None else f"{studio.save()} and {folder}"

    for entry in metadata["objects"]:
        part = "" if entry["part_of"] is None else f", part of object {entry['part_of']}"
        console.print(
            f"object {entry['object']} ({entry['name']}): {entry['gaussians']:,} Gaussians, "
            f"support {entry['support']:.2f}{part}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"selected {len(selection):,} of {len(studio.edits):,} Gaussians; saved in {saved}",
        highlight=False,
        soft_wrap=True,
    )


def _metadata(studio: Studio, selection: Selection, choice: SelectionOptions, spread: SpreadOptions) -> dict[str, Any]:
    segmentation = studio.segmentation()
    objects = [
        {
            "object": number,
            "name": studio.objects[number].name,
            "gaussians": int(segmentation.sizes[number]),
            "support": round(float(segmentation.support[number]), 4),
            "part_of": None if segmentation.parents[number] < 0 else int(segmentation.parents[number]),
        }
        for number in (selection.objects if segmentation is not None else [])
        if segmentation is not None
    ]
    return {
        "clicks": [*chain(*choice.click)],
        "excluded": [*chain(*choice.exclude)],
        "text": choice.text,
        "granularity": choice.granularity,
        "similarity": choice.similarity,
        "marks": {
            "frame": spread.frame,
            "mask": None if spread.mask is None else str(spread.mask),
            "scribble": None if spread.scribble is None else str(spread.scribble),
            "exclude_scribble": None if spread.exclude_scribble is None else str(spread.exclude_scribble),
        },
        "diffuse": spread.diffuse,
        "sam": None if spread.sam == "off" else spread.sam,
        "objects": objects,
        "gaussians": len(selection),
        "of": len(studio.edits),
        "notes": list(selection.notes),
    }


def _save_picture(
    opened: Opened,
    studio: Studio,
    selection: Selection,
    choice: SelectionOptions,
    spread: SpreadOptions,
    path: Path,
) -> None:
    """Draw the selection over the picture of the first click's frame, or the marked one, with all clicks there."""
    from trase_ns.evaluation import pictures
    from trase_ns.evaluation.frames import pinhole_picture
    from trase_ns.segmentation.clicks import render_selection

    texts = [(text, True) for text in chain(*choice.click)] + [(text, False) for text in chain(*choice.exclude)]
    frame = opened.frame(spread.frame or texts[0][0].rsplit(",", 2)[0])
    width, height = frame.source_size
    image = pinhole_picture(frame.source, width, height)
    weight = render_selection(studio.scene(), selection.mask, frame.camera.resized(width, height))
    marks = []
    for text, positive in texts:
        if opened.frame(text.rsplit(",", 2)[0]).name == frame.name:
            prompt = parse_click(opened, text, positive)
            x, y = prompt.x * width / prompt.camera.width, prompt.y * height / prompt.camera.height
            marks.append(pictures.Mark(x, y, positive))
    tinted = pictures.tint(image, (weight >= 0.5).cpu().numpy(), pictures.PREDICTED)
    pictures.save(pictures.draw_marks(tinted, marks), path)
