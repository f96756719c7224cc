"""The masks of a capture on disk: one small compressed file a frame, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from trase_ns.errors import UserError
from trase_ns.files import atomic_write
from trase_ns.masks.frame_folder import STAGING, FrameFolder
from trase_ns.masks.mask_set import MaskSet

SUFFIX = ".npz"


class MaskStore(FrameFolder):
    """Masks in a folder, `<frame name>.npz` for each frame.

    A file holds the COCO counts of all masks end to end (`counts`, `ends`), `scores`, `size` (height, width), and
    `key`, a JSON text that says from which image, model and parameters the masks were made.
    """

    suffix = SUFFIX

    def save(self, masks: MaskSet, key: dict[str, Any]) -> None:
        """Write the masks of a frame at one stroke: after a kill the file is the old one or the new one.

        Args:
            masks: the masks.
            key: what they were made from; anything that JSON can hold.

        Raises:
            UserError: the folder cannot be written or the disk is full.
        """
        with (
            atomic_write(self.path(masks.frame), staging=self.directory / STAGING) as temporary,
            open(temporary, "wb") as file,
        ):
            np.savez_compressed(
                file,
                counts=np.frombuffer(b"".join(masks.rles), dtype=np.uint8),
                ends=np.cumsum([len(counts) for counts in masks.rles], dtype=np.int64),
                scores=masks.scores.astype(np.float32),
                size=np.array([masks.height, masks.width], dtype=np.int64),
                key=np.array(json.dumps(key, sort_keys=True)),
            )

    def load(self, frame: str) -> MaskSet:
        """Read the masks of a frame.

        Raises:
            UserError: there is no file, or it is damaged.
        """
        with self._open(frame) as content:
            height, width = (int(number) for number in content["size"])
            counts, ends = content["counts"].tobytes(), [int(end) for end in content["ends"]]
            starts = [0, *ends][:-1]
            rles = tuple(counts[start:end] for start, end in zip(starts, ends, strict=True))
            masks = MaskSet(frame, height, width, rles, content["scores"].astype(np.float32))
            if len(masks.scores) != len(masks.runs):  # decoding the runs checks them
                raise ValueError("scores and masks differ in number")
        return masks

    def key(self, frame: str) -> dict[str, Any] | None:
        """Return the key of a frame's masks, None where they are missing or damaged."""
        try:
            with self._open(frame) as content:
                # Each part carries a checksum: reading all of them finds a damaged file.
                key = json.loads(str({name: content[name] for name in content.files}["key"]))
        except UserError:
            return None
        return key if isinstance(key, dict) else None

    @contextmanager
    def _open(self, frame: str) -> Iterator[Any]:
        path = self.path(frame)
        if not path.is_file():
            raise UserError(f"frame {frame} has no masks in {self.directory}: make them with `trase masks --data DIR`.")
        try:
            with np.load(path, allow_pickle=False) as content:
                yield content
        except Exception as error:  # zip, zlib and numpy raise errors of many kinds for damaged files
            raise UserError(
                f"the mask file {path} is damaged ({error}): delete it and run `trase masks` again."
            ) from error
