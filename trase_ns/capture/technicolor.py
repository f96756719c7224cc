"""Technicolor's light-field video: SCENE_undist_00151_09.png of 16 cameras, and cameras_parameters.txt."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from trase_ns.capture.fields import opengl
from trase_ns.capture.frame import Capture
from trase_ns.capture.names import images_in
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.rig import RigCamera, rig_frames, rig_seeds
from trase_ns.errors import UserError

# Of the undistorted pictures that the parameters are for.
WIDTH, HEIGHT = 2048, 1088
# The files do not say how far things are; the calibration is in metres.
BOUNDS = (0.5, 10.0)

_IMAGE = re.compile(r"_undist_([0-9]+)_([0-9]+)$")


def read_technicolor(root: Path, options: ReadOptions) -> Capture:
    """Read the cameras of cameras_parameters.txt and their undistorted pictures; the first camera is held out.

    Raises:
        UserError: anything that is missing or wrong.
    """
    path = root / "cameras_parameters.txt"
    pictures: dict[int, dict[int, Path]] = defaultdict(dict)
    for image in images_in(root) or images_in(root / "images"):
        found = _IMAGE.search(image.stem)
        if found:
            pictures[int(found.group(2))][int(found.group(1))] = image
    cameras = _read_cameras(path)
    if sorted(pictures) != list(range(len(cameras))):
        raise UserError(
            f"{path} has {len(cameras)} cameras, but the pictures SCENE_undist_FRAME_CAMERA.png in {root} are of "
            f"{len(pictures)}: restore what is missing (cameras count from 00)."
        )
    points, colors = rig_seeds(root)
    frames = rig_frames(root, cameras, [pictures[index] for index in range(len(cameras))], options)
    return Capture(root, frames, points, colors, BOUNDS)


def _read_cameras(path: Path) -> list[RigCamera]:
    """Read, after a line of titles, rows of focal, cx, cy, aspect, unused, qw qx qy qz, tx ty tz (world to camera)."""
    from scipy.spatial.transform import Rotation

    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): restore it from its source.") from error
    cameras = []
    for index, line in enumerate(line for line in lines if line.strip()):
        where = f"{path}: camera {index:02d}"
        try:
            row = np.array([float(word) for word in line.split()])
        except ValueError:
            raise UserError(f"{where}: {line!r} must be 12 numbers: restore the file from its source.") from None
        if len(row) != 12 or not np.isfinite(row).all():
            raise UserError(f"{where} must be 12 finite numbers, but has {len(row)} ({line.strip()[:40]} ...).")
        focal, cx, cy, aspect = row[:4]
        if focal <= 0 or aspect <= 0:
            raise UserError(f"{where}: focal length and aspect must be above 0, but are {focal:g} and {aspect:g}.")
        if abs(np.linalg.norm(row[5:9]) - 1) > 1e-3:
            raise UserError(f"{where}: its quaternion has length {np.linalg.norm(row[5:9]):.4g}, but must have 1.")
        rotation = Rotation.from_quat(row[[6, 7, 8, 5]]).as_matrix()
        c2w = opengl(rotation, -rotation.T @ row[9:12])
        cameras.append(RigCamera(f"camera {index:02d}", c2w, focal, focal * aspect, cx, cy, WIDTH, HEIGHT))
    return cameras
