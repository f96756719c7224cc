"""A scene from a file, whatever its format."""

from __future__ import annotations

import os
from pathlib import Path

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import DynamicGaussians

SUFFIXES = (".safetensors", ".ply", ".splat")


def read_scene(path: Path) -> DynamicGaussians:
    """Read a portable scene (.safetensors), or a scene at rest (.ply, .splat); on the CPU.

    Raises:
        UserError: there is no such file, it is of another kind, damaged or empty.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} is no scene that can be read: name a file that ends in {', '.join(SUFFIXES)}.")
    if not os.path.isfile(path):  # unlike Path.is_file whatever the name
        raise UserError(f"there is no file {path}.")
    if suffix == ".safetensors":
        from trase_ns.scene.portable import read_portable

        return read_portable(path).scene
    if suffix == ".ply":
        from trase_ns.scene.ply import read_ply

        gaussians = read_ply(path)
    else:
        from trase_ns.scene.splat import read_splat

        gaussians = read_splat(path)
    if not len(gaussians):
        raise UserError(f"{path} holds no Gaussians.")
    return DynamicGaussians.at_rest(gaussians)
