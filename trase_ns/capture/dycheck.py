"""DyCheck's iPhone scenes: the Nerfies layout with splits of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trase_ns.capture.fields import read_json
from trase_ns.capture.frame import Capture
from trase_ns.capture.nerfies import assemble, is_nerfies, read_nerfies
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.splits import spread_splits
from trase_ns.errors import UserError


def is_dycheck(root: Path) -> bool:
    """Whether the folder has the Nerfies layout with DyCheck's splits or extra.json."""
    return is_nerfies(root) and ((root / "splits" / "train.json").is_file() or (root / "extra.json").is_file())


def read_dycheck(root: Path, options: ReadOptions) -> Capture:
    """Read a DyCheck scene.

    `splits/train.json` and `splits/val.json` are followed (`train_mono` and `val_mono` in DyCheck's versions of Nerfies
    and HyperNeRF); without them dataset.json's lists, in which camera 0 is the training video. A scene with one camera
    holds out every `eval_every`-th frame. Masks of what is visible from both cameras (`covisible`) and depths are not
    read.

    Raises:
        UserError: anything that is missing or wrong.
    """
    kind = "" if (root / "splits" / "train.json").is_file() else "_mono"
    train_path, val_path = (root / "splits" / f"{split}{kind}.json" for split in ("train", "val"))
    if train_path.is_file():
        train = _split(train_path)
        test = _split(val_path) if val_path.is_file() else []
    else:
        dataset = read_json(root / "dataset.json")
        if dataset.get("val_ids"):
            return read_nerfies(root, options)
        train, test = [str(name) for name in dataset.get("train_ids") or []], []
        if not train:
            raise UserError(f"{root / 'dataset.json'}: 'train_ids' is missing or empty: restore the file.")
    capture = assemble(root, train, test, options)
    return capture if test else replace(capture, frames=spread_splits(capture.frames, options.eval_every))


def _split(path: Path) -> list[str]:
    record = read_json(path)
    names = record.get("frame_names")
    if not isinstance(names, list) or not all(isinstance(name, str) and name and "/" not in name for name in names):
        raise UserError(f"{path}: 'frame_names' must be a list of frame names: restore the file from its source.")
    for key in ("time_ids", "camera_ids"):
        if isinstance(record.get(key), list) and len(record[key]) != len(names):
            raise UserError(f"{path} has {len(names)} frame_names, but {len(record[key])} {key}: restore the file.")
    return names
