"""Checkpoints that are whole or absent, and the newest one that is good."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.files import atomic_write

_NAME = re.compile(r"step-(\d+)\.ckpt")


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write `state` as the checkpoint of `step` and remove all but the newest `keep` ones.

    Returns:
        The file.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    path = folder / f"step-{step:09d}.ckpt"
    write(path, state)
    for old in checkpoints(folder)[keep:]:
        old.unlink()
    return path


def write(path: Path, state: dict[str, Any]) -> None:
    """Write `state` as the checkpoint `path`, whole or not at all.

    It is written beside its folder: Nerfstudio takes every name inside that for a checkpoint.

    Raises:
        UserError: the folder cannot be written, or the disk is full.
    """
    with atomic_write(path, staging=path.parent.parent / ".checkpoint") as temporary:
        try:
            torch.save(_plain(state), temporary)
        except RuntimeError as error:  # so torch reports a full disk
            raise UserError(f"cannot write {path}: {str(error).splitlines()[0]}. Is the disk full?") from error


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, the newest first."""
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(_NAME.fullmatch(path.name)[1]), reverse=True)  # type: ignore[index]


def load_newest(folder: Path, step: int | None = None) -> tuple[Path, dict[str, Any]]:
    """Load the newest checkpoint that can be read; damaged newer ones are reported.

    Args:
        folder: nerfstudio_models of a run.
        step: take this step and no other.

    Raises:
        UserError: there is no checkpoint, or none that can be read.
    """
    found = checkpoints(folder)
    if step is not None:
        found = [path for path in found if path.name == f"step-{step:09d}.ckpt"]
    if not found:
        which = "checkpoint" if step is None else f"checkpoint of step {step}"
        raise UserError(f"no {which} in {folder}: name the nerfstudio_models folder of a run")
    for path in found:
        try:
            return path, load(path)
        except UserError as error:
            warn(str(error))
    raise UserError(f"no checkpoint in {folder} can be read: train again")


def load(path: Path) -> dict[str, Any]:
    """Load one checkpoint; nothing in it is executed.

    Raises:
        UserError: the file is damaged or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"there is no checkpoint {path}") from error
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(f"checkpoint {path} is damaged ({type(error).__name__}); it is left out") from error
    if not isinstance(state, dict) or not {"step", "pipeline", "optimizers"} <= state.keys():
        raise UserError(f"{path} is not a checkpoint of Nerfstudio; it is left out")
    return state


def _plain(value: Any) -> Any:
    """Replace numpy scalars, which torch refuses to load again, by Python numbers."""
    if isinstance(value, dict):
        return type(value)((key, _plain(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value
