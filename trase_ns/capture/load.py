"""Read a data set: what lies in the folder says which reader it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from trase_ns.capture.dycheck import is_dycheck, read_dycheck
from trase_ns.capture.frame import Capture
from trase_ns.capture.immersive import read_immersive
from trase_ns.capture.llff import read_llff
from trase_ns.capture.multiview import is_multiview, read_multiview
from trase_ns.capture.nerfies import is_nerfies, read_hypernerf, read_nerfies
from trase_ns.capture.neu3d import is_neu3d, read_neu3d
from trase_ns.capture.options import ReadOptions
from trase_ns.capture.rig import VIDEO_SUFFIXES
from trase_ns.capture.technicolor import read_technicolor
from trase_ns.capture.transforms import read_dnerf, read_nerfstudio
from trase_ns.errors import UserError

Format = Literal[
    "auto",
    "nerfstudio",
    "dnerf",
    "multiview",
    "nerfies",
    "hypernerf",
    "dycheck",
    "immersive",
    "technicolor",
    "neu3d",
    "llff",
]

READERS: dict[str, Callable[[Path, ReadOptions], Capture]] = {
    "nerfstudio": read_nerfstudio,
    "dnerf": read_dnerf,
    "multiview": read_multiview,
    "nerfies": read_nerfies,
    "hypernerf": read_hypernerf,
    "dycheck": read_dycheck,
    "immersive": read_immersive,
    "technicolor": read_technicolor,
    "neu3d": read_neu3d,
    "llff": read_llff,
}

# In this order: what was converted to a transforms file comes before the raw files beside it.
_SIGNS: tuple[tuple[str, Callable[[Path], bool]], ...] = (
    ("nerfstudio", lambda root: (root / "transforms.json").is_file()),
    ("dycheck", is_dycheck),
    ("nerfies", is_nerfies),
    ("multiview", is_multiview),
    ("dnerf", lambda root: (root / "transforms_train.json").is_file()),
    ("immersive", lambda root: (root / "models.json").is_file()),
    ("technicolor", lambda root: (root / "cameras_parameters.txt").is_file()),
    ("neu3d", is_neu3d),
    ("llff", lambda root: (root / "poses_bounds.npy").is_file()),
)


def load_capture(
    root: Path | str,
    time_from_order: bool = False,
    eval_every: int = 8,
    format: Format = "auto",
    image_scale: int | None = None,
    moments: tuple[int, int] | None = None,
) -> Capture:
    """Read and check a data set; images are looked at (their size), not decoded.

    Args:
        root: folder of the data set, or its transforms.json.
        time_from_order: take the times of a transforms file from the order of file names instead (first 0, last 1),
            in each folder for itself where several folders (cameras) hold several images each.
        eval_every: where the data set names no splits, every so many-th frame in the order of file names, from the
            first on, is held out as a test frame.
        format: which reader; "auto" decides by the files in the folder.
        image_scale: read pictures that were made smaller by this factor (`rgb/2x`, `images_2x`), where a format has
            them. Default: 2 where there are any, else the largest.
        moments: read only the pictures of several cameras numbered from the first up to, not including, the second.

    Raises:
        UserError: anything that is missing or wrong, with the file or frame and what to do.
    """
    if eval_every < 2:
        raise UserError(f"eval-every must be 2 or more, but is {eval_every}: 8 holds out every 8th frame.")
    if image_scale is not None and image_scale < 1:
        raise UserError(f"image-scale must be 1 or more, but is {image_scale}: 2 reads pictures of half the size.")
    if moments is not None and not 0 <= moments[0] < moments[1]:
        raise UserError(f"moments must be two numbers such as 0 50, but are {moments[0]} {moments[1]}.")
    root = Path(root)
    if not root.exists():
        raise UserError(f"the data set {root} does not exist: check the path.")
    options = ReadOptions(time_from_order, eval_every, image_scale, moments)
    if root.is_file():
        if root.suffix in VIDEO_SUFFIXES:
            raise UserError(_no_poses(root))
        capture = read_nerfstudio(root.parent, options, root.name)
    else:
        capture = READERS[_detect(root) if format == "auto" else format](root, options)
    for split in ("train", "test"):
        if not capture.split(split):
            raise UserError(
                f"{capture.root} has no {split} frames: list some in its file ({len(capture.frames)} frames in all)."
            )
    return capture


def _detect(root: Path) -> str:
    for name, sign in _SIGNS:
        if sign(root):
            return name
    videos = [path for path in root.iterdir() if path.suffix in VIDEO_SUFFIXES]
    if len(videos) == 1:
        raise UserError(_no_poses(videos[0]))
    raise UserError(
        f"{root} has no transforms.json (Nerfstudio) and no transforms_train.json (D-NeRF), nor the files of another "
        "known data set: make one with ns-process-data, or pass the folder that holds it."
    )


def _no_poses(video: Path) -> str:
    return (
        f"{video} is a video without camera poses. Find them first:\n"
        f"    ns-process-data video --data {video} --output-dir {video.with_suffix('')}\n"
        f"and pass {video.with_suffix('')} with times from the order of its frames "
        "(for ns-train: --pipeline.datamanager.dataparser.time-from-order True)."
    )
