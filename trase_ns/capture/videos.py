"""Videos of a rig, decoded to numbered pictures once."""

from __future__ import annotations

from pathlib import Path

from trase_ns.capture.rig import videos_in
from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.files import atomic_write


def decode_videos(root: Path, downscale: int = 1, moments: tuple[int, int] | None = None) -> int:
    """Write the pictures of all videos in `root` to `images/VIDEO/NUMBER.png` (`images_2x` for half the size, ...).

    Pictures that are there already are kept, so that a stopped run goes on where it was.

    Args:
        root: folder of the videos.
        downscale: factor by which pictures are made smaller, averaging.
        moments: first number and the one after the last. Default: all.

    Returns:
        The number of pictures that were written.

    Raises:
        UserError: there are no videos, or one cannot be read or is too short for `moments`.
    """
    if not root.is_dir():
        raise UserError(f"the data set {root} does not exist: check the path.")
    if downscale < 1:
        raise UserError(f"downscale must be 1 or more, but is {downscale}.")
    if moments is not None and not 0 <= moments[0] < moments[1]:
        raise UserError(f"moments must be two numbers such as 0 50, but are {moments[0]} {moments[1]}.")
    videos = videos_in(root)
    if not videos:
        raise UserError(f"{root} has no videos (.mp4, .mov, .avi, .mkv): pass the folder that holds them.")
    folder = root / ("images" if downscale == 1 else f"images_{downscale}x")
    return sum(_decode(video, folder / video.stem, downscale, moments) for video in track(videos, "decoding videos"))


def _decode(video: Path, folder: Path, downscale: int, moments: tuple[int, int] | None) -> int:
    import cv2

    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise UserError(f"video {video} cannot be read: download it again.")
    written = number = 0
    first, last = moments or (0, None)
    try:
        while last is None or number < last:
            if not capture.grab():
                break
            path = folder / f"{number:04d}.png"
            if number >= first and not path.exists():
                read, picture = capture.retrieve()
                if not read:
                    raise UserError(f"video {video}: picture {number} cannot be decoded: download it again.")
                if downscale > 1:
                    size = (picture.shape[1] // downscale, picture.shape[0] // downscale)
                    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
                with atomic_write(path) as temporary:
                    cv2.imwrite(str(temporary), picture)
                written += 1
            number += 1
    finally:
        capture.release()
    if number == 0 or (last is not None and number < last):
        raise UserError(f"video {video} has {number} pictures, too few: download it again, or name other moments.")
    return written
