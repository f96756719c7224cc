"""What leaves the studio: Gaussians at a time, a numbered sequence, a moving object in one file, its course as a table.

Everything is of the edited scene; what is hidden is never written.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from trase_ns.console import track
from trase_ns.editing import operations
from trase_ns.editing.apply import apply
from trase_ns.editing.edits import Edits, segmentation_of
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.scene.arrangement import compact
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
from trase_ns.scene.portable import Portable, write_portable
from trase_ns.scene.similarity import Similarity

Format = Literal["ply", "splat", "spz"]
Form = Literal["moment", "sequence", "moving", "trajectory"]
What = Literal["selection", "scene", "objects"]
FORMATS = ("ply", "splat", "spz")
FORMS = ("moment", "sequence", "moving", "trajectory")


@dataclass(frozen=True)
class Item:
    """Something to export.

    Attributes:
        name: for its files; may hold anything, see `file_name`. Empty for the only thing that a folder is for.
        rows: bool [M], the Gaussians of the edited scene.
    """

    name: str
    rows: Tensor


@dataclass(frozen=True)
class Options:
    """How to export.

    Attributes:
        form: "moment" for the Gaussians at `time`, "sequence" for numbered files at `times`, "moving" for one portable
            file with the motion, "trajectory" for a CSV of centre, extent and speed over `times`.
        format: of moments and sequences.
        time: in [0, 1].
        times: of sequences and trajectories, ascending in [0, 1].
        duration: seconds from time 0 to 1, or None where that is not known.
        world: None for coordinates as trained, or the map to others, as those of the data set.
        with_ids: write the object of each Gaussian as a column of the PLY instead of a file beside it.
        overwrite: replace files that are there.
    """

    form: Form = "moment"
    format: Format = "ply"
    time: float = 0.0
    times: tuple[float, ...] = (0.0, 1.0)
    duration: float | None = None
    world: Similarity | None = None
    with_ids: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What a portable file takes along of where it came from; see `Portable`."""

    cameras: Sequence[Camera] = ()
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    data_world: Similarity | None = None


def items(studio: Studio, what: What) -> list[Item]:
    """Return what there is to export: the selection, all that is shown, or each object that is shown, by itself.

    Raises:
        UserError: there is nothing of the kind.
    """
    edits = studio.edits
    if what == "scene":
        return [Item("scene", ~edits.hidden)]
    if what == "selection":
        mask = studio.selection()
        if mask is None:
            raise UserError("nothing is selected: select something, or export the scene or its objects.")
        return [Item("selection", mask)]
    found = []
    for number, entry in enumerate(edits.objects):
        rows = edits.mask(number) & ~edits.hidden
        if bool(rows.any()):
            found.append(Item(f"{number:02d} {entry.name}", rows))
    if not found:
        raise UserError("there are no objects to export: they are found at the end of training.")
    return found


@torch.no_grad()
def export(
    studio: Studio,
    item: Item,
    output_dir: Path,
    options: Options,
    surroundings: Surroundings | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Path]:
    """Write one item; what is written appears under its name when it is whole.

    Args:
        studio: the edited scene.
        item: what to write.
        output_dir: folder for the files; a sequence of an item with a name gets a folder of its own in it.
        options: how to write it.
        surroundings: for portable files.
        cancelled: asked between the files of a sequence; once it says yes nothing is left of it.

    Returns:
        The files, of a sequence the folder.

    Raises:
        UserError: a file is there and may not be overwritten, or cannot be written; numbers that make no sense.
    """
    _check(options)
    edits, scene = studio.edits, studio.scene()
    if options.world is not None and options.form == "moving":
        # So that it moves in those coordinates.
        placed = operations.place(edits, torch.ones_like(edits.hidden), options.world)
        scene = apply(placed, studio.trained())
    part = compact(scene.subset(item.rows))
    name = file_name(item.name) if item.name else ""
    if options.form == "moving":
        path = _free(output_dir / f"{name or 'moving'}.safetensors", options)
        _write_moving(path, edits, item, part, options, surroundings or Surroundings())
        return [path]
    if options.form == "trajectory":
        from trase_ns.scene.trajectory import follow, write_trajectory

        path = _free(output_dir / f"{name or 'trajectory'}.csv", options)
        write_trajectory(path, follow(part, list(options.times), options.duration, options.world))
        return [path]
    ids = None
    if edits.objects:
        found = studio.segmentation()
        ids = None if found is None else found.labels[item.rows]
    if options.form == "moment":
        prefix = f"{name}_" if name else ""
        path = _free(output_dir / f"{prefix}time{options.time:.3f}.{options.format}", options)
        write(path, moment(part, options.time, options.world), ids, options.with_ids)
        return [path]
    folder = output_dir / name if name else output_dir
    _write_sequence(folder, part, options, ids, cancelled)
    return [folder]


