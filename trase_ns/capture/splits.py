"""Which frames are trained on and which are held out."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from trase_ns.capture.frame import SPLITS, Frame
from trase_ns.console import warn
from trase_ns.errors import UserError


def spread_splits(frames: list[Frame], eval_every: int) -> list[Frame]:
    """Hold out every `eval_every`-th frame, from the first on, as a test frame."""
    return [replace(frame, split="test" if index % eval_every == 0 else "train") for index, frame in enumerate(frames)]


def listed_splits(frames: list[Frame], meta: dict[str, Any], path: Path) -> list[Frame] | None:
    """Follow `train_filenames`, `val_filenames` and `test_filenames`; None where the file has none of them.

    Frames in no list are trained on where `train_filenames` is missing, held out for the test where only
    `train_filenames` is there, and left out otherwise.

    Raises:
        UserError: a list names a file that no frame has.
    """
    lists = {split: meta.get(f"{split}_filenames") for split in SPLITS}
    given = {split: names for split, names in lists.items() if names is not None}
    if not given:
        return None
    by_path = {os.path.abspath(frame.image_path): frame for frame in frames}
    splits: dict[str, list[str]] = {frame.name: [] for frame in frames}
    for split, names in given.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{path}: '{split}_filenames' must be a list of file paths.")
        for name in dict.fromkeys(names):
            frame = by_path.get(os.path.abspath(path.parent / name))
            if frame is None:
                raise UserError(f"{path}: '{split}_filenames' names {name!r}, but no frame has this 'file_path'.")
            splits[frame.name].append(split)
    rest = "train" if "train" not in given else "test" if len(given) == 1 else None
    chosen = []
    for frame in frames:
        own = splits[frame.name] or ([rest] if rest else [])
        if own:
            chosen.append(replace(frame, split=own[0], more_splits=tuple(own[1:])))
    both = [frame.name for frame in chosen if frame.split == "train" and frame.more_splits]
    if both:
        warn(f"{path}: {len(both)} frames, such as {both[0]}, are listed for training and for evaluation.")
    return chosen
