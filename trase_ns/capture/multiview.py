"""Several cameras as transforms_train.json and transforms_test.json, with points3d.ply and times in seconds."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trase_ns.capture.fields import opengl, read_json
from trase_ns.capture.frame import Capture, Frame
from trase_ns.capture.names import trailing_number, with_names
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.seeds import read_seeds
from trase_ns.capture.transforms import read_frames, split_files
from trase_ns.console import warn
from trase_ns.errors import UserError

# Enough frames and points to tell which way round the poses are.
_EVIDENCE_FRAMES, _EVIDENCE_POINTS = 40, 2000


def is_multiview(root: Path) -> bool:
    """Whether transforms_train.json has intrinsics in pixels, where D-NeRF has `camera_angle_x`."""
    path = root / "transforms_train.json"
    return path.is_file() and "camera_angle_x" not in read_json(path)


def read_multiview(root: Path, options: ReadOptions) -> Capture:
    """Read a rig that was converted to transforms_train.json and transforms_test.json (Neu3D, Immersive, Technicolor).

    Times are in seconds or in [0, 1]; the last one of all becomes 1. Sparse points come from points3d.ply. Files whose
    frames have intrinsics of their own may hold world-to-camera matrices with OpenCV axes, as published ones for
    Immersive and Technicolor do: there the reading is taken that brings more of the points into the pictures.

    Raises:
        UserError: anything that is missing or wrong; times that do not grow with the numbers of a camera's images.
    """
    frames: list[Frame] = []
    shared = True
    for path, split in split_files(root):
        meta = read_json(path)
        shared = shared and "fl_x" in meta
        own = read_frames(path, _chosen(meta, options, path), need_time=True, seconds=True)
        _check_order(own, path)
        frames += [replace(frame, split=split) for frame in own]
    points, colors = None, None
    if (root / "points3d.ply").is_file():
        points, colors = read_seeds(root / "points3d.ply")
    if not shared and points is not None:
        frames = _as_camera_to_world(frames, points, root)
    return Capture(root, with_names(_normalise_times(frames)), points, colors)


def _chosen(meta: dict[str, Any], options: ReadOptions, path: Path) -> dict[str, Any]:
    """Leave out the frames of other moments than those that are asked for, before their images are looked for."""
    records = meta.get("frames")
    if options.moments is None or not isinstance(records, list):
        return meta
    kept = []
    for record in records:
        number = trailing_number(Path(str(record.get("file_path")))) if isinstance(record, dict) else None
        if number is None or options.wants(number):
            kept.append(record)
    if records and not kept:
        first, last = options.moments
        raise UserError(f"{path} has no frames numbered {first} to {last - 1}: name other moments.")
    return {**meta, "frames": kept}


def _check_order(frames: list[Frame], path: Path) -> None:
    """Check that in each camera later numbers have later times."""
    cameras: dict[str, list[tuple[int, Frame]]] = defaultdict(list)
    for frame in frames:
        number = trailing_number(frame.image_path)
        if number is not None:
            stem = str(frame.image_path.with_suffix("")).rstrip("0123456789")
            cameras[stem].append((number, frame))
    for own in cameras.values():
        own.sort(key=lambda item: item[0])
        for (_, before), (_, after) in zip(own, own[1:]):
            if after.time <= before.time:
                raise UserError(
                    f"{path}: times are out of order: frame {after.image_path.name} has time {after.time:g}, but "
                    f"{before.image_path.name} before it has {before.time:g}; correct the times."
                )


def _normalise_times(frames: list[Frame]) -> list[Frame]:
    times = [frame.time for frame in frames]
    first, last = min(times), max(times)
    if last <= 1.0 and not first > 0:  # in [0, 1] as it is, or a moment alone
        return frames
    if last == first:
        return [replace(frame, time=0.0) for frame in frames]
    return [replace(frame, time=(frame.time - first) / (last - first)) for frame in frames]


def _as_camera_to_world(frames: list[Frame], points: np.ndarray, root: Path) -> list[Frame]:
    """Turn world-to-camera matrices (OpenCV) around where the points say that the matrices are such."""
    turned = [
        replace(frame, c2w=opengl(frame.c2w[:3, :3], -frame.c2w[:3, :3].T @ frame.c2w[:3, 3])) for frame in frames
    ]
    as_written, as_turned = seen_share(frames, points), seen_share(turned, points)
    if as_written == as_turned:
        warn(f"{root}: points3d.ply does not tell which way round the poses are; taken as camera to world.")
    return turned if as_turned > as_written else frames


def seen_share(frames: list[Frame], points: np.ndarray) -> float:
    """Return the share of points that fall into the pictures, over a sample of frames and of points.

    Args:
        frames: with OpenGL camera-to-world poses.
        points: [P, 3] in the same world.
    """
    frames = frames[:: max(1, len(frames) // _EVIDENCE_FRAMES)]
    points = points[:: max(1, len(points) // _EVIDENCE_POINTS)].astype(np.float64)
    share = 0.0
    for frame in frames:
        local = (points - frame.c2w[:3, 3]) @ frame.c2w[:3, :3]
        depth = np.where(local[:, 2] < 0, -local[:, 2], np.nan)
        with np.errstate(invalid="ignore", over="ignore"):
            x = frame.fx * local[:, 0] / depth + frame.cx
            y = -frame.fy * local[:, 1] / depth + frame.cy
            share += float(((x >= 0) & (x < frame.width) & (y >= 0) & (y < frame.height)).mean())
    return share / len(frames)
