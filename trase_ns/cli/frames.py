"""`trase frames`: the videos of a rig as pictures."""

from __future__ import annotations

from pathlib import Path


def main(data: Path, downscale: int = 1, moments: tuple[int, int] | None = None) -> None:
    """Decode the videos of a data set with several cameras (Neu3D, Immersive) to pictures, once.

    Writes DATA/images/VIDEO/NUMBER.png, or images_2x for half the size, and so on. Pictures that are there are kept.

    Args:
        data: Folder of the videos.
        downscale: Make pictures smaller by this factor. The papers use 2.
        moments: Only the pictures numbered from the first up to, not including, the second, as in --moments 0 50.
    """
    from trase_ns.capture.videos import decode_videos

    print(f"wrote {decode_videos(data, downscale, moments)} pictures")
