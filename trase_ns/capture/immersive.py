"""Google's Immersive Light Field Video: camera_0001.mp4, ... with fisheye lenses, and models.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trase_ns.capture.fields import array, check_rotation, number, opengl, read_json, required
from trase_ns.capture.frame import Capture, Distortion
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.rig import RigCamera, camera_images, rig_frames, rig_seeds
from trase_ns.errors import UserError

# The files do not say how far things are. The rig is measured in metres; the scenes begin at arm's length.
BOUNDS = (0.5, 10.0)


def read_immersive(root: Path, options: ReadOptions) -> Capture:
    """Read the cameras of models.json, sorted by name; the first is held out.

    Raises:
        UserError: anything that is missing or wrong; videos that are not decoded yet.
    """
    path = root / "models.json"
    records = read_json(path, list)
    cameras = sorted((_camera(path, record, index) for index, record in enumerate(records)), key=lambda c: c.name)
    names = [camera.name for camera in cameras]
    if len(set(names)) < len(names):
        raise UserError(f"{path} has two cameras of the same name: remove one.")
    pictures = [camera_images(root, name, options.image_scale) for name in names]
    points, colors = rig_seeds(root)
    return Capture(root, rig_frames(root, cameras, pictures, options), points, colors, BOUNDS)


def _camera(path: Path, record: Any, index: int) -> RigCamera:
    """Read one camera: `orientation` is the axis-angle vector of the rotation from world to camera, OpenCV axes."""
    from scipy.spatial.transform import Rotation

    name = record.get("name") if isinstance(record, dict) else None
    if not isinstance(name, str) or not name or "/" in name or "\0" in name:
        raise UserError(f"{path}: camera {index} has no 'name': restore the file from its source.")
    where = f"{path}: {name}"
    focal, width, height = (required(record, key, where) for key in ("focal_length", "width", "height"))
    if min(focal, width, height) <= 0:
        raise UserError(f"{where}: focal length, width and height must be above 0.")
    kind = record.get("projection_type", "fisheye")
    if kind not in ("fisheye", "perspective"):
        raise UserError(f"{where}: projection_type {kind!r} is not supported: fisheye and perspective are.")
    cx, cy = array(record, "principal_point", (2,), where)
    k1, k2, k3 = array(record, "radial_distortion", (3,), where)
    rotation = Rotation.from_rotvec(array(record, "orientation", (3,), where)).as_matrix()
    check_rotation(rotation, where)  # not one where the numbers are too large
    lens = Distortion(k1=k1, k2=k2, k3=k3)
    return RigCamera(
        name,
        opengl(rotation, array(record, "position", (3,), where)),
        focal,
        focal * (number(record, "pixel_aspect_ratio", where) or 1.0),
        cx,
        cy,
        width,
        height,
        lens if any(lens) else None,
        fisheye=kind == "fisheye",
    )
