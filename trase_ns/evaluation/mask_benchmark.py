"""The Mask-Benchmark that TRASE's authors published: ground truth of one object a scene, without clicks.

    <scene>/gt_masks/00000.png    of the first held-out frame, 0 or 1; 00001.png of the second, and so on

Its own program numbers the held-out frames, because it compares pictures that it has rendered in that order. It keeps
no clicks: people made them. Here the one click of a scene follows from the masks, so that everyone makes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import FILE_NAME, Benchmark, BenchmarkObject, Click, read_mask

FOLDER = "gt_masks"


def is_mask_benchmark(directory: Path) -> bool:
    """Return whether a folder is a scene of the Mask-Benchmark; with a benchmark.json, clicks of its own, it is not."""
    return (Path(directory) / FOLDER).is_dir() and not (Path(directory) / FILE_NAME).exists()


def load_mask_benchmark(directory: Path, held_out: Sequence[str]) -> Benchmark:
    """Read a scene of the Mask-Benchmark as a benchmark of one object, named after the folder.

    The object is asked for by one click: the point furthest inside any of its masks, in that mask's frame.

    Args:
        directory: the scene's folder, which holds gt_masks.
        held_out: names of the held-out frames in the data set's order. A mask file may also bear a frame's name.

    Raises:
        UserError: there are no masks, one is unreadable or fits no frame or the frame of another, or all are empty.
    """
    folder = Path(directory) / FOLDER
    files = sorted(folder.glob("*.png"))
    if not files:
        raise UserError(f"there is no PNG in {folder}. Give a scene's folder of the Mask-Benchmark.")
    masks: dict[str, Path] = {}
    for file in files:
        name = _frame_of(file, held_out)
        if name in masks:
            raise UserError(f"{masks[name]} and {file.name} are both of frame {name!r}. Remove one.")
        masks[name] = file
    click = _click(masks)
    if click is None:
        raise UserError(f"all masks in {folder} are empty: there is no object to click.")
    directory = Path(directory)
    return Benchmark(directory, (BenchmarkObject(directory.resolve().name, (click,), masks),))


def _frame_of(file: Path, held_out: Sequence[str]) -> str:
    named = [name for name in held_out if file.stem in (name, name.rpartition("/")[2])]
    if len(named) == 1:
        return named[0]
    if file.stem.isdecimal() and int(file.stem) < len(held_out):
        return held_out[int(file.stem)]
    raise UserError(
        f"mask {file} fits none of the {len(held_out)} held-out frames. Name it after a frame or after its place among "
        "them, from 00000.png on, and train with the split of the benchmark."
    )


def _click(masks: dict[str, Path]) -> Click | None:
    """A click on the pixel furthest inside a mask, of all frames, by shares of the diagonal; None if all are empty."""
    from scipy.ndimage import distance_transform_edt

    best, click = 0.0, None
    for frame, file in masks.items():
        mask = read_mask(file)
        depth = np.asarray(distance_transform_edt(np.pad(mask, 1)))[1:-1, 1:-1] / np.hypot(*mask.shape)
        if depth.max() > best:
            y, x = np.unravel_index(depth.argmax(), mask.shape)
            best = float(depth.max())
            click = Click(frame, float(x + 0.5) / mask.shape[1], float(y + 0.5) / mask.shape[0])
    return click
