"""Gaussians in and out of the small formats of web viewers: .splat, and .spz through gsply."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.scene.gaussians import Gaussians
from trase_ns.scene.quaternions import normalise
from trase_ns.scene.similarity import Similarity
from trase_ns.scene.spherical_harmonics import rgb_to_sh0, sh0_to_rgb

_RECORD = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("color", "u1", 4), ("quat", "u1", 4)])
_OPACITY_MARGIN = 1e-6
_SMALLEST_SCALE = 1e-20
# .spz keeps positions as whole numbers of 24 bits; more bits behind the point than this are of no use.
_SPZ_BITS, _SPZ_FRACTION = 24, 20


def write_splat(path: Path, gaussians: Gaussians) -> None:
    """Write `gaussians` as a .splat file of antimatter15's viewer, largest and most opaque first; atomically.

    32 bytes each: mean and scales as float32, red, green, blue and opacity as bytes, the quaternion wxyz as bytes
    128 + 128 q. There is no room for colour that depends on the view: degree 0 is written. Gaussians that are not
    finite are left out with a warning.

    Raises:
        UserError: there are no Gaussians, or the file cannot be written.
    """
    gaussians = _finite(path, gaussians)
    order = (gaussians.scales.double().log().sum(dim=1).exp() * gaussians.opacities).argsort(descending=True)
    gaussians = gaussians.subset(order)
    records = np.empty(len(gaussians), _RECORD)
    records["mean"] = gaussians.means.numpy()
    records["scale"] = gaussians.scales.numpy()
    color = torch.cat([sh0_to_rgb(gaussians.sh[:, 0]), gaussians.opacities[:, None]], dim=1)
    records["color"] = _bytes(255 * color)
    records["quat"] = _bytes(128 + 128 * normalise(gaussians.quats))
    with atomic_write(Path(path)) as temporary:
        records.tofile(temporary)


def read_splat(path: Path) -> Gaussians:
    """Read a .splat file; float32, degree 0, on the CPU.

    Raises:
        UserError: the file is missing, empty or cut short, or no .splat file.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such file: {path}. Name a .splat file.")
    size = path.stat().st_size
    if not size or size % _RECORD.itemsize:
        raise UserError(f"cannot read {path}: {size} bytes are no whole number of Gaussians. Write it again.")
    records = np.fromfile(path, _RECORD)
    means, scales = torch.from_numpy(records["mean"].copy()), torch.from_numpy(records["scale"].copy())
    if not means.isfinite().all() or not scales.isfinite().all() or (scales < 0).any():
        raise UserError(f"cannot read {path}: it holds values that no Gaussian has. Give a .splat file.")
    color = torch.from_numpy(records["color"].astype(np.float32)) / 255
    quats = torch.from_numpy(records["quat"].astype(np.float32)) / 128 - 1
    quats[(quats == 0).all(dim=1), 0] = 1.0
    return Gaussians(means, normalise(quats), scales, color[:, 3], rgb_to_sh0(color[:, :3])[:, None])


def write_spz(path: Path, gaussians: Gaussians) -> None:
    """Write `gaussians` as a .spz file (version 3), of any degree of harmonics; atomically.

    The axes are turned to x right, y up, z back, which the format asks for: a reader that turns them back, as all do,
    shows what a PLY shows. Positions are rounded to 24 bits; coefficients of higher degrees are cut off at 1.
    Gaussians that are not finite are left out with a warning.

    Raises:
        UserError: gsply is not installed, there are no Gaussians, or the file cannot be written.
    """
    try:
        from gsply import GSData
        from gsply.spz import write_spz as pack
    except ImportError as error:
        raise UserError('.spz needs the package gsply. Install it: pip install "trase_ns[spz]".') from error

    flip = Similarity(torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)), torch.zeros(3))
    turned = flip.gaussians(_finite(path, gaussians))
    farthest = float(turned.means.abs().max())
    whole_bits = max(0, math.ceil(math.log2(max(farthest, 1e-30) * 1.0001)))
    if whole_bits > _SPZ_BITS - 2:
        raise UserError(f"cannot write {path}: a Gaussian {farthest:.3g} away is too far for .spz. Leave it out.")
    data = GSData(
        means=turned.means.numpy(),
        scales=turned.scales.clamp_min(_SMALLEST_SCALE).log().numpy(),
        quats=turned.quats.contiguous().numpy(),
        opacities=torch.logit(turned.opacities, eps=_OPACITY_MARGIN).numpy(),
        sh0=turned.sh[:, 0].contiguous().numpy(),
        shN=turned.sh[:, 1:].contiguous().numpy(),
    )
    with atomic_write(Path(path)) as temporary:
        pack(temporary, data, version=3, fractional_bits=min(_SPZ_FRACTION, _SPZ_BITS - 1 - whole_bits))


def _finite(path: Path, gaussians: Gaussians) -> Gaussians:
    """Return the Gaussians whose values are finite, float32 on the CPU."""
    tensors = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    means, quats, scales, opacities, sh = (tensor.detach().to("cpu", torch.float32) for tensor in tensors)
    fine = opacities.isfinite()
    for tensor in (means, quats, scales, sh):
        fine = fine & tensor.isfinite().flatten(1).all(dim=1)
    if not fine.any():
        raise UserError(f"nothing to write to {path}: there are no Gaussians. Select some first.")
    if not fine.all():
        warn(f"{path}: left out {int((~fine).sum())} Gaussians that are not finite")
    return Gaussians(means, quats, scales, opacities, sh).subset(fine)


def _bytes(values: torch.Tensor) -> np.ndarray:
    return values.round().clamp(0, 255).to(torch.uint8).numpy()
