"""Rendered pictures as files: a folder of PNG files or a film, whole or absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from trase_ns.errors import UserError
from trase_ns.files import atomic_folder, atomic_write

# What `picture_names` makes.
NUMBERED = "frame[0-9]*.png"


def picture_names(count: int) -> list[str]:
    """Return `count` names for numbered pictures, from frame0001 on, without suffix."""
    return [f"frame{i + 1:04d}" for i in range(count)]


def write_pictures(
    pictures: Iterable[np.ndarray], names: Sequence[str], folder: Path, overwrite: bool = False
) -> list[Path]:
    """Write pictures as PNG files, one at a time; their names appear when all are written.

    Args:
        pictures: uint8 [H, W], [H, W, 3] or [H, W, 4] (RGB and straight alpha), or uint16 [H, W].
        names: of the pictures, '/' separated, without suffix.
        folder: receives them.
        overwrite: replace pictures of the same names, and numbered ones of before.

    Returns:
        The files.

    Raises:
        UserError: the folder holds files and `overwrite` is false, or it cannot be written.
    """
    with atomic_folder(folder, overwrite, [NUMBERED]) as staging:
        for name, picture in zip(names, pictures):
            save_png(picture, staging / f"{name}.png")
    return [Path(folder) / f"{name}.png" for name in names]


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write one picture to `path`, whose folder is made; see `write_pictures`."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def write_film(pictures: Iterable[np.ndarray], path: Path, fps: float = 24.0, overwrite: bool = False) -> int:
    """Write pictures as a film (H.264 in MP4), one at a time.

    Args:
        pictures: at least one, uint8 [H, W] or [H, W, 3], all of one size; odd sides get one more row or column,
            because the format has none.
        path: the file, .mp4.
        fps: pictures a second.
        overwrite: replace a file of that name.

    Returns:
        The number of pictures.

    Raises:
        UserError: the file is there and `overwrite` is false, or it cannot be written.
    """
    import imageio

    path = Path(path)
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already. Add --overwrite, or choose another name.")
    count = 0
    with atomic_write(path) as temporary:
        writer = imageio.get_writer(
            temporary, format="FFMPEG", mode="I", fps=fps, codec="libx264", quality=8, macro_block_size=1
        )
        try:
            for picture in pictures:
                writer.append_data(_for_film(picture))
                count += 1
        finally:
            writer.close()
    return count


def _for_film(picture: np.ndarray) -> np.ndarray:
    picture = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
