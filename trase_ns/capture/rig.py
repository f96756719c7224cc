"""Several cameras at rest that film the same moments: their images, times and splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trase_ns.capture.frame import Distortion, Frame
from trase_ns.capture.images import image_size
from trase_ns.capture.names import images_in, trailing_number, with_names
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.seeds import read_seeds
from trase_ns.errors import UserError

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".MP4", ".MOV")


@dataclass(frozen=True)
class RigCamera:
    """One camera of a rig as its calibration has it.

    Attributes:
        name: of its video or its folder of images.
        c2w: [4, 4] float64, camera to world, OpenGL axes.
        fx, fy, cx, cy: intrinsics in pixels of a picture of width x height.
        distortion, fisheye: the lens, as in `Frame`.
    """

    name: str
    c2w: np.ndarray
    fx: float
    fy: float
    cx: float
    cy: float
    width: float
    height: float
    distortion: Distortion | None = None
    fisheye: bool = False


def videos_in(root: Path) -> list[Path]:
    """Return the video files of a folder, sorted by name."""
    return sorted(path for path in root.iterdir() if path.suffix in VIDEO_SUFFIXES and path.is_file())


def image_folder(root: Path, scale: int | None) -> Path | None:
    """Return the folder `images`, or `images_2x` (`images_2`) for pictures made smaller by 2; None where there is none.

    Args:
        root: of the data set.
        scale: the factor to look for; None takes 2 where there is such a folder, else the smallest factor.

    Raises:
        UserError: there is no folder of the factor that is asked for.
    """
    found: dict[int, Path] = {}
    for path in sorted(root.glob("images*")):
        factor = path.name[len("images") :].strip("_x") or "1"
        if path.is_dir() and factor.isdigit():
            found[int(factor)] = path
    if scale is not None and found:
        if scale not in found:
            raise UserError(f"{root} has no images_{scale}x: its factors are {', '.join(map(str, sorted(found)))}.")
        return found[scale]
    return found.get(2) or (found[min(found)] if found else None)


def camera_names(root: Path, scale: int | None, prefix: str) -> list[str]:
    """Return the names of a rig's cameras, sorted: its videos, else its folders of images, else the images' prefixes.

    Args:
        root: of the data set.
        scale: factor of the pictures, as in `image_folder`.
        prefix: what all names begin with.
    """
    names = {path.stem for path in videos_in(root)}
    images = image_folder(root, scale)
    if not names:
        for folder in (images, root):
            names |= {path.name for path in folder.iterdir() if path.is_dir()} if folder else set()
    names = {name for name in names if name.startswith(prefix)}
    if not names and images is not None:
        names = {path.stem.rpartition("_")[0] for path in images_in(images)}
    return sorted(name for name in names if name.startswith(prefix))


def camera_images(root: Path, camera: str, scale: int | None) -> dict[int, Path]:
    """Find the decoded pictures of a camera, by their numbers.

    They lie in `images/CAMERA/NUMBER.png`, `images/CAMERA_NUMBER.png`, `CAMERA/images/NUMBER.png` or
    `CAMERA/NUMBER.png`, with `images_2x` for `images` where they were made smaller.

    Raises:
        UserError: there are none, or their names do not end in numbers.
    """
    images = image_folder(root, scale)
    found: list[Path] = []
    if images is not None:
        found = images_in(images / camera) or [p for p in images_in(images) if p.stem.startswith(f"{camera}_")]
    found = found or images_in(root / camera / "images") or images_in(root / camera)
    if not found:
        if any(path.stem == camera for path in videos_in(root)):
            raise UserError(
                f"the pictures of {camera} are still in its video: decode all videos once with\n"
                f"    trase frames --data {root} --downscale 2"
            )
        raise UserError(f"{root} has no pictures of the camera {camera}: put them into {root / 'images' / camera}.")
    numbered: dict[int, Path] = {}
    for path in found:
        number = trailing_number(path)
        if number is None:
            raise UserError(f"image {path}: its name must end in the number of its moment, as in 0001.png; rename it.")
        if number in numbered:
            raise UserError(f"images {numbered[number]} and {path} are of the same moment: remove one.")
        numbered[number] = path
    return numbered


def rig_frames(
    root: Path, cameras: list[RigCamera], pictures: list[dict[int, Path]], options: ReadOptions
) -> list[Frame]:
    """Make the frames of a rig: times from the numbers of the pictures, the first camera held out.

    Args:
        root: of the data set.
        cameras: sorted by name.
        pictures: of each camera, by number.
        options: which moments.

    Returns:
        All frames, camera by camera; the first moment has time 0, the last 1.

    Raises:
        UserError: cameras have other moments than the first one, or there are too few cameras or moments.
    """
    if len(cameras) < 2:
        raise UserError(f"{root} has {len(cameras)} camera: two are needed, of which the first is held out.")
    first, last = options.moments or (0, max(pictures[0]) + 1)
    wanted = [{number: path for number, path in own.items() if options.wants(number)} for own in pictures]
    moments = sorted(wanted[0])
    if len(moments) < 2:
        raise UserError(
            f"{root}: {cameras[0].name} has {len(moments)} pictures numbered {first} to {last - 1}: at least two are "
            "needed; decode its video, or name other moments."
        )
    for camera, own in zip(cameras, wanted, strict=True):
        different = sorted(set(own) ^ set(moments))
        if different:
            raise UserError(
                f"{root}: {camera.name} has {len(own)} pictures and {cameras[0].name} {len(moments)}; number "
                f"{different[0]} is in only one of them: decode the videos anew, or choose moments that all have."
            )
    frames = []
    for index, (camera, own) in enumerate(zip(cameras, wanted, strict=True)):
        for moment in moments:
            time = (moment - moments[0]) / (moments[-1] - moments[0])
            frames.append(_frame(camera, own[moment], time, "train" if index else "test"))
    return with_names(frames)


def rig_seeds(root: Path) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Read `points3d.ply` beside a raw rig, unless it belongs to the other world of a transforms_train.json."""
    path = root / "points3d.ply"
    if not path.is_file() or (root / "transforms_train.json").is_file():
        return None, None
    return read_seeds(path)


def _frame(camera: RigCamera, path: Path, time: float, split: str) -> Frame:
    width, height = image_size(path)
    if abs(height - camera.height * width / camera.width) > 1:
        raise UserError(
            f"image {path} is {width} x {height} pixels, but {camera.name} is calibrated for {camera.width:g} x "
            f"{camera.height:g}, another shape: restore the image."
        )
    x, y = width / camera.width, height / camera.height
    return Frame(
        name="",
        image_path=path,
        c2w=camera.c2w,
        fx=camera.fx * x,
        fy=camera.fy * y,
        cx=camera.cx * x,
        cy=camera.cy * y,
        width=width,
        height=height,
        time=time,
        split=split,
        distortion=camera.distortion,
        fisheye=camera.fisheye,
    )
