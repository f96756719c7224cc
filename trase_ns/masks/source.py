"""Where the masks of a capture come from: our own store or a folder of COCO-RLE JSON."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trase_ns.errors import UserError
from trase_ns.masks.coco import CocoFolder
from trase_ns.masks.mask_set import MaskSet
from trase_ns.masks.store import MaskStore


class MaskSource:
    """The masks of a set of frames, read from disk when asked for; nothing is kept in memory.

    Attributes:
        directory: folder of the masks.
    """

    def __init__(self, folder: MaskStore | CocoFolder, frame_names: Iterable[str]):
        self._folder = folder
        self._names = [name for name in frame_names if name in folder]
        self._known = set(self._names)
        self.directory = folder.directory

    def frames(self) -> list[str]:
        """Return the names of the frames that have masks, in the order they were asked for."""
        return list(self._names)

    def __contains__(self, frame_name: str) -> bool:
        return frame_name in self._known

    def __len__(self) -> int:
        return len(self._names)

    def path(self, frame_name: str) -> Path:
        """Return the file that holds the masks of a frame."""
        return self._folder.path(frame_name)

    def load(self, frame_name: str, image_size: tuple[int, int] | None = None) -> MaskSet:
        """Read the masks of a frame.

        Args:
            frame_name: name of the frame.
            image_size: (width, height) of its image in pixels, to check that the masks fit it.

        Raises:
            UserError: there are none, the file is damaged, or the masks do not fit the image.
        """
        masks = self._folder.load(frame_name)
        if image_size is not None:
            masks.check_size(*image_size, source=str(self.path(frame_name)))
        return masks


def open_masks(directory: Path | str, frame_names: Iterable[str]) -> MaskSource:
    """Open the masks of a capture.

    The folder may hold our own store, COCO-RLE JSON files named after the frames, or both: the kind that covers more
    of the frames is taken, our store where they are equal.

    Args:
        directory: folder of the masks, usually `DATA/masks`.
        frame_names: the frames that masks are wanted for; some of them may have none.

    Raises:
        UserError: no frame has masks.
    """
    names = list(frame_names)
    directory = Path(directory)
    source = max((MaskSource(folder(directory), names) for folder in (MaskStore, CocoFolder)), key=len)
    if not len(source):
        found = "holds none of the frames' masks" if directory.is_dir() else "does not exist"
        raise UserError(
            f"no frame has masks: {directory} {found}. Make them with `trase masks --data {directory.parent}`, or "
            "bring your own with its option --import-from."
        )
    return source
