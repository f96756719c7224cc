"""Masks that a person brings: COCO-RLE JSON, label PNGs, binary PNGs, `.npz`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from trase_ns.capture import Frame
from trase_ns.capture.images import IMAGE_ERRORS
from trase_ns.errors import UserError
from trase_ns.masks.coco import read_coco
from trase_ns.masks.mask_set import MaskSet


def find_imports(source: Path, frames: Iterable[Frame]) -> dict[str, list[Path]]:
    """Find the files that hold the masks of each frame.

    The first of these that exists is taken, below `source` and named after the frame: `<frame>.json` (COCO-RLE),
    `<frame>.npz`, `<frame>.png` (a label image), a folder `<frame>/` of binary PNGs, `<frame>_<number>.png` (binary).

    Args:
        source: folder of the masks.
        frames: the frames that masks are wanted for.

    Returns:
        files of each frame that has any, by frame name.

    Raises:
        UserError: the folder does not exist, or no file is named after a frame.
    """
    if not source.is_dir():
        raise UserError(f"the folder of masks {source} does not exist: correct --import-from.")
    names = [frame.name for frame in frames]
    known = {f"{name}.png" for name in names}
    numbered: dict[str, list[Path]] = {}
    for path in sorted(source.rglob("*.png")):
        file_name = path.relative_to(source).as_posix()
        match = re.fullmatch(r"(.+)_[0-9]+\.png", file_name)
        if match and file_name not in known:
            numbered.setdefault(match[1], []).append(path)
    found = {}
    for name in names:
        single = [
            path for path in (source / f"{name}{suffix}" for suffix in (".json", ".npz", ".png")) if path.is_file()
        ]
        folder = source / name
        files = single[:1] or (sorted(folder.glob("*.png")) if folder.is_dir() else []) or numbered.get(name, [])
        if files:
            found[name] = files
    if not found:
        raise UserError(
            f"{source} has no masks named after the frames: expected for example {names[0]}.json (COCO-RLE), "
            f"{names[0]}.npz, {names[0]}.png (one integer for each object), {names[0]}/*.png or {names[0]}_1.png "
            "(black and white)."
        )
    return found


def read_masks(frame: str, files: list[Path]) -> MaskSet:
    """Read the masks of a frame from the files that `find_imports` found.

    Args:
        frame: name of the frame.
        files: one JSON, `.npz` or label image, or several binary images.

    Raises:
        UserError: a file is damaged, or is not what its name says.
    """
    path = files[0]
    if path.suffix == ".json":
        return read_coco(path, frame)
    try:
        if path.suffix == ".npz":
            return MaskSet.from_dense(frame, _read_npz(path))
        if path.name == f"{frame.rsplit('/', 1)[-1]}.png" and len(files) == 1:
            return MaskSet.from_dense(frame, _split_labels(_read_png(path)))
        return MaskSet.from_dense(frame, (_binary(_read_png(path)) for path in files))
    except ValueError as error:
        raise UserError(f"{path}: {error}; correct the masks of frame {frame}.") from error


def _split_labels(labels: np.ndarray) -> np.ndarray | Iterator[np.ndarray]:
    values = [value for value in np.unique(labels) if value > 0]
    if not values:
        return np.zeros((0, *labels.shape), dtype=bool)
    return (labels == value for value in values)


def _binary(image: np.ndarray) -> np.ndarray:
    """White on black, whatever number is white; soft borders are cut at half."""
    return image > image.max() / 2


def _read_png(path: Path) -> np.ndarray:
    """Return the numbers of a PNG, [H, W]: grey levels, 16-bit integers or palette indices."""
    try:
        with Image.open(path) as image:
            image.load()
            values = np.asarray(image)
    except IMAGE_ERRORS as error:
        raise UserError(f"the mask {path} cannot be read ({error}): it may be truncated; replace it.") from error
    if values.ndim == 3 and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise UserError(f"the mask {path} is a colour picture: save one integer for each object, as 8 or 16-bit grey.")
    return values


def _read_npz(path: Path) -> np.ndarray | Iterator[np.ndarray]:
    """Return the masks of an array `masks` (or the only array): [M, H, W] binary, or [H, W] labels."""
    try:
        with np.load(path, allow_pickle=False) as content:
            name = "masks" if "masks" in content.files or len(content.files) != 1 else content.files[0]
            masks = content[name]
    except KeyError:
        raise UserError(f"{path} has no array 'masks' ([M, H, W] bool, or [H, W] integers).") from None
    except Exception as error:  # zip, zlib and numpy raise errors of many kinds for damaged files
        raise UserError(f"the mask file {path} is damaged ({error}): write it again.") from error
    if masks.dtype.kind not in "bui" or masks.ndim not in (2, 3):
        raise UserError(
            f"{path}: 'masks' must be [M, H, W] bool or [H, W] integers, but is {list(masks.shape)} {masks.dtype}."
        )
    return _split_labels(masks) if masks.ndim == 2 else masks.astype(bool, copy=False)
