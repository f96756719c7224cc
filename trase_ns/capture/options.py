"""What a reader of a data set may be asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadOptions:
    """How to read a data set; what a format has no use for is ignored.

    Attributes:
        time_from_order: take times from the order of the file names where a transforms file has none.
        eval_every: hold out every n-th frame where the data set names no splits.
        image_scale: read the pictures that were made smaller by this factor (`rgb/2x`, `images_2x`). None: 2 where
            there are any, else the largest.
        moments: of several cameras, the pictures numbered from the first up to, not including, the second.
    """

    time_from_order: bool = False
    eval_every: int = 8
    image_scale: int | None = None
    moments: tuple[int, int] | None = None

    def wants(self, moment: int) -> bool:
        """Whether the pictures of the number `moment` are asked for."""
        return self.moments is None or self.moments[0] <= moment < self.moments[1]
