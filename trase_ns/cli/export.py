"""`trase export`: the scene, a selection or its objects as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from trase_ns.cli.selection import Options, SelectionOptions, choose, describe
from trase_ns.console import console
from trase_ns.errors import UserError


def main(
    load_config: Path,
    output_dir: Path,
    time: float | None = None,
    sequence: bool = False,
    moving: bool = False,
    trajectory: bool = False,
    each_object: bool = False,
    format: Literal["ply", "splat", "spz"] = "ply",
    fps: float = 24.0,
    duration: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None,
    world: Literal["scene", "data"] = "scene",
    with_ids: bool = False,
    overwrite: bool = False,
    choice: Options = SelectionOptions(),  # noqa: B008 - frozen
) -> None:
    """Write the edited scene, a selection or its objects for other programs.

    Without options for a selection it is that of the session, and the whole scene where there is none. By default it
    is written at one moment; a sequence is frame0001.ply, frame0002.ply, ... as SuperSplat plays it.

    Args:
        load_config: config.yml of the run; or a scene in a .safetensors or .ply file.
        output_dir: Folder for the files.
        time: Moment in [0, 1]. Default: 0.
        sequence: Write the whole course of time as numbered files.
        moving: Write one portable file that holds the motion, for `trase view` and `trase edit bring-in`.
        trajectory: Write centre, extent and speed over time as CSV.
        each_object: Write each object by itself instead of a selection.
        format: Of moments and sequences: 3DGS PLY, .splat, or .spz (needs trase_ns[spz]).
        fps: Files for each second of a sequence.
        duration: Seconds that the whole time lasts. Default: as many files as the data set has moments.
        world: Coordinates: as trained (scene, as ns-export writes them), or those of the data set's poses (data).
        with_ids: Write the object of each Gaussian as a column of the PLY, not as a file beside it.
        overwrite: Replace files that are there already.
        choice: Which Gaussians are meant.
    """
    forms = {"sequence": sequence, "moving": moving, "trajectory": trajectory}
    _check(forms, time, fps, duration)
    choice.check()
    if each_object and choice.named:
        raise UserError("--each-object and options for a selection exclude each other: leave one out.")
    from trase_ns.editing import exporting
    from trase_ns.plugin.opened import open_scene

    opened = open_scene(load_config)
    studio = opened.studio(not choice.as_trained)
    if each_object:
        found = exporting.items(studio, "objects")
        what = f"{len(found)} objects"
    else:
        mask = choose(opened, studio, choice)
        total = len(studio.edits)
        rows = exporting.items(studio, "scene")[0].rows if mask is None else mask
        found = [exporting.Item("", rows)]
        what = describe(mask, total)
    if world == "data" and opened.world is None:
        raise UserError("--world data: the coordinates of the data set are not known here. Open the run itself.")
    back = None if opened.world is None else opened.world.inverse()
    count = len({camera.time for camera in opened.cameras}) if duration is None else round(duration * fps)
    options = exporting.Options(
        form=next((name for name, wanted in forms.items() if wanted), "moment"),  # type: ignore[arg-type]
        format=format,
        time=time or 0.0,
        times=exporting.evenly(max(count, 2 if trajectory else 1)),
        duration=duration,
        world=back if world == "data" else None,
        with_ids=with_ids,
        overwrite=overwrite,
    )
    red, green, blue = opened.background.tolist()
    around = exporting.Surroundings(opened.cameras, (red, green, blue), back)
    files = [file for item in found for file in exporting.export(studio, item, output_dir, options, around)]
    written = str(files[0]) if len(files) == 1 else f"{len(files)} files to {output_dir}"
    console.print(f"wrote {written}: {what}", highlight=False, soft_wrap=True)


def _check(forms: dict[str, bool], time: float | None, fps: float, duration: float | None) -> None:
    """Refuse options that do not go together."""
    wanted = [f"--{name}" for name, chosen in forms.items() if chosen]
    if len(wanted) > 1:
        raise UserError(f"{' and '.join(wanted)} exclude each other: leave one out.")
    if time is not None and wanted:
        raise UserError(f"--time and {wanted[0]} exclude each other: leave one out.")
    if time is not None and not 0 <= time <= 1:
        raise UserError(f"--time {time:g}: times go from 0 (start) to 1 (end).")
    if duration is not None and not wanted:
        raise UserError("--duration is for sequences, moving scenes and trajectories: add --sequence.")
    if not 0 < fps < float("inf") or (duration is not None and not 0 < duration < float("inf")):
        raise UserError("--fps and --duration must be positive numbers.")
