"""Fill a store with masks, frame by frame, so that a stopped start goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trase_ns.capture import Frame, load_image
from trase_ns.console import track
from trase_ns.files import sha256
from trase_ns.masks.imports import read_masks
from trase_ns.masks.mask_set import MaskSet
from trase_ns.masks.preview import on_white
from trase_ns.masks.store import MaskStore


class Generator(Protocol):
    """What finds the masks of an image; its key says how."""

    key: dict[str, Any]

    def __call__(self, frame: str, image: np.ndarray) -> MaskSet:
        """Return the masks of an image [H, W, 3] uint8."""
        ...


def outstanding(
    frames: Sequence[Frame], store: MaskStore, key: dict[str, Any], overwrite: bool = False
) -> tuple[list[Frame], list[Frame]]:
    """Sort out which frames still need masks.

    A frame is done when its file is whole and its key says the same image, model and settings. Masks that a person
    imported are never replaced unless `overwrite` asks for it.

    Args:
        frames: the frames to look at.
        store: where their masks are.
        key: what the generator would make them from.
        overwrite: count no frame as done.

    Returns:
        the frames that need masks, and those that keep imported ones.
    """
    todo, imported = [], []
    for frame in frames:
        old = None if overwrite else store.key(frame.name)
        if old is not None and old.get("generator") == "import":
            imported.append(frame)
        elif old is None or old != {**key, "image": sha256(frame.image_path)}:
            todo.append(frame)
    return todo, imported


def generate_masks(frames: Sequence[Frame], store: MaskStore, generator: Generator) -> None:
    """Make and save the masks of frames, one after another.

    Args:
        frames: the frames; their images are read one at a time.
        store: where to save them.
        generator: what makes them.

    Raises:
        UserError: an image cannot be read, or the folder cannot be written; frames before it are saved.
    """
    for frame in track(frames, "masks"):
        masks = generator(frame.name, on_white(load_image(frame)))
        store.save(masks, {**generator.key, "image": sha256(frame.image_path)})


def import_masks(frames: Sequence[Frame], files: dict[str, list[Path]], store: MaskStore) -> None:
    """Check the masks that a person brings and save them.

    Args:
        frames: the frames to import for.
        files: the files of each of them, by name (see `imports.find_imports`).
        store: where to save them.

    Raises:
        UserError: a file is damaged, or its size does not fit the frame's image.
    """
    for frame in track(frames, "import"):
        paths = files[frame.name]
        masks = read_masks(frame.name, paths)
        masks.check_size(frame.width, frame.height, str(paths[0]))
        store.save(masks, {"generator": "import", "image": sha256(frame.image_path)})
