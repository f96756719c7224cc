"""A selection on disk: which Gaussians of a run a person chose, and how."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.files import atomic_write

FILE_NAME = "selection.npz"
VERSION = 1


def save_selection(path: Path, mask: Tensor, metadata: dict[str, Any] | None = None) -> None:
    """Write a selection, whole or not at all.

    Args:
        path: the file, by custom `selection.npz` in the run's folder.
        mask: bool [N], the selected Gaussians.
        metadata: plain JSON values that say how it was made.

    Raises:
        UserError: the file cannot be written.
    """
    bits = np.packbits(mask.detach().cpu().numpy().astype(bool))
    text = json.dumps(metadata or {})
    with atomic_write(Path(path)) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, version=VERSION, bits=bits, gaussians=len(mask), metadata=np.array(text))


def load_selection(path: Path, gaussians: int) -> tuple[Tensor, dict[str, Any]]:
    """Read a selection that `save_selection` wrote: bool [N], and its metadata.

    Args:
        path: the file.
        gaussians: N, the number of Gaussians of the run that it is for.

    Raises:
        UserError: the file is missing, damaged, of another format, or for another number of Gaussians.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            version, bits = int(arrays["version"]), arrays["bits"]
            count, metadata = int(arrays["gaussians"]), json.loads(str(arrays["metadata"]))
    except FileNotFoundError as error:
        raise UserError(f"selection {path} does not exist. Make one with `trase segment`.") from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"selection {path} cannot be read: {error}. Make it again with `trase segment`.") from error
    if version != VERSION or bits.dtype != np.uint8 or bits.shape != (-(-count // 8),):
        raise UserError(f"selection {path} is not of a format that can be read. Make it again with `trase segment`.")
    if count != gaussians:
        raise UserError(
            f"selection {path} is for {count} Gaussians, but the run has {gaussians}: it was made for another run or "
            "before more training. Make it again with `trase segment`."
        )
    return torch.from_numpy(np.unpackbits(bits, count=count).astype(bool)), metadata
