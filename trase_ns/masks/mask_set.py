"""All masks of a frame, run-length encoded: a few kilobytes where dense ones take megabytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trase_ns.errors import UserError
from trase_ns.masks.rle import encode, run_lengths


@dataclass(frozen=True, eq=False)
class MaskSet:
    """The masks of one frame; they may overlap and nest.

    Attributes:
        frame: name of the frame.
        height, width: size of the masks in pixels; it may be a scaled-down size of the image.
        rles: M compressed COCO counts, one for each mask.
        scores: [M] float32, quality of each mask as its source predicts it (1 where it does not).
    """

    frame: str
    height: int
    width: int
    rles: tuple[bytes, ...]
    scores: np.ndarray

    @staticmethod
    def from_dense(frame: str, masks: Iterable[np.ndarray], scores: Iterable[float] | None = None) -> MaskSet:
        """Encode masks; empty ones are left out.

        Args:
            frame: name of the frame.
            masks: at least one [H, W] bool array of one size, or [M, H, W] with M possibly 0.
            scores: one number for each mask; by default 1.

        Raises:
            ValueError: there is no mask to take the size from, or sizes differ.
        """
        shape = masks.shape[1:] if isinstance(masks, np.ndarray) and masks.ndim == 3 else None
        rles, kept = [], []
        for index, mask in enumerate(masks):
            mask = np.asarray(mask, dtype=bool)
            shape = mask.shape if shape is None else shape
            if mask.ndim != 2 or mask.shape != tuple(shape):
                raise ValueError(f"masks of {frame} differ in size: {mask.shape} and {tuple(shape)}")
            if mask.any():
                rles.append(encode(mask))
                kept.append(index)
        if shape is None:
            raise ValueError(f"no masks of {frame} to take the size from")
        values = np.ones(len(rles)) if scores is None else np.asarray(list(scores), dtype=float)[kept]
        return MaskSet(frame, int(shape[0]), int(shape[1]), tuple(rles), values.astype(np.float32))

    def __len__(self) -> int:
        return len(self.rles)

    @cached_property
    def runs(self) -> list[np.ndarray]:
        """Run lengths of each mask, M arrays [R] int64 (see `rle.run_lengths`)."""
        return [run_lengths(counts, self.height, self.width) for counts in self.rles]

    @cached_property
    def areas(self) -> np.ndarray:
        """[M] int64 number of pixels of each mask."""
        return np.array([runs[1::2].sum() for runs in self.runs], dtype=np.int64)

    def mask(self, index: int) -> np.ndarray:
        """Return one mask, [H, W] bool."""
        runs = self.runs[index]
        inside = np.arange(len(runs)) % 2 == 1
        return np.repeat(inside, runs).reshape(self.width, self.height).T

    def dense(self) -> np.ndarray:
        """Return all masks, [M, H, W] bool."""
        dense = np.zeros((len(self), self.height, self.width), dtype=bool)
        for index in range(len(self)):
            dense[index] = self.mask(index)
        return dense

    def resized(self, height: int, width: int) -> np.ndarray:
        """Return all masks at another size by the nearest pixel, [M, height, width] bool."""
        rows = ((np.arange(height) + 0.5) * self.height / height).astype(int)
        columns = ((np.arange(width) + 0.5) * self.width / width).astype(int)
        resized = np.zeros((len(self), height, width), dtype=bool)
        for index in range(len(self)):
            resized[index] = self.mask(index).T[columns][:, rows].T  # masks lie in memory column by column
        return resized

    def at(self, pixels: np.ndarray) -> np.ndarray:
        """Tell which masks cover which pixels, without decoding the masks.

        Args:
            pixels: [P, 2] whole numbers (x, y) in the masks' own resolution.

        Returns:
            [P, M] bool.

        Raises:
            ValueError: a pixel lies outside.
        """
        x, y = np.asarray(pixels, dtype=np.int64).reshape(-1, 2).T
        if ((x < 0) | (x >= self.width) | (y < 0) | (y >= self.height)).any():
            raise ValueError(f"pixels must lie inside {self.width} x {self.height}")
        place = x * self.height + y
        covered = np.zeros((len(x), len(self)), dtype=bool)
        for index, runs in enumerate(self.runs):
            covered[:, index] = np.searchsorted(np.cumsum(runs), place, side="right") % 2 == 1
        return covered

    def check_size(self, width: int, height: int, source: str) -> None:
        """Check that the masks have the image's size or a uniformly scaled-down one.

        Args:
            width, height: size of the frame's image in pixels.
            source: what the masks come from (a file), for the message.

        Raises:
            UserError: they have not.
        """
        # A scaled size is rounded, so each side leaves an interval for the scale; they must overlap.
        low = max((self.width - 1) / width, (self.height - 1) / height)
        high = min((self.width + 1) / width, (self.height + 1) / height)
        if self.width > width or self.height > height or low >= high:
            raise UserError(
                f"{source}: the masks of frame {self.frame} are {self.width} x {self.height} pixels, but its image is "
                f"{width} x {height}: give masks of the image's size or scaled down alike in both directions."
            )
