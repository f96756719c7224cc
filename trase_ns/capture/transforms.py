"""Nerfstudio's transforms.json and D-NeRF's transforms_{train,val,test}.json."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

from trase_ns.capture.fields import number, pose, read_json
from trase_ns.capture.frame import SPLITS, Capture, Distortion, Frame
from trase_ns.capture.images import image_size
from trase_ns.capture.names import find_image, natural, with_names
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.seeds import read_seeds
from trase_ns.capture.splits import listed_splits, spread_splits
from trase_ns.errors import UserError

PERSPECTIVE_MODELS = {"SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV"}
FISHEYE_MODELS = {"OPENCV_FISHEYE"}


def read_nerfstudio(root: Path, options: ReadOptions, name: str = "transforms.json") -> Capture:
    """Read a transforms file of Nerfstudio.

    Intrinsics are for all or for each frame; splits follow `train_filenames`, `val_filenames` and `test_filenames`
    where given, seeds are read from `ply_file_path`.

    Raises:
        UserError: anything that is missing or wrong.
    """
    path = root / name
    meta = read_json(path)
    frames = read_frames(path, meta, need_time=not options.time_from_order)
    frames = listed_splits(frames, meta, path) or spread_splits(frames, options.eval_every)
    if options.time_from_order:
        frames = _times_from_order(frames)
    ply = meta.get("ply_file_path")
    points, colors = read_seeds(root / str(ply)) if ply else (None, None)
    return Capture(root, frames, points, colors)


def read_dnerf(root: Path, options: ReadOptions) -> Capture:
    """Read transforms_train.json with _val and _test: `camera_angle_x`, a time for each frame, paths without suffix.

    Raises:
        UserError: anything that is missing or wrong.
    """
    frames = []
    for path, split in split_files(root):
        own = read_frames(path, read_json(path), need_time=not options.time_from_order)
        frames += [replace(frame, split=split) for frame in own]
    frames = with_names(frames)
    return Capture(root, _times_from_order(frames) if options.time_from_order else frames)


def split_files(root: Path) -> list[tuple[Path, str]]:
    """Return the files transforms_{train,val,test}.json that are there, with their splits.

    Raises:
        UserError: nothing to train on or nothing to test on.
    """
    found = [(root / f"transforms_{split}.json", split) for split in SPLITS]
    found = [(path, split) for path, split in found if path.is_file()]
    if not found or found[0][1] != "train":
        raise UserError(f"{root / 'transforms_train.json'} is missing: check the path of the data set.")
    if len(found) == 1:
        raise UserError(
            f"{root} has transforms_train.json, but no transforms_test.json or transforms_val.json: add one."
        )
    return found


def read_frames(path: Path, meta: dict[str, Any], need_time: bool, seconds: bool = False) -> list[Frame]:
    """Read the frames of one transforms file, in the natural order of their image paths, all in the split "train".

    Args:
        path: the file, which errors name.
        meta: its content.
        need_time: whether each frame must have a `time`.
        seconds: whether times may be larger than 1.

    Raises:
        UserError: anything that is missing or wrong.
    """
    records = meta.get("frames")
    if not isinstance(records, list):
        raise UserError(f"{path} has no list 'frames': it is not a transforms file of Nerfstudio or D-NeRF.")
    if not records:
        raise UserError(f"{path} has no frames: add at least two.")
    frames = [_read_frame(path, meta, record, index, need_time, seconds) for index, record in enumerate(records)]
    return with_names(sorted(frames, key=lambda frame: natural(str(frame.image_path))))


def _read_frame(path: Path, meta: dict[str, Any], record: Any, index: int, need_time: bool, seconds: bool) -> Frame:
    file_path = record.get("file_path") if isinstance(record, dict) else None
    if not isinstance(file_path, str) or not file_path or "\0" in file_path:
        raise UserError(f"{path}: frame {index} has no 'file_path': name its image.")
    where = f"{path}: frame {file_path}"
    image_path = find_image(path.parent / file_path, where)
    time = number(record, "time", where)
    if need_time and time is None:
        raise UserError(
            f"{where} has no 'time': add a time in [0, 1] to each frame, or take times from the order of the files "
            "(--time-from-order; for ns-train: --pipeline.datamanager.dataparser.time-from-order True)."
        )
    if seconds and time is not None and time < 0:
        raise UserError(f"{where}: 'time' is {time:g}, but must be 0 or more.")
    if need_time and not seconds and time is not None and not 0.0 <= time <= 1.0:
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


def _times_from_order(frames: list[Frame]) -> list[Frame]:
    folders = defaultdict(list)
    for frame in frames:
        folders[frame.image_path.parent].append(frame.name)
    # A folder for each image says nothing about cameras: then the order of all images counts.
    if all(len(names) == 1 for names in folders.values()):
        folders = {None: [frame.name for frame in frames]}
    times = {}
    for names in folders.values():
        ordered = sorted(names, key=natural)
        times.update({name: index / max(1, len(ordered) - 1) for index, name in enumerate(ordered)})
    return [replace(frame, time=times[frame.name]) for frame in frames]
