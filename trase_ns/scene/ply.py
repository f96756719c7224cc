"""Gaussians in and out of the PLY files that 3D Gaussian Splatting viewers read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.scene.gaussians import Gaussians

_POSITION = ["x", "y", "z"]
_NORMAL = ["nx", "ny", "nz"]
_SH0 = [f"f_dc_{i}" for i in range(3)]
_SCALE = [f"scale_{i}" for i in range(3)]
_IDS = "object_id"
_ROTATION = [f"rot_{i}" for i in range(4)]
# Opacity 1 and scale 0 have no finite logit and logarithm.
_OPACITY_MARGIN = 1e-6
_SMALLEST_SCALE = 1e-20
_BLOCK = 4096  # Gaussians


def write_ply(path: Path, gaussians: Gaussians, ids: torch.Tensor | None = None, with_ids: bool = False) -> None:
    """Write `gaussians` as a standard 3D Gaussian Splatting PLY: binary, little endian, float32; atomically.

    Columns: x y z, nx ny nz (zero), f_dc_0..2, f_rest_* (all of red, then green, then blue), opacity (logit),
    scale_0..2 (logarithm), rot_0..3 (wxyz, of length one). Gaussians that are not finite are left out with a warning.

    Args:
        path: the file.
        gaussians: what to write.
        ids: integers [N], by custom the object of each Gaussian and -1 for none: written as int32 to `ids_path(path)`,
            in the order of the file, because viewers may stumble over columns that they do not know.
        with_ids: write the ids as a last column, int `object_id`, instead.

    Raises:
        UserError: there are no Gaussians, or the file cannot be written.
    """
    from plyfile import PlyData, PlyElement

    rest = gaussians.sh[:, 1:].transpose(1, 2).flatten(1)
    columns = torch.cat(
        [
            gaussians.means,
            torch.zeros_like(gaussians.means),
            gaussians.sh[:, 0],
            rest,
            torch.logit(gaussians.opacities, eps=_OPACITY_MARGIN)[:, None],
            gaussians.scales.clamp_min(_SMALLEST_SCALE).log(),
            torch.nn.functional.normalize(gaussians.quats, dim=1),
        ],
        dim=1,
    )
    table = columns.detach().to("cpu", torch.float32).numpy()
    finite = np.isfinite(table).all(axis=1)
    if not finite.any():
        raise UserError(f"nothing to write to {path}: there are no Gaussians. Select some first.")
    if not finite.all():
        warn(f"{path}: left out {np.count_nonzero(~finite)} Gaussians that are not finite")
        table = table[finite]
    types = [(name, "<f4") for name in _columns(rest.shape[1])]
    if ids is not None:
        numbers = ids.detach().cpu().numpy()[finite].astype("<i4")
        if with_ids:
            types.append((_IDS, "<i4"))
            table = np.concatenate([table, numbers.view("<f4")[:, None]], axis=1)
        else:
            with atomic_write(ids_path(path)) as temporary, open(temporary, "wb") as file:
                np.save(file, numbers)
    vertices = np.ascontiguousarray(table, dtype="<f4").view(types)[:, 0]
    with atomic_write(Path(path)) as temporary:
        PlyData([PlyElement.describe(vertices, "vertex")], byte_order="<").write(str(temporary))


def ids_path(path: Path) -> Path:
    """Return the file beside the PLY `path` that holds the ids of its Gaussians, int32 [N] as NumPy saves it."""
    return Path(path).with_suffix(".ids.npy")


def read_ply(path: Path) -> Gaussians:
    """Read a 3D Gaussian Splatting PLY, ASCII or binary, of any degree of spherical harmonics; float32, on the CPU.

    Raises:
        UserError: the file is missing, is no PLY, is cut short, or holds no Gaussians.
    """
    from plyfile import PlyData, PlyParseError

    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such file: {path}. Name a PLY file of Gaussians.")
    try:
        ply = PlyData.read(str(path))
    except (PlyParseError, ValueError, OSError) as error:
        raise UserError(f"cannot read {path}: not a whole PLY file ({error}). Write it again.") from error
    elements = {element.name: element.data for element in ply.elements}
    vertices = elements.get("vertex")
    present = set(vertices.dtype.names or ()) if vertices is not None else set()
    rest = sum(name.startswith("f_rest_") for name in present)
    missing = [name for name in _columns(rest) if name not in present and name not in _NORMAL]
    if vertices is None or missing:
        raise UserError(
            f"{path} holds no Gaussians: it lacks {', '.join(missing[:4])}. Give a 3D Gaussian Splatting PLY."
        )
    degree = (1 + rest / 3) ** 0.5 - 1
    if degree != int(degree):
        raise UserError(f"{path} has {rest} f_rest columns, which is no degree of spherical harmonics. Write it again.")

    def columns(names: list[str]) -> torch.Tensor:
        table = np.empty((len(vertices), len(names)), np.float32)
        for start in range(0, len(vertices), _BLOCK):  # all columns of a block while it is in the cache
            for i, name in enumerate(names):
                table[start : start + _BLOCK, i] = vertices[name][start : start + _BLOCK]
        return torch.from_numpy(table)

    sh_rest = columns([f"f_rest_{i}" for i in range(rest)]).reshape(len(vertices), 3, rest // 3).transpose(1, 2)
    return Gaussians(
        means=columns(_POSITION),
        quats=columns(_ROTATION),
        scales=columns(_SCALE).exp(),
        opacities=columns(["opacity"])[:, 0].sigmoid(),
        sh=torch.cat([columns(_SH0)[:, None], sh_rest], dim=1),
    )


def _columns(rest: int) -> list[str]:
    """Names of the columns, in order, of a file with `rest` coefficients above degree 0."""
    return [*_POSITION, *_NORMAL, *_SH0, *(f"f_rest_{i}" for i in range(rest)), "opacity", *_SCALE, *_ROTATION]
