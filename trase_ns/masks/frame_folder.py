"""A folder with one file of masks, or of another kind, for each frame, named after it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from trase_ns.errors import UserError

# Folder in it for files that are being written.
STAGING = ".unfinished"


class FrameFolder:
    """A folder of files `<frame name><suffix>`; frame names may contain '/'.

    Attributes:
        suffix: of the files.
        content: what they hold, in a word for messages.
    """

    suffix: ClassVar[str]
    content: ClassVar[str] = "masks"

    def __init__(self, directory: Path | str):
        self.directory = Path(directory)

    def path(self, frame: str) -> Path:
        """Return the file of a frame, whether it exists or not."""
        return self.directory / f"{frame}{self.suffix}"

    def __contains__(self, frame: str) -> bool:
        return self.path(frame).is_file()

    def frames(self) -> list[str]:
        """Return the names of all frames with a file here, sorted; hidden files and folders do not count."""
        paths = (path.relative_to(self.directory) for path in self.directory.rglob(f"*{self.suffix}"))
        return sorted(
            path.as_posix()[: -len(self.suffix)]
            for path in paths
            if not any(part.startswith(".") for part in path.parts)
        )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder for one writer, and clear away what a killed one left unfinished.

        Raises:
            UserError: another process writes here, or the folder cannot be written.
        """
        from filelock import FileLock, Timeout

        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            with FileLock(self.directory / ".lock", timeout=0):
                shutil.rmtree(self.directory / STAGING, ignore_errors=True)
                try:
                    yield
                finally:
                    shutil.rmtree(self.directory / STAGING, ignore_errors=True)
        except Timeout:
            raise UserError(
                f"another process is making {self.content} in {self.directory}: wait for it or stop it."
            ) from None
        except OSError as error:
            raise UserError(
                f"cannot write {self.content} to {self.directory} ({error.strerror or error}): choose a folder with "
                "--output."
            ) from error
