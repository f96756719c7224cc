"""LLFF's poses_bounds.npy beside the images of a video by one camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trase_ns.capture.fields import check_rotation, read_array
from trase_ns.capture.frame import Capture, Frame
from trase_ns.capture.images import image_size
from trase_ns.capture.names import images_in, with_names
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.rig import image_folder
from trase_ns.capture.splits import spread_splits
from trase_ns.errors import UserError


@dataclass(frozen=True)
class PoseBounds:
    """A row of poses_bounds.npy: c2w [4, 4] OpenGL, size and focal length in pixels, the depths that it sees."""

    c2w: np.ndarray
    height: float
    width: float
    focal: float
    near: float
    far: float


def read_poses_bounds(path: Path) -> list[PoseBounds]:
    """Read poses_bounds.npy.

    Each of its rows is a 3 x 5 matrix (camera to world with the axes down, right, backwards; the position; height,
    width and focal length) and the nearest and the farthest depth.

    Raises:
        UserError: the file is missing or malformed; the message names the row.
    """
    rows = []
    for index, row in enumerate(read_array(path, 17)):
        where = f"{path}: row {index}"
        if not np.isfinite(row).all():
            raise UserError(f"{where} has NaN or infinite numbers: restore the file from its source.")
        matrix = row[:15].reshape(3, 5)
        c2w = np.eye(4)
        c2w[:3] = np.stack([matrix[:, 1], -matrix[:, 0], matrix[:, 2], matrix[:, 3]], axis=1)
        check_rotation(c2w[:3, :3], where)
        height, width, focal = matrix[:, 4]
        near, far = row[15:]
        if min(height, width, focal) <= 0:
            raise UserError(
                f"{where}: height, width and focal length must be above 0, but are {matrix[:, 4].tolist()}."
            )
        if not 0 < near < far:
            raise UserError(f"{where}: the depths must be 0 < near < far, but are {near:g} and {far:g}.")
        rows.append(PoseBounds(c2w, height, width, focal, near, far))
    return rows


def read_llff(root: Path, options: ReadOptions) -> Capture:
    """Read a video of one camera in LLFF's layout: as many images in `images` (or `images_4`, ...) as rows.

    Times follow the order of the images, from 0 to 1; every `eval_every`-th frame is held out, from the first on.

    Raises:
        UserError: anything that is missing or wrong.
    """
    path = root / "poses_bounds.npy"
    rows = read_poses_bounds(path)
    folder = image_folder(root, options.image_scale)
    images = images_in(folder) if folder is not None else []
    if len(images) != len(rows):
        raise UserError(
            f"{path} has {len(rows)} poses, but {folder or root / 'images'} has {len(images)} images: each image needs "
            "its row, in the order of the file names."
        )
    frames = [_frame(row, image, index / max(1, len(rows) - 1)) for index, (row, image) in enumerate(zip(rows, images))]
    frames = spread_splits(with_names(frames), options.eval_every)
    return Capture(root, frames, bounds=median_bounds(rows))


def _frame(row: PoseBounds, path: Path, time: float) -> Frame:
    width, height = image_size(path)
    if abs(height - row.height * width / row.width) > 1:
        raise UserError(
            f"image {path} is {width} x {height} pixels, but its pose is for {row.width:g} x {row.height:g}, another "
            "shape: restore the image."
        )
    fx, fy = row.focal * width / row.width, row.focal * height / row.height
    return Frame("", path, row.c2w, fx, fy, width / 2, height / 2, width, height, time, "train")


def median_bounds(rows: list[PoseBounds]) -> tuple[float, float]:
    """Return the depths between which most cameras see the scene: the medians of nearest and farthest."""
    return float(np.median([row.near for row in rows])), float(np.median([row.far for row in rows]))
