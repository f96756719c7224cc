"""`trase export`: the scene or a selection as standard 3DGS PLY files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trase_ns.cli.selection import Options, SelectionOptions, choose, describe
from trase_ns.console import console, track
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.plugin.run import Run
    from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
    from trase_ns.scene.similarity import Similarity


def main(
    load_config: Path,
    output_dir: Path,
    time: float | None = None,
    sequence: bool = False,
    fps: float = 24.0,
    duration: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None,
    world: Literal["scene", "data"] = "scene",
    overwrite: bool = False,
    choice: Options = SelectionOptions(),  # noqa: B008 - frozen
) -> None:
    """Write the scene or a selection as 3DGS PLY, at a time or as a numbered sequence.

    Without options for a selection it is the one that `trase segment` saved beside the run, and the whole scene where
    there is none. The files hold what every splat viewer reads; a sequence is frame0001.ply, frame0002.ply, ...

    Args:
        load_config: config.yml of the run.
        output_dir: Folder for the files.
        time: Moment in [0, 1]. Default: 0.
        sequence: Write the whole course of time instead of one moment.
        fps: Files for each second of a sequence.
        duration: Seconds that a sequence lasts. Default: as many files as the data set has moments.
        world: Coordinates: as trained (scene, as ns-export writes them), or those of the data set's poses (data).
        overwrite: Replace files that are there already.
        choice: Which Gaussians are meant.
    """
    times = _times(time, sequence, fps, duration)
    choice.check()
    from trase_ns.plugin.run import load_run

    run = load_run(load_config)
    mask = choose(run, choice)
    scene = run.scene if mask is None else run.scene.subset(mask)
    back = _data_world(run) if world == "data" else None
    if sequence:
        times = times or _evenly(len({frame.time for frame in run.frames}))
        export_sequence(scene, output_dir, times, back, overwrite)
        written = f"{output_dir / sequence_name(0)} to {sequence_name(len(times) - 1)}"
    else:
        written = str(export_moment(scene, output_dir, times[0], back, overwrite))
    console.print(f"wrote {written}: {describe(mask, len(run.scene))}", highlight=False, soft_wrap=True)


def export_moment(
    scene: DynamicGaussians,
    output_dir: Path,
    time: float,
    similarity: Similarity | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the scene at `time` in [0, 1], mapped by `similarity`, to output_dir/time0.500.ply; return the file.

    Raises:
        UserError: the file is there and `overwrite` is false, or it cannot be written.
    """
    from trase_ns.scene.ply import write_ply

    path = output_dir / f"time{time:.3f}.ply"
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already. Add --overwrite, or choose another folder.")
    write_ply(path, _moment(scene, time, similarity))
    return path


def export_sequence(
    scene: DynamicGaussians,
    output_dir: Path,
    times: list[float],
    similarity: Similarity | None = None,
    overwrite: bool = False,
) -> None:
    """Write the scene at each of `times` to output_dir/frame0001.ply, ...; the names appear when all are written.

    Raises:
        UserError: there is a sequence already and `overwrite` is false, or a file cannot be written.
    """
    from trase_ns.scene.ply import write_ply

    old = sorted(output_dir.glob("frame[0-9]*.ply"))
    if old and not overwrite:
        raise UserError(f"{output_dir} holds a sequence already. Add --overwrite, or choose another folder.")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sequence-", dir=output_dir) as staging:
            files = [Path(staging) / sequence_name(i) for i in range(len(times))]
            for file, time in track(list(zip(files, times)), "writing the sequence"):
                write_ply(file, _moment(scene, time, similarity))
            for file in old:
                file.unlink()
            for file in files:
                file.replace(output_dir / file.name)
    except OSError as error:
        raise UserError(
            f"cannot write {output_dir}: {error.strerror or error}. Free space or choose another folder."
        ) from error


def sequence_name(index: int) -> str:
    """Return the name of the file at `index` of a sequence, counted from 0."""
    return f"frame{index + 1:04d}.ply"


def _moment(scene: DynamicGaussians, time: float, similarity: Similarity | None) -> Gaussians:
    import torch

    with torch.no_grad():
        gaussians = scene.at(time)
        return gaussians if similarity is None else similarity.gaussians(gaussians)


def _times(time: float | None, sequence: bool, fps: float, duration: float | None) -> list[float]:
    """Return the moments that the options ask for; none where the data set decides."""
    if not sequence:
        if duration is not None:
            raise UserError("--duration is for sequences: add --sequence.")
        if time is not None and not 0 <= time <= 1:
            raise UserError(f"--time {time:g}: times go from 0 (start) to 1 (end).")
        return [time or 0.0]
    if time is not None:
        raise UserError("--time and --sequence exclude each other: leave one out.")
    if not 0 < fps < float("inf") or (duration is not None and not 0 < duration < float("inf")):
        raise UserError("--fps and --duration must be positive numbers.")
    return [] if duration is None else _evenly(max(1, round(duration * fps)))


def _evenly(count: int) -> list[float]:
    return [i / max(count - 1, 1) for i in range(count)]


def _data_world(run: Run) -> Similarity:
    from trase_ns.scene.similarity import Similarity

    return Similarity.from_dataparser(*run.world_transform).inverse()
