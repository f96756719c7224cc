"""A folder with one file of masks for each frame, named after it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class FrameFolder:
    """A folder of files `<frame name><suffix>`; frame names may contain '/'."""

    suffix: ClassVar[str]

    def __init__(self, directory: Path | str):
        self.directory = Path(directory)

    def path(self, frame: str) -> Path:
        """Return the file of a frame's masks, whether it exists or not."""
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
