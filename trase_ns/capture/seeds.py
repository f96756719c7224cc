"""Sparse points of a scene, from a PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trase_ns.errors import UserError


def read_seeds(path: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read the points of a PLY file.

    Args:
        path: PLY file with a `vertex` element; colours as `red`, `green`, `blue`, 0 to 255 or floats in [0, 1].

    Returns:
        points [P, 3] float32 in the file's own world, and colours [P, 3] uint8 or None where it has none; both are
        None where the file has no points. Points with numbers that are not finite are left out.

    Raises:
        UserError: the file is missing or is not a PLY of points.
    """
    from plyfile import PlyData

    if not path.is_file():
        raise UserError(f"the points {path} are missing: put the file there or remove 'ply_file_path'.")
    try:
        vertex = PlyData.read(str(path))["vertex"].data
        points = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
        names = set(vertex.dtype.names or ())
        colors = None
        if {"red", "green", "blue"} <= names:
            colors = np.stack([vertex[channel] for channel in ("red", "green", "blue")], axis=1)
    except Exception as error:  # plyfile lets errors of many kinds through for broken files
        raise UserError(
            f"the points {path} cannot be read ({error}): write the PLY again or remove 'ply_file_path'."
        ) from error
    if colors is not None and colors.dtype.kind == "f":
        colors = np.nan_to_num(colors * 255.0)
    finite = np.isfinite(points).all(axis=1)
    if not finite.any():
        return None, None
    return points[finite], None if colors is None else colors[finite].clip(0, 255).astype(np.uint8)
