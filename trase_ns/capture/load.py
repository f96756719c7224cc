"""Read a data set: Nerfstudio's transforms.json or D-NeRF's transforms_{train,val,test}.json."""

from __future__ import annotations

import math
import os
import re
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from trase_ns.capture.fields import number, pose, read_json
from trase_ns.capture.frame import SPLITS, Capture, Distortion, Frame
from trase_ns.capture.images import image_size
from trase_ns.capture.seeds import read_seeds
from trase_ns.capture.splits import listed_splits, spread_splits
from trase_ns.errors import UserError

PERSPECTIVE_MODELS = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}
FISHEYE_MODELS = {"OPENCV_FISHEYE"}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG")


def load_capture(root: Path | str, time_from_order: bool = False, eval_every: int = 8) -> Capture:
    """Read and check a data set; images are looked at (their size), not decoded.

    Two layouts are known. `transforms.json` (Nerfstudio): intrinsics for all or for each frame, a `time` for each
    frame, `train_filenames`, `val_filenames` and `test_filenames` where given, seeds from `ply_file_path`.
    `transforms_train.json` with `_val` and `_test` (D-NeRF): `camera_angle_x`, a `time` for each frame, file paths
    without suffix. Missing intrinsics follow from the others: `fl_y` is `fl_x`, the centre is the image's.

    Args:
        root: folder of the data set, or its transforms.json.
        time_from_order: take times from the order of file names instead (first 0, last 1), in each folder for
            itself where several folders (cameras) hold several images each.
        eval_every: where a transforms.json names no splits, every so many-th frame in the order of file names,
            from the first on, is held out as a test frame.

    Raises:
        UserError: anything that is missing or wrong, with the file or frame and what to do.
    """
    if eval_every < 2:
        raise UserError(f"eval-every must be 2 or more, but is {eval_every}: 8 holds out every 8th frame.")
    root = Path(root)
    if not root.exists():
        raise UserError(f"the data set {root} does not exist: check the path.")
    single = root if root.is_file() else root / "transforms.json"
    root = root.parent if root.is_file() else root
    ply = None
    if single.is_file():
        meta = read_json(single)
        frames = _read_frames(single, meta, need_time=not time_from_order)
        frames = listed_splits(frames, meta, single) or spread_splits(frames, eval_every)
        ply = meta.get("ply_file_path")
    elif (root / "transforms_train.json").is_file():
        frames = _read_dnerf(root, need_time=not time_from_order)
    else:
        raise UserError(
            f"{root} has no transforms.json (Nerfstudio) and no transforms_train.json (D-NeRF): "
            "make one with ns-process-data, or pass the folder that holds it."
        )
    if time_from_order:
        frames = _times_from_order(frames)
    points, colors = read_seeds(root / str(ply)) if ply else (None, None)
    capture = Capture(root, frames, points, colors)
    for split in ("train", "test"):
        if not capture.split(split):
            raise UserError(f"{root} has no {split} frames: list some in its file ({len(frames)} frames in all).")
    return capture


def _read_dnerf(root: Path, need_time: bool) -> list[Frame]:
    frames = []
    for split in SPLITS:
        path = root / f"transforms_{split}.json"
        if path.is_file():
            frames += [replace(f, split=split) for f in _read_frames(path, read_json(path), need_time)]
    if {frame.split for frame in frames} == {"train"}:
        raise UserError(
            f"{root} has transforms_train.json, but no transforms_test.json or transforms_val.json: add one."
        )
    return _with_names(frames)


def _read_frames(path: Path, meta: dict[str, Any], need_time: bool) -> list[Frame]:
    """Read the frames of one file, in the natural order of their image paths, all in the split "train"."""
    records = meta.get("frames")
    if not isinstance(records, list):
        raise UserError(f"{path} has no list 'frames': it is not a transforms file of Nerfstudio or D-NeRF.")
    if not records:
        raise UserError(f"{path} has no frames: add at least two.")
    frames = [_read_frame(path, meta, record, index, need_time) for index, record in enumerate(records)]
    return _with_names(sorted(frames, key=lambda frame: _natural(str(frame.image_path))))


