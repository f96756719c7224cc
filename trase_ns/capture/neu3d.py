"""Neural 3D Video (Neu3D, DyNeRF): cam00.mp4, cam01.mp4, ... and poses_bounds.npy."""

from __future__ import annotations

from pathlib import Path

from trase_ns.capture.frame import Capture
from trase_ns.capture.llff import median_bounds, read_poses_bounds
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.rig import RigCamera, camera_images, camera_names, rig_frames, rig_seeds
from trase_ns.errors import UserError

_PREFIX = "cam"


def is_neu3d(root: Path) -> bool:
    """Whether the folder has poses_bounds.npy and videos or folders of several cameras."""
    return (root / "poses_bounds.npy").is_file() and len(camera_names(root, None, _PREFIX)) > 1


def read_neu3d(root: Path, options: ReadOptions) -> Capture:
    """Read the cameras of poses_bounds.npy, a row for each video in the order of their names; the first is held out.

    Raises:
        UserError: anything that is missing or wrong; videos that are not decoded yet.
    """
    path = root / "poses_bounds.npy"
    rows = read_poses_bounds(path)
    names = camera_names(root, options.image_scale, _PREFIX)
    if len(names) != len(rows):
        raise UserError(
            f"{path} has {len(rows)} poses, but {root} has {len(names)} cameras ({', '.join(names[:3])}, ...): each "
            "camera needs its row, in the order of the names; restore what is missing."
        )
    cameras = [
        RigCamera(name, row.c2w, row.focal, row.focal, row.width / 2, row.height / 2, row.width, row.height)
        for name, row in zip(names, rows, strict=True)
    ]
    pictures = [camera_images(root, name, options.image_scale) for name in names]
    points, colors = rig_seeds(root)
    return Capture(root, rig_frames(root, cameras, pictures, options), points, colors, median_bounds(rows))
