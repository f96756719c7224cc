"""What a capture is: the posed frames of a video on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trase_ns.errors import UserError

SPLITS = ("train", "val", "test")


class Distortion(NamedTuple):
    """Lens distortion with OpenCV's coefficients; those of fisheye lenses are k1 to k4."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0


@dataclass(frozen=True)
class Frame:
    """One image with its camera and its moment.

    Attributes:
        name: path of the image below the common folder of all images, without suffix, '/' between folders
            ("image000001", "cam00/0001"); its masks carry the same name.
        image_path: the image file.
        c2w: [4, 4] float64, camera to world, OpenGL axes (x right, y up, z back), in the world of the file.
        fx, fy, cx, cy: intrinsics in pixels; the centre of the first pixel is at (0.5, 0.5).
        width, height: size of the image in pixels.
        time: moment in [0, 1].
        split: "train", "val" or "test".
        distortion: coefficients of the lens, None without distortion.
        fisheye: whether the lens is a fisheye (OpenCV's model), else a perspective one.
        more_splits: further splits in which the file lists the frame.
    """

    name: str
    image_path: Path
    c2w: np.ndarray
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    time: float
    split: str
    distortion: Distortion | None = None
    fisheye: bool = False
    more_splits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Capture:
    """A video with camera poses, as it lies on disk.

    Attributes:
        root: folder of the data set.
        frames: all frames, in the order of their file names.
        seed_points: [P, 3] float32 points of the scene in the world of the poses, None where there are none.
        seed_colors: [P, 3] uint8 colours of the points, None where they have none.
        bounds: nearest and farthest depth of the scene in the world of the poses, None where the data set has none.
    """

    root: Path
    frames: list[Frame]
    seed_points: np.ndarray | None = None
    seed_colors: np.ndarray | None = None
    bounds: tuple[float, float] | None = None

    def split(self, name: str) -> list[Frame]:
        """Return the frames of the split `name` ("train", "val" or "test").

        Where the file has no validation frames, these are the test frames, and the other way round.
        """
        if name not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {name!r}")
        chosen = [frame for frame in self.frames if name == frame.split or name in frame.more_splits]
        if not chosen and name != "train":
            other = "test" if name == "val" else "val"
            chosen = [frame for frame in self.frames if other == frame.split or other in frame.more_splits]
        return chosen

    def frame(self, name: str) -> Frame:
        """Return the frame called `name`, given with or without its image suffix and folder.

        Raises:
            UserError: no frame or more than one has this name.
        """
        exact = [frame for frame in self.frames if name in (frame.name, frame.name + frame.image_path.suffix)]
        loose = [frame for frame in self.frames if name in (frame.image_path.name, frame.image_path.stem)]
        found = exact or loose
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"frame {name!r} is not unique: write one of {', '.join(f.name for f in found[:5])}.")
        raise UserError(
            f"no frame is called {name!r} in {self.root}: its frames are {self.frames[0].name!r} to "
            f"{self.frames[-1].name!r}."
        )
