"""COCO's run-length encoding, read without trust: a broken mask is an error, never a crash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_PIXELS = 1 << 31
MAX_CHARACTERS = 8  # of one number: 40 bits


def run_lengths(counts: bytes | str | Sequence[int], height: int, width: int) -> np.ndarray:
    """Return the run lengths of a COCO RLE.

    The runs go down the columns of the image, from left to right; runs 0, 2, ... are outside the mask.

    Args:
        counts: compressed counts (bytes or text), or the list of run lengths itself.
        height, width: size of the mask in pixels.

    Returns:
        [R] int64, non-negative, with the sum height * width.

    Raises:
        ValueError: the counts are malformed or do not fill the mask.
    """
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"a mask cannot be {width} x {height} pixels")
    if isinstance(counts, (bytes, str)):
        runs = _decompress(_as_bytes(counts))
    else:
        try:
            runs = np.asarray(counts, dtype=np.int64).reshape(-1)
        except (TypeError, OverflowError) as error:
            raise ValueError(f"counts must be text or whole numbers ({error})") from None
    if len(runs) == 0 or runs.min() < 0 or runs.max() > height * width or runs.sum() != height * width:
        raise ValueError(f"the run lengths do not fill {width} x {height} pixels")
    return runs


def encode(mask: np.ndarray) -> bytes:
    """Return the compressed COCO counts of a mask.

    Args:
        mask: [H, W] bool.
    """
    from pycocotools import mask as coco

    return _as_bytes(coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"])


def compress(runs: np.ndarray) -> bytes:
    """Return the compressed COCO counts of run lengths [R] int64."""
    from pycocotools import mask as coco

    total = int(runs.sum())
    return _as_bytes(coco.frPyObjects({"counts": runs.tolist(), "size": [total, 1]}, total, 1)["counts"])


def _as_bytes(counts: bytes | str) -> bytes:
    return counts.encode("ascii") if isinstance(counts, str) else counts


def _decompress(counts: bytes) -> np.ndarray:
    """Numbers of 5 bits a character, low bits first, bit 6 for "goes on"; from the fourth on, differences by two."""
    characters = np.frombuffer(counts, dtype=np.uint8).astype(np.int64) - 48
    if len(characters) == 0 or characters.min() < 0 or characters.max() > 63:
        raise ValueError("the counts are not COCO's compressed text")
    last = np.flatnonzero(characters & 0x20 == 0)
    if len(last) == 0 or last[-1] != len(characters) - 1:
        raise ValueError("the counts are cut off")
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > MAX_CHARACTERS:
        raise ValueError("a run is too long")
    place = np.arange(len(characters)) - np.repeat(first, length)
    numbers = np.add.reduceat((characters & 0x1F) << (5 * place), first)
    numbers -= np.where(characters[last] & 0x10, 1 << (5 * length), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
