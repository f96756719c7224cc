"""Weights of the SAM models: a given file, a cached one, or a download that is checked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from trase_ns.errors import UserError
from trase_ns.files import sha256


class Weights(NamedTuple):
    """Where the official weights of a model are, and their SHA-256."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return self.url.rsplit("/", 1)[1]


_OFFICIAL = "https://dl.fbaipublicfiles.com/segment_anything/"
WEIGHTS = {
    "vit_h": Weights(
        _OFFICIAL + "sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
    ),
    "vit_l": Weights(
        _OFFICIAL + "sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
    ),
    "vit_b": Weights(
        _OFFICIAL + "sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
    ),
    "mobile": Weights(
        "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    ),
}


def cache_folder() -> Path:
    """Return the folder for downloaded weights: TRASE_CACHE, else the platform's cache folder."""
    import pooch

    return Path(os.environ.get("TRASE_CACHE") or pooch.os_cache("trase_ns"))


def find_weights(model: str, checkpoint: Path | None = None) -> tuple[Path, str]:
    """Find the weights of a model; download the official ones where they are not in the cache.

    Args:
        model: a key of `WEIGHTS`.
        checkpoint: a file to take instead.

    Returns:
        the file, and its SHA-256 (that of the official file unless `checkpoint` is given).

    Raises:
        UserError: the file does not exist, or the download failed.
    """
    if checkpoint is not None:
        if not checkpoint.is_file():
            raise UserError(f"the weights {checkpoint} do not exist: correct --checkpoint.")
        return checkpoint, sha256(checkpoint)
    weights = WEIGHTS[model]
    folder = cache_folder()
    path = folder / weights.file_name
    if not (path.is_file() and sha256(path) == weights.sha256):
        _download(weights, folder)
    return path, weights.sha256


def _download(weights: Weights, folder: Path) -> None:
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
            f"means and pass it with --checkpoint FILE, or put it into that folder."
        ) from error
