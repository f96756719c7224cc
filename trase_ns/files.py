"""Files that are whole or absent: atomic writes and checksums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trase_ns.errors import UserError


@contextmanager
def atomic_write(path: Path, staging: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path; when the block ends well, it becomes `path`, else it is removed.

    Args:
        path: final name. Its folder is made if it is missing.
        staging: folder for the temporary file, on the same file system; by default the folder of `path`.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    staging = Path(staging) if staging is not None else path.parent
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=staging)
        os.close(descriptor)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}. Choose a folder that you may write to.") from error
    temporary = Path(name)
    try:
        yield temporary
        # Data reach the disk before the name does: a crash leaves the old file or the new one.
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Free space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the hexadecimal SHA-256 of the file at `path`."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
