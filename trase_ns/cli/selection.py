"""What commands that work on a selection have in common: the options that choose it, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trase_ns.console import console
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from trase_ns.plugin.opened import Opened
    from trase_ns.plugin.run import Run
    from trase_ns.segmentation.clicks import Prompt


# Both `--click A B` and `--click A --click B` are understood.
Clicks = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FRAME,X,Y")]
Numbers = Annotated[tuple[tuple[int, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="ID")]


@dataclass(frozen=True)
class SelectionOptions:
    """Which Gaussians are meant."""

    selection: Path | None = None
    """File that `trase segment` saved. Default: selection.npz in the run's folder, if there is one."""
    object: Numbers = ()
    """Numbers of objects, as `trase segment` prints them."""
    click: Clicks = ()
    """Clicks on what is meant: a frame, and fractions of its width (to the right) and height (down)."""
    exclude: Clicks = ()
    """Clicks on what is not meant."""
    granularity: Literal["auto", "coarse", "fine"] = "auto"
    """Of nested objects under a click take the largest (coarse) or the smallest (fine)."""
    similarity: float | None = None
    """Keep of each clicked object the Gaussians with at least this cosine to its mean feature. Default: keep all."""
    whole: bool = False
    """Take the whole scene, even if there is a saved selection."""

    def check(self) -> None:
        """Raise a UserError where more than one way to choose was used; call it before the run is loaded."""
        ways = {
            "--selection": self.selection is not None,
            "--object": bool(self.object),
            "--click": bool(self.click or self.exclude),
            "--whole": self.whole,
        }
        used = [way for way, given in ways.items() if given]
        if len(used) > 1:
            raise UserError(f"{' and '.join(used)} exclude each other: choose one way to say what is meant.")


Options = Annotated[SelectionOptions, tyro.conf.arg(name="")]
"""`SelectionOptions` without a prefix on the command line."""


def choose(run: Run | Opened, options: SelectionOptions) -> Tensor | None:
    """Return the Gaussians that `options` choose, bool [N] on the run's device, or None for the whole scene.

    Raises:
        UserError: nothing is selected, or what was asked for does not exist.
    """
    if options.click or options.exclude:
        mask = _from_clicks(run, options)
    elif options.object:
        mask = _from_objects(run, [*chain(*options.object)])
    else:
        mask = None if options.whole else _from_file(run, options.selection)
    if mask is not None and not bool(mask.any()):
        raise UserError("nothing is selected. Click on an object, or take the whole scene with --whole.")
    return mask


def describe(mask: Tensor | None, total: int) -> str:
    """Return a few words that say how much `mask` selects."""
    return f"the whole scene, {total:,} Gaussians" if mask is None else f"{int(mask.sum()):,} of {total:,} Gaussians"


def parse_click(run: Run | Opened, text: str, positive: bool = True, granularity: str = "auto") -> Prompt:
    """Turn FRAME,X,Y into a prompt.

    Args:
        run: gives the frames.
        text: frame name, and fractions in [0, 1] of width (to the right) and height (down) of its picture.
        positive: whether the click asks for what it hits.
        granularity: "coarse", "fine" or "auto".

    Raises:
        UserError: the text is not of this form, the frame is unknown, or the click is outside of its picture.
    """
    from trase_ns.evaluation.benchmark import Click
    from trase_ns.evaluation.scoring import to_prompt

    frame, *numbers = text.rsplit(",", 2)
    try:
        x, y = (float(number) for number in numbers)
    except ValueError:
        raise UserError(f"click {text!r}: write FRAME,X,Y, as in image000009,0.41,0.22.") from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise UserError(
            f"click {text!r} is outside the picture: x and y are fractions of its width and height in [0, 1]. "
            "Divide pixels by the picture's size."
        )
    level = granularity if granularity in ("coarse", "fine") else None
    return to_prompt(run, Click(frame, x, y, positive, level))


def _from_clicks(run: Run | Opened, options: SelectionOptions) -> Tensor:
    from trase_ns.segmentation.clicks import select

    prompts = [parse_click(run, text, True, options.granularity) for text in chain(*options.click)]
    prompts += [parse_click(run, text, False, options.granularity) for text in chain(*options.exclude)]
    selection = select(run.scene, run.segmentation, prompts, options.similarity)
    for note in selection.notes:
        console.print(note, highlight=False)
    return selection.mask


def _from_objects(run: Run | Opened, objects: list[int]) -> Tensor:
    import torch

    if run.segmentation is None:
        raise UserError(f"{run.config_path}: this run has no objects yet. Find them with `trase cluster`.")
    count = len(run.segmentation)
    for number in objects:
        if not 0 <= number < count:
            raise UserError(f"--object {number}: the run has objects 0 to {count - 1}.")
    return torch.stack([run.segmentation.members(number) for number in objects]).any(dim=0)


def _from_file(run: Run | Opened, path: Path | None) -> Tensor | None:
    from trase_ns.segmentation.selection_file import FILE_NAME, load_selection

    if path is None:
        path = None if run.directory is None else run.directory / FILE_NAME
        if path is None or not path.exists():
            return None
        console.print(f"taking the selection saved in {path} (--whole takes all)", highlight=False)
    return load_selection(path, len(run.scene))[0].to(run.scene.device)
