"""Files that are whole or absent: atomic writes of a file and of the files of a folder, and checksums."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
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


@contextmanager
def atomic_folder(folder: Path, overwrite: bool = False, stale: Sequence[str] = ()) -> Iterator[Path]:
    """Yield a temporary folder; when the block ends well, all files in it appear in `folder`, else none.

    Args:
        folder: receives the files, in the folders that they lie in. It is made if it is missing.
        overwrite: replace files of the same names. Other files stay.
        stale: patterns of older files in `folder` that are no longer true and go, as in "frame[0-9]*.png".

    Raises:
        UserError: the folder holds files and `overwrite` is false, it cannot be written, or the disk is full.
    """
    folder = Path(folder)
    if not overwrite and folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(f"{folder} holds files already. Add --overwrite, or choose another folder.")
    made = not folder.exists()
    old = [path for pattern in stale for path in folder.glob(pattern)] if not made else []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".staging-", dir=folder) as name:
            staging = Path(name)
            yield staging
            for path in old:
                path.unlink(missing_ok=True)
            for path in sorted(path for path in staging.rglob("*") if path.is_file()):
                target = folder / path.relative_to(staging)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except OSError as error:
        raise UserError(
            f"cannot write {folder}: {error.strerror or error}. Free space or choose another folder."
        ) from error
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


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