def write(path: Path, gaussians: Gaussians, ids: Tensor | None = None, with_ids: bool = False) -> None:
    """Write Gaussians in the format that the end of the file's name says: .ply, .splat or .spz.

    Args:
        path: the file.
        gaussians: what to write.
        ids, with_ids: see `write_ply`; other formats have no place for them.

    Raises:
        UserError: there are no Gaussians, or the file cannot be written.
    """
    if path.suffix == ".ply":
        from trase_ns.scene.ply import write_ply

        write_ply(path, gaussians, ids, with_ids)
    elif path.suffix == ".splat":
        from trase_ns.scene.splat import write_splat

        write_splat(path, gaussians)
    else:
        from trase_ns.scene.splat import write_spz

        write_spz(path, gaussians)


def file_name(name: str) -> str:
    """Return a name for files that no file system stumbles over and that stays in its folder."""
    plain = re.sub(r"[^\w-]+", "_", name, flags=re.ASCII).strip("_-")[:60]
    return plain or "object"


def moment(scene: DynamicGaussians, time: float, world: Similarity | None = None) -> Gaussians:
    """Return `scene` at `time`, in the coordinates that `world` maps to."""
    gaussians = scene.at(time)
    return gaussians if world is None else world.gaussians(gaussians)


def evenly(count: int) -> tuple[float, ...]:
    """Return `count` moments from 0 to 1."""
    return tuple(i / max(count - 1, 1) for i in range(count))


def sequence_name(index: int, suffix: str = "ply") -> str:
    """Return the name of the file at `index` of a sequence, counted from 0."""
    return f"frame{index + 1:04d}.{suffix}"


def _check(options: Options) -> None:
    if options.form not in FORMS or options.format not in FORMATS:
        raise UserError(f"cannot export {options.form!r} as {options.format!r}: use {', '.join(FORMS + FORMATS)}.")
    for time in (options.time, *options.times):
        if not 0 <= time <= 1:  # NaN is neither
            raise UserError(f"time {time:g}: times go from 0 (start) to 1 (end).")
    if not options.times:
        raise UserError("a sequence needs at least one time.")


def _write_sequence(
    folder: Path, scene: DynamicGaussians, options: Options, ids: Tensor | None, cancelled: Callable[[], bool]
) -> None:
    """Write frame0001, ... into `folder`; the names appear when all are written."""
    old = sorted(folder.glob("frame[0-9]*.*"))
    if old and not options.overwrite:
        raise UserError(f"{folder} holds a sequence already. Overwrite it, or choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".sequence-", dir=folder) as staging:
            for index, time in enumerate(track(list(options.times), "writing the sequence")):
                if cancelled():
                    raise UserError("the export was cancelled: nothing was written.")
                path = Path(staging) / sequence_name(index, options.format)
                # Ids are the same in all files of a sequence: a column, or none.
                write(path, moment(scene, time, options.world), ids if options.with_ids else None, True)
            for file in old:
                file.unlink()
            for file in sorted(Path(staging).iterdir()):
                file.replace(folder / file.name)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}. Free space or choose another.") from error


def _write_moving(
    path: Path, edits: Edits, item: Item, part: DynamicGaussians, options: Options, around: Surroundings
) -> None:
    """Write a portable file with the objects that lie mostly in the item."""
    number = torch.cumsum(item.rows, 0) - 1
    kept = []
    for entry in edits.objects:
        rows = entry.rows.to(number.device)
        inside = rows[item.rows[rows]]
        if len(inside) and 2 * len(inside) > len(rows):
            kept.append(replace(entry, rows=number[inside]))
    objects = None
    if kept:
        rows = Edits.none(len(part), tuple(kept), part.device)
        has_features = bool(part.features.any())
        objects = segmentation_of(rows, part.features if has_features else None).to("cpu").to_state()
    moved = options.world
    cameras = tuple(camera if moved is None else _seen_from(camera, moved) for camera in around.cameras)
    data_world = around.data_world if moved is None else None
    names = tuple(entry.name for entry in kept)
    write_portable(
        path,
        Portable(part, objects, names, cameras, around.background, None, options.duration, data_world),
    )


def _seen_from(camera: Camera, similarity: Similarity) -> Camera:
    """The camera that sees the world that `similarity` maps to as `camera` sees this one."""
    rotation = camera.viewmat[:3, :3].double().cpu() @ similarity.rotation.double().cpu().T
    position = similarity.points(camera.position.double().cpu()[None])[0]
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ position
    return replace(camera, viewmat=viewmat.float().to(camera.viewmat.device))


def _free(path: Path, options: Options) -> Path:
    if path.exists() and not options.overwrite:
        raise UserError(f"{path} is there already. Overwrite it, or choose another folder.")
    return path
