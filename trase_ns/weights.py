"""Weights of networks: a given file, a cached one, or a download that is checked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from trase_ns.errors import UserError
from trase_ns.files import sha256

if TYPE_CHECKING:
    import torch


class Weights(NamedTuple):
    """Where the official weights of a model are, and their SHA-256."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[1]


def cache_folder() -> Path:
    """Return the folder for downloaded weights: TRASE_CACHE, else the platform's cache folder."""
    import pooch

    return Path(os.environ.get("TRASE_CACHE") or pooch.os_cache("trase_ns"))


def cached(weights: Weights) -> Path | None:
    """Return the official file where the cache holds it whole, else None."""
    path = cache_folder() / weights.file_name
    return path if path.is_file() and sha256(path) == weights.sha256 else None


def fingerprint(network: torch.nn.Module) -> str:
    """Return the hexadecimal SHA-256 of all parameters of a network."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def find(weights: Weights, given: Path | None = None, option: str = "--checkpoint") -> tuple[Path, str]:
    """Find weights; download the official ones where they are not in the cache.

    Args:
        weights: the official ones.
        given: a file to take instead.
        option: the option that names `given`, for messages.

    Returns:
        the file, and its SHA-256 (that of the official file unless `given` is given).

    Raises:
        UserError: the file does not exist, or the download failed.
    """
    if given is not None:
        if not given.is_file():
            raise UserError(f"the weights {given} do not exist: correct {option}.")
        return given, sha256(given)
    path = cached(weights)
    if path is None:
        path = cache_folder() / weights.file_name
        _download(weights, path.parent, option)
    return path, weights.sha256


def _download(weights: Weights, folder: Path, option: str) -> None:
    """Download through a temporary file that gets its name only when its SHA-256 is right."""
    import logging

    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    downloader: Any = pooch.HTTPDownloader(progressbar=True, timeout=30)
    try:
        pooch.retrieve(
            weights.url, known_hash=weights.sha256, fname=weights.file_name, path=folder, downloader=downloader
        )
    except Exception as error:  # network, disk and hash errors come as many types
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"cannot download {weights.file_name} from {weights.url} into {folder} ({reason}). Download it by other "
            f"means and pass it with {option} FILE, or put it into that folder."
        ) from error
