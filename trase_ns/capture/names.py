"""Names of frames, from the places of their images."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePath

from trase_ns.capture.frame import Frame
from trase_ns.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG")


def with_names(frames: list[Frame]) -> list[Frame]:
    """Name each frame after its image, below the folder that all images share.

    Raises:
        UserError: two frames would have the same name.
    """
    paths = [Path(os.path.abspath(frame.image_path)) for frame in frames]
    try:
        common = os.path.commonpath([path.parent for path in paths])
    except ValueError:  # different drives
        raise UserError("the images lie on different drives: put them into one folder.") from None
    names = [PurePath(path).relative_to(common).with_suffix("").as_posix() for path in paths]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise UserError(
            f"{count} frames are called {name!r}: each frame needs an image of its own name (without suffix); "
            "rename or remove one."
        )
    return [replace(frame, name=name) for frame, name in zip(frames, names, strict=True)]


def find_image(path: Path, where: str) -> Path:
    """Return the image at `path`, which may lack its suffix.

    Raises:
        UserError: there is none; the message begins with `where`.
    """
    path = Path(os.path.normpath(path))
    candidates = [path, *(path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"{where}: its image {path} is missing: put it there or remove the frame.")


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key that counts: "frame2" before "frame10"."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"([0-9]+)", text) if part]


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder in natural order; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.suffix in IMAGE_SUFFIXES and path.is_file()]
    return sorted(found, key=lambda path: natural(path.name))


def trailing_number(path: Path) -> int | None:
    """Return the number at the end of a file name without its suffix, None where there is none."""
    found = re.search(r"([0-9]+)$", path.stem)
    return int(found.group(1)) if found else None
