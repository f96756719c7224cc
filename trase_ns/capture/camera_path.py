"""Lists of cameras with times, to render along: a file of Nerfstudio's viewer, or what is made of a data set's cameras.

All are in the scene world. How a path goes through time is apart from how it goes through space: `sweep` moves the time
from start to end, `freeze` holds it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera

# Sides of a picture, in pixels.
MAX_SIDE = 16384


@dataclass(frozen=True)
class CameraPath:
    """Cameras to render one after the other.

    Attributes:
        cameras: at least one, in order, each with its time.
        fps: pictures for each second that whoever made the path had in mind, or None.
    """

    cameras: list[Camera]
    fps: float | None = None


def read_camera_path(path: Path) -> CameraPath:
    """Read a camera path as the Render tab of Nerfstudio's viewer saves it (for `ns-render camera-path`).

    Poses are camera to world in OpenGL axes, in the scene world; `fov` is the vertical field of view in degrees. If
    each camera has a `render_time`, that is its time, brought into [0, 1]; otherwise the time moves from 0 to 1.

    Raises:
        UserError: the file is missing or damaged, holds no camera, or asks for a lens other than a pinhole.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the camera path {path} ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"the camera path {path} is not valid JSON ({error}). Save it again in the viewer.") from error
    try:
        lens = str(content.get("camera_type", "perspective")).lower()
        if lens != "perspective":
            raise UserError(f"the camera path {path} is for a {lens} camera: only perspective ones can be rendered.")
        width, height = (_side(content[key]) for key in ("render_width", "render_height"))
        entries = content["camera_path"]
        cameras = [_camera(entry, width, height) for entry in entries]
        timed = all("render_time" in entry for entry in entries)
        times = [_number(entry["render_time"]) for entry in entries] if timed else []
        fps = _number(content["fps"]) if "fps" in content else None
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(f"{path} is no camera path of Nerfstudio's viewer ({what}). Save it again there.") from error
    if not cameras:
        raise UserError(f"the camera path {path} holds no camera. Add some in the viewer and save it again.")
    if content.get("crop"):
        warn(f"{path}: its crop is left out")
    # The viewer's splines through the times overshoot a little.
    cameras = [camera.at(min(max(time, 0.0), 1.0)) for camera, time in zip(cameras, times)] if times else sweep(cameras)
    return CameraPath(cameras, fps if fps is not None and fps > 0 else None)


def sweep(cameras: Sequence[Camera]) -> list[Camera]:
    """Return `cameras` with times spread evenly from 0 to 1."""
    return [camera.at(time) for camera, time in zip(cameras, evenly(len(cameras)))]


def freeze(cameras: Sequence[Camera], time: float) -> list[Camera]:
    """Return `cameras`, all at one time in [0, 1]."""
    return [camera.at(time) for camera in cameras]


def evenly(count: int) -> list[float]:
    """Return `count` times spread evenly from 0 to 1; a single one is 0."""
    return [i / max(count - 1, 1) for i in range(count)]


def in_order(cameras: Sequence[Camera]) -> list[Camera]:
    """Return a data set's cameras in the order of their times."""
    return sorted(cameras, key=lambda camera: camera.time)


def smooth(cameras: Sequence[Camera], count: int) -> list[Camera]:
    """Fly through the cameras of a data set, with times spread evenly from its first to its last.

    Where each camera has a time and a place of its own, as in a video, the flight is where the video was at each time.
    Where cameras that stand filmed the scene together or in turns, it goes once along them, from each to the nearest
    that is left, while the time moves from 0 to 1.

    Args:
        cameras: at least one, in any order; the path has the picture size of the first.
        count: number of cameras of the path, at least 1.
    """
    from scipy.interpolate import PchipInterpolator
    from scipy.spatial.transform import Rotation, RotationSpline

    keys = [camera.resized(cameras[0].width, cameras[0].height) for camera in in_order(cameras)]
    at = np.array([camera.time for camera in keys])
    stand, places = _along(keys)
    if len(keys) > 1 and np.diff(at).min() > 1e-6 and len(stand) > len(keys) / 2:
        places = at
        times = asked = np.clip(at[0] + (at[-1] - at[0]) * np.array(evenly(count)), at[0], at[-1])
    else:
        keys, times = stand, np.array(evenly(count))
        asked = places[-1] * times
    if len(keys) == 1:
        return [keys[0].at(time) for time in times]
    # PCHIP does not swing beyond its keys, as other splines do where keys are uneven.
    position = PchipInterpolator(places, np.stack([camera.position.cpu().double().numpy() for camera in keys]))
    rotations = np.stack([camera.viewmat[:3, :3].cpu().double().numpy().T for camera in keys])
    turn = RotationSpline(places, Rotation.from_matrix(rotations))(asked).as_matrix()
    lenses = PchipInterpolator(places, np.stack([camera.K.cpu().double().numpy() for camera in keys]))(asked)
    return [
        pose(center, rotation, replace(keys[0], K=torch.from_numpy(K).float()), float(time))
        for center, rotation, K, time in zip(position(asked), turn, lenses, times)
    ]


def pose(center: np.ndarray, rotation: np.ndarray, lens: Camera, time: float) -> Camera:
    """Return the camera at `center` [3] with the axes of `rotation` [3, 3] (camera to world, OpenCV) and a lens.

    Args:
        center: position in the world.
        rotation: its columns are the camera's right, down and forward in the world.
        lens: a camera with the intrinsics and the picture size.
        time: moment in [0, 1].
    """
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = torch.from_numpy(np.ascontiguousarray(rotation.T))
    viewmat[:3, 3] = torch.from_numpy(-rotation.T @ center)
    return Camera(viewmat.float(), lens.K.cpu(), lens.width, lens.height, time)


def _along(cameras: list[Camera]) -> tuple[list[Camera], np.ndarray]:
    """Return the cameras that differ in pose, from each to the nearest one that is left, and how far along each is."""
    poses = np.stack([torch.cat([camera.position, camera.viewmat[2, :3]]).cpu().double().numpy() for camera in cameras])
    _, distinct = np.unique(poses.round(4), axis=0, return_index=True)
    left = np.sort(distinct)
    order, places = [left[0]], [0.0]
    left = left[1:]
    while len(left):
        distances = np.linalg.norm(poses[left] - poses[order[-1]], axis=1)
        nearest = int(distances.argmin())
        order.append(left[nearest])
        places.append(places[-1] + float(distances[nearest]))
        left = np.delete(left, nearest)
    return [cameras[i] for i in order], np.array(places)


def _camera(entry: dict[str, Any], width: int, height: int) -> Camera:
    c2w = np.array(entry["camera_to_world"], dtype=np.float64).reshape(4, 4)
    fov = _number(entry["fov"])
    if not 0 < fov < 180:
        raise ValueError(f"a field of view of {fov:g} degrees")
    if not np.isfinite(c2w).all() or np.abs(c2w[:3, :3] @ c2w[:3, :3].T - np.eye(3)).max() > 1e-3:
        raise ValueError("a pose that is not rigid")
    focal = height / 2 / math.tan(math.radians(fov) / 2)
    return Camera.from_opengl(torch.from_numpy(c2w), focal, focal, width / 2, height / 2, width, height)


def _side(value: Any) -> int:
    side = int(value)
    if not 1 <= side <= MAX_SIDE:
        raise ValueError(f"a picture with a side of {side} pixels; up to {MAX_SIDE} can be rendered")
    return side


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} for a number")
    return number
