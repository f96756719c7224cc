"""Nerfies, HyperNeRF and NeRF-DS: a camera JSON for each frame, dataset.json, metadata.json, scene.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.capture.fields import array, check_rotation, number, opengl, read_array, read_json, required
from trase_ns.capture.frame import Capture, Distortion, Frame
from trase_ns.capture.images import image_size
from trase_ns.capture.names import find_image, with_names
from trase_ns.capture.options import ReadOptions
from trase_ns.errors import UserError

# HyperNeRF's scenes with one camera lie in folders of these names, and have no frames of their own to test on.
_ONE_CAMERA = ("interp", "misc")


def is_nerfies(root: Path) -> bool:
    """Whether the folder has dataset.json and cameras in the Nerfies layout."""
    return (root / "dataset.json").is_file() and (root / "camera").is_dir()


def read_nerfies(root: Path, options: ReadOptions) -> Capture:
    """Read a Nerfies, HyperNeRF or NeRF-DS scene.

    Where dataset.json names validation frames, its lists are followed (Nerfies, NeRF-DS, HyperNeRF's vrig); else, and
    in HyperNeRF's `interp` and `misc`, every fourth frame is trained on from the first, and tested on from the third.

    Raises:
        UserError: anything that is missing or wrong.
    """
    path = root / "dataset.json"
    dataset = read_json(path)
    validation = _ids(dataset, "val_ids", path) if dataset.get("val_ids") else []
    if validation and root.resolve().parent.name not in _ONE_CAMERA:
        train, test = _ids(dataset, "train_ids", path), validation
        both = set(train) & set(test)
        if both:
            raise UserError(f"{path}: {min(both)!r} is in train_ids and in val_ids: remove it from one.")
    else:
        return read_hypernerf(root, options)
    return assemble(root, train, test, options)


def read_hypernerf(root: Path, options: ReadOptions) -> Capture:
    """Read a scene with HyperNeRF's split of one camera: `ids[::4]` are trained on, `ids[2::4]` tested on.

    Raises:
        UserError: anything that is missing or wrong; `ids` that are not in the order of their times.
    """
    path = root / "dataset.json"
    ids = _ids(read_json(path), "ids", path)
    times = frame_times(root, ids)
    for before, after in zip(ids, ids[1:]):
        if times[after] < times[before]:
            raise UserError(
                f"{path}: 'ids' are out of order: {after!r} comes after {before!r}, but is earlier by metadata.json; "
                "every fourth of them is trained on, so sort them by time."
            )
    return assemble(root, ids[::4], ids[2::4], options)


def frame_times(root: Path, ids: list[str]) -> dict[str, float]:
    """Return the times of frames in [0, 1], from `time_id` (else `warp_id`) of metadata.json.

    Raises:
        UserError: a frame is missing there, or its number is not 0 or more.
    """
    path = root / "metadata.json"
    metadata = read_json(path)
    numbers = {}
    for name in ids:
        record = metadata.get(name)
        if not isinstance(record, dict):
            raise UserError(f"{path} has no frame {name!r}, which dataset.json names: restore the file.")
        key = "time_id" if "time_id" in record else "warp_id"
        numbers[name] = required(record, key, f"{path}: frame {name}")
        if numbers[name] < 0:
            raise UserError(f"{path}: frame {name}: '{key}' is {numbers[name]:g}, but must be 0 or more.")
    first, last = min(numbers.values()), max(numbers.values())
    if last == first:
        raise UserError(f"{path}: all frames are of the same time: check 'time_id' or 'warp_id'.")
    return {name: (value - first) / (last - first) for name, value in numbers.items()}


def assemble(root: Path, train: list[str], test: list[str], options: ReadOptions) -> Capture:
    """Read cameras, pictures and points of the frames `train` and `test` into the world of scene.json.

    Raises:
        UserError: anything that is missing or wrong.
    """
    path = root / "scene.json"
    scene = read_json(path)
    center = array(scene, "center", (3,), str(path))
    scale, near, far = (required(scene, key, str(path)) for key in ("scale", "near", "far"))
    if scale <= 0 or not 0 <= near < far:
        raise UserError(
            f"{path}: scale must be above 0, and 0 <= near < far, but they are {scale:g}, {near:g}, {far:g}."
        )
    factor = _image_factor(root, options.image_scale)
    times = frame_times(root, train + test)
    frames = []
    for names, split in ((train, "train"), (test, "test")):
        frames += [_frame(root, name, factor, center, scale, times[name], split) for name in names]
    frames = with_names(sorted(frames, key=lambda frame: frame.image_path.name))
    points = None
    if (root / "points.npy").is_file():
        points = read_array(root / "points.npy", 3)
        points = ((points[np.isfinite(points).all(axis=1)] - center) * scale).astype(np.float32)
    return Capture(root, frames, points if points is not None and len(points) else None, bounds=(near, far))


def _frame(root: Path, name: str, factor: int, center: np.ndarray, scale: float, time: float, split: str) -> Frame:
    image_path = find_image(root / "rgb" / f"{factor}x" / name, f"{root / 'dataset.json'}: frame {name}")
    path = root / "camera" / f"{name}.json"
    record = read_json(path)
    where = str(path)
    rotation = array(record, "orientation", (3, 3), where)
    check_rotation(rotation, where)
    position = (array(record, "position", (3,), where) - center) * scale
    focal = required(record, "focal_length", where)
    aspect = number(record, "pixel_aspect_ratio", where)
    aspect = 1.0 if aspect is None else aspect
    if focal <= 0 or aspect <= 0:
        raise UserError(f"{where}: focal_length and pixel_aspect_ratio must be above 0.")
    if number(record, "skew", where):
        raise UserError(f"{where} has a skew, which is not supported: rectify the pictures.")
    cx, cy = array(record, "principal_point", (2,), where)
    full = array(record, "image_size", (2,), where)
    width, height = image_size(image_path)
    if max(abs(width - full[0] / factor), abs(height - full[1] / factor)) > 1:
        raise UserError(
            f"image {image_path} is {width} x {height} pixels, but {path} is for {full[0] / factor:g} x "
            f"{full[1] / factor:g} at {factor}x: restore the image."
        )
    return Frame(
        name="",
        image_path=image_path,
        c2w=opengl(rotation, position),
        fx=focal / factor,
        fy=focal * aspect / factor,
        cx=cx / factor,
        cy=cy / factor,
        width=width,
        height=height,
        time=time,
        split=split,
        distortion=_lens(record, where),
    )


def _lens(record: dict[str, Any], where: str) -> Distortion | None:
    # Older files call it "tangential".
    key = "tangential" if "tangential" in record else "tangential_distortion"
    k1, k2, k3 = array({"radial_distortion": [0, 0, 0], **record}, "radial_distortion", (3,), where)
    p1, p2 = array({key: [0, 0], **record}, key, (2,), where)
    lens = Distortion(k1=k1, k2=k2, p1=p1, p2=p2, k3=k3)
    return lens if any(lens) else None


def _image_factor(root: Path, scale: int | None) -> int:
    names = [path.name[:-1] for path in (root / "rgb").glob("*x") if path.is_dir()]
    found = sorted(int(name) for name in names if name.isdigit() and int(name) > 0)
    if not found:
        raise UserError(f"{root / 'rgb'} has no folder of pictures such as 2x: restore it from its source.")
    if scale is not None and scale not in found:
        raise UserError(f"{root / 'rgb'} has no {scale}x: its factors are {', '.join(map(str, found))}.")
    return scale or (2 if 2 in found else found[0])


def _ids(dataset: dict[str, Any], key: str, path: Path) -> list[str]:
    ids = dataset.get(key)
    if not isinstance(ids, list) or not ids or not all(isinstance(name, (str, int)) for name in ids):
        raise UserError(f"{path}: '{key}' must be a list of frame names: restore the file from its source.")
    ids = [str(name) for name in ids]
    if len(set(ids)) < len(ids):
        raise UserError(f"{path}: '{key}' names a frame twice: remove one.")
    if any("/" in name or "\0" in name or name.startswith(".") for name in ids):
        raise UserError(f"{path}: '{key}' must hold plain names, without folders.")
    return ids