def _read_frame(path: Path, meta: dict[str, Any], record: Any, index: int, need_time: bool) -> Frame:
    file_path = record.get("file_path") if isinstance(record, dict) else None
    if not isinstance(file_path, str) or not file_path or "\0" in file_path:
        raise UserError(f"{path}: frame {index} has no 'file_path': name its image.")
    where = f"{path}: frame {file_path}"
    image_path = _find_image(path.parent / file_path, where)
    time = number(record, "time", where)
    if need_time and time is None:
        raise UserError(
            f"{where} has no 'time': add a time in [0, 1] to each frame, or take times from the order of the files "
            "(--time-from-order; for ns-train: --pipeline.datamanager.dataparser.time-from-order True)."
        )
    if need_time and time is not None and not 0.0 <= time <= 1.0:
        raise UserError(f"{where}: 'time' is {time:g}, but must lie in [0, 1]: divide all times by the last one.")

    width, height = image_size(image_path)
    values = {**meta, **record}
    given = {key: number(values, key, where) for key in ("w", "h", "fl_x", "fl_y", "cx", "cy", "camera_angle_x")}
    if (given["w"] or width, given["h"] or height) != (width, height):
        raise UserError(
            f"{where}: its intrinsics are for {given['w'] or width:g} x {given['h'] or height:g} pixels, but the image "
            f"is {width} x {height}: scale w, h, fl_x, fl_y, cx and cy to the images, or give the original images."
        )
    fx = given["fl_x"]
    if fx is None and given["camera_angle_x"] is not None:
        fx = 0.5 * width / math.tan(0.5 * given["camera_angle_x"]) if 0 < given["camera_angle_x"] < math.pi else -1.0
    if fx is None:
        raise UserError(f"{where} has no focal length: add 'fl_x' in pixels (or 'camera_angle_x').")
    fy = fx if given["fl_y"] is None else given["fl_y"]
    if fx <= 0 or fy <= 0:
        raise UserError(f"{where}: the focal length must be above 0 pixels: correct fl_x, fl_y or camera_angle_x.")
    model = str(values.get("camera_model") or "OPENCV").upper()
    if model not in PERSPECTIVE_MODELS | FISHEYE_MODELS:
        known = ", ".join(sorted(PERSPECTIVE_MODELS | FISHEYE_MODELS))
        raise UserError(f"{where}: camera model {model} is not supported: convert the images to one of {known}.")
    distortion = Distortion(*(number(values, key, where) or 0.0 for key in Distortion._fields))
    return Frame(
        name="",
        image_path=image_path,
        c2w=pose(record, where),
        fx=fx,
        fy=fy,
        cx=0.5 * width if given["cx"] is None else given["cx"],
        cy=0.5 * height if given["cy"] is None else given["cy"],
        width=width,
        height=height,
        time=time or 0.0,
        split="train",
        distortion=distortion if any(distortion) else None,
        fisheye=model in FISHEYE_MODELS,
    )


def _find_image(path: Path, where: str) -> Path:
    """Return the image at `path`; D-NeRF writes paths without suffix."""
    path = Path(os.path.normpath(path))
    candidates = [path, *(path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"{where}: its image {path} is missing: put it there or remove the frame.")


def _with_names(frames: list[Frame]) -> list[Frame]:
    """Name each frame after its image, below the folder that all images share."""
    paths = [Path(os.path.abspath(frame.image_path)) for frame in frames]
    try:
        common = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # different drives
        raise UserError("the images lie on different drives: put them into one folder.") from None
    names = [PurePath(path).relative_to(common).with_suffix("").as_posix() for path in paths]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(
            f"{count} frames are called {name!r}: each frame needs an image of its own name (without suffix); "
            "rename or remove one."
        )
    return [replace(frame, name=name) for frame, name in zip(frames, names, strict=True)]


def _times_from_order(frames: list[Frame]) -> list[Frame]:
    folders = defaultdict(list)
    for frame in frames:
        folders[frame.image_path.parent].append(frame.name)
    # A folder for each image says nothing about cameras: then the order of all images counts.
    if all(len(names) == 1 for names in folders.values()):
        folders = {None: [frame.name for frame in frames]}
    times = {}
    for names in folders.values():
        ordered = sorted(names, key=_natural)
        times.update({name: index / max(1, len(ordered) - 1) for index, name in enumerate(ordered)})
    return [replace(frame, time=times[frame.name]) for frame in frames]


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that counts: "frame2" before "frame10"."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", text) if part]
