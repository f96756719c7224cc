"""`trase render`: pictures, films and masks of a scene along a camera path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trase_ns.cli.selection import Options, SelectionOptions, choose
from trase_ns.console import console
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from trase_ns.plugin.opened import Opened
    from trase_ns.scene.camera import Camera

FPS = 24.0
# A path that no data set gives a length lasts at least this many seconds.
_SECONDS = 2.0
# Ends of names that are pictures or films, but not ones that are written.
_OTHER_FILES = {".png", ".jpg", ".jpeg", ".gif", ".webm", ".mov", ".avi", ".mkv", ".webp"}
_NO_SELECTION = "Click with --click FRAME,X,Y, take an --object, or select something with `trase segment`."


@dataclass(frozen=True)
class _Path:
    """Cameras, names of their pictures without suffix, and pictures a second."""

    cameras: list[Camera]
    names: list[str]
    fps: float


def main(
    load_config: Path,
    output: Path,
    show: Literal["scene", "selection", "overlay", "segments", "depth", "mask", "labels"] | None = None,
    path: Annotated[str, tyro.conf.arg(metavar="smooth|data|orbit|FILE.json|FRAME")] = "smooth",
    time: float | None = None,
    fps: float | None = None,
    duration: Annotated[float | None, tyro.conf.arg(metavar="SECONDS")] = None,
    width: int | None = None,
    height: int | None = None,
    scale: float | None = None,
    background: Annotated[str | None, tyro.conf.arg(metavar="black|white|transparent|R,G,B")] = None,
    overwrite: bool = False,
    choice: Options = SelectionOptions(),  # noqa: B008 - frozen
) -> None:
    """Render the edited scene, a selection or masks along a camera path, as a film, pictures or COCO.

    The end of the output says what is written: film.mp4 a film; masks.json a COCO data set of the masks (with --show
    mask or labels); anything else is a folder for PNG files.

    Args:
        load_config: config.yml of the run; or a scene in a .safetensors or .ply file.
        output: PATH.mp4, PATH.json, or a folder.
        show: scene; selection: that alone; overlay: the selection tinted, all else dimmed; segments: all objects in
            colours; depth: near red, far blue; mask: where the selection is seen, white on black; labels: which object
            each pixel shows. Default: the scene, or the overlay if you say what is selected.
        path: smooth: a flight through the cameras of the data set. data: each of its frames, named after it. orbit:
            around what the cameras look at, as far as they went around it. FILE.json: a path saved in the Render tab of
            the viewer. FRAME: the name of a frame; the camera stays there.
        time: Hold this moment in [0, 1]. Default: the time moves; a path with times of its own keeps them.
        fps: Pictures a second. Default: that of the file of the path, else 24.
        duration: Seconds that the path lasts. Default: as many pictures as the data set has moments, or 2 s.
        width: Width in pixels. Alone it keeps the proportions; with --height the vertical field of view is kept.
        height: Height in pixels.
        scale: Size as a multiple of that of the data set or the path, instead of --width and --height.
        background: Behind the Gaussians. transparent is for PNG files only. Default: that of the training.
        overwrite: Replace files that are there already.
        choice: What is selected. Without it, the selection of the session.
    """
    choice.check()
    named = choice.named
    wanted = show or ("overlay" if named else "scene")
    selects = wanted in ("selection", "overlay", "mask")
    if named and not selects:
        raise UserError(f"--show {wanted} is not about a selection: leave out what selects.")
    form = _form(output, wanted, background, overwrite)
    _check_numbers(time, fps, duration, width, height, scale)
    from trase_ns.evaluation import rendered_masks
    from trase_ns.evaluation.picture_files import write_film, write_pictures
    from trase_ns.evaluation.rendered import OF_OBJECTS, render_pictures
    from trase_ns.plugin.opened import open_scene

    opened = open_scene(load_config)
    studio = opened.studio(not choice.as_trained)
    if wanted in OF_OBJECTS and not studio.objects:
        raise UserError(f"{opened.path}: there are no objects to show yet. Find them with `trase cluster`.")
    mask = choose(opened, studio, choice) if selects else None
    if selects and mask is None:
        raise UserError(f"nothing is selected. {_NO_SELECTION}")
    way = _path(opened, path, time, fps, duration)
    cameras = [_sized(camera, width, height, scale) for camera in way.cameras]
    scene, objects = studio.scene(), studio.segmentation()
    names = [entry.name for entry in studio.objects] or None
    if form == "coco":
        found = mask if mask is not None else objects
        assert found is not None
        count = rendered_masks.write_coco_masks(scene, found, cameras, way.names, output, None if selects else names)
        written = f"{count:,} masks in {len(cameras)} pictures"
    elif form == "folder" and wanted == "labels":
        assert objects is not None
        rendered_masks.write_label_images(scene, objects, cameras, way.names, output, names, overwrite)
        written = f"label images of {len(objects)} objects in {len(cameras)} views"
    else:
        behind = _background(background, opened.background)
        pictures = render_pictures(scene, cameras, wanted, mask, objects, behind, opened.rasterize_mode)
        if form == "film":
            write_film(pictures, output, way.fps, overwrite)
        else:
            write_pictures(pictures, way.names, output, overwrite)
        written = f"{len(cameras)} pictures"
    size = f"{cameras[0].width} x {cameras[0].height}"
    console.print(f"wrote {output}: {written} of {size} pixels", highlight=False, soft_wrap=True)


def _form(output: Path, show: str, background: str | None, overwrite: bool) -> Literal["film", "coco", "folder"]:
    """Return what is to be written, after checks that need no scene."""
    suffix = output.suffix.lower()
    if suffix in _OTHER_FILES and not output.is_dir():
        raise UserError(f"--output {output}: name a .mp4 file, a .json file (masks), or a folder for PNG files.")
    form = "film" if suffix == ".mp4" else "coco" if suffix == ".json" else "folder"
    if form == "coco" and show not in ("mask", "labels"):
        raise UserError(f"--output {output}: JSON is for masks. Add --show mask or --show labels.")
    _background(background, None)
    if background == "transparent" and (form != "folder" or show not in ("scene", "selection")):
        raise UserError("--background transparent is for PNG files of the scene or the selection: name a folder.")
    if form != "folder" and output.exists() and not overwrite:
        raise UserError(f"{output} is there already. Add --overwrite, or choose another name.")
    return form


def _check_numbers(
    time: float | None,
    fps: float | None,
    duration: float | None,
    width: int | None,
    height: int | None,
    scale: float | None,
) -> None:
    from trase_ns.capture.camera_path import MAX_SIDE

    if time is not None and not 0 <= time <= 1:
        raise UserError(f"--time {time:g}: times go from 0 (start) to 1 (end).")
    for name, value in (("--fps", fps), ("--duration", duration), ("--scale", scale)):
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{name} {value:g}: it must be a positive number.")
    for name, side in (("--width", width), ("--height", height)):
        if side is not None and not 1 <= side <= MAX_SIDE:
            raise UserError(f"{name} {side}: it must be from 1 to {MAX_SIDE} pixels.")
    if scale is not None and (width is not None or height is not None):
        raise UserError("--scale excludes --width and --height: leave it out or leave them out.")


def _path(opened: Opened, path: str, time: float | None, fps: float | None, duration: float | None) -> _Path:
    """Return the cameras of a path, as the help of `main` describes them."""
    from trase_ns.capture import camera_path
    from trase_ns.capture.orbit import orbit
    from trase_ns.evaluation.picture_files import picture_names

    names: list[str] | None = None
    if path == "data" or path.endswith(".json"):
        if duration is not None:
            raise UserError(f"--duration: --path {path} has as many pictures as it has cameras. Leave it out.")
        if path == "data":
            cameras = camera_path.in_order(opened.cameras)
            names = [frame.name for frame in opened.run.frames] if opened.run is not None else None
        else:
            saved = camera_path.read_camera_path(Path(path))
            cameras, fps = saved.cameras, fps or saved.fps
    else:
        rate = fps or FPS
        moments = len({camera.time for camera in opened.cameras})
        count = max(moments, round(_SECONDS * rate)) if duration is None else max(1, round(duration * rate))
        if path == "orbit":
            cameras = orbit(opened.cameras, opened.scene, count)
        elif path == "smooth":
            cameras = camera_path.smooth(opened.cameras, count)
        else:
            still = _frame(opened, path)
            # A camera that stays at a time that stays sees one picture.
            cameras = camera_path.sweep([still] * (1 if time is not None and duration is None else count))
    cameras = cameras if time is None else camera_path.freeze(cameras, time)
    return _Path(cameras, names or picture_names(len(cameras)), fps or FPS)


def _frame(opened: Opened, name: str) -> Camera:
    try:
        return opened.frame(name).camera
    except UserError as error:
        raise UserError(f"--path {name}: {error}. Or use smooth, data, orbit or a FILE.json.") from error


def _sized(camera: Camera, width: int | None, height: int | None, scale: float | None) -> Camera:
    """Return the camera with the size that was asked for."""
    from trase_ns.capture.camera_path import MAX_SIDE

    if scale is not None:
        camera = camera.scaled(scale)
    elif width is not None or height is not None:
        shape = camera.width / camera.height
        height = height or max(1, round((width or 1) / shape))
        camera = camera.reshaped(width or max(1, round(height * shape)), height)
    if max(camera.width, camera.height) > MAX_SIDE:
        raise UserError(f"{camera.width} x {camera.height} pixels are too many: sides can have {MAX_SIDE}.")
    return camera


def _background(text: str | None, default: Tensor | None) -> Tensor | None:
    """Return the colour [3] that `text` names, the default where there is no text; None for transparent."""
    import torch

    if text is None or text == "transparent":
        return default if text is None else None
    named = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}
    try:
        color = named.get(text) or tuple(float(part) for part in text.split(","))
    except ValueError:
        color = ()
    if len(color) != 3 or not all(0 <= part <= 1 for part in color):
        raise UserError(
            f"--background {text}: write black, white, transparent, or three numbers in [0, 1], as in 0.2,0.2,0.2."
        )
    return torch.tensor(color)
