"""What commands that work on a selection have in common: the options that choose it, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trase_ns.console import console
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from trase_ns.editing.studio import Studio
    from trase_ns.plugin.opened import Opened
    from trase_ns.segmentation.clicks import Prompt, Selection


# Both `--click A B` and `--click A --click B` are understood.
Clicks = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="FRAME,X,Y")]
Objects = Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NUMBER|NAME")]


@dataclass(frozen=True)
class SelectionOptions:
    """Which Gaussians are meant."""

    selection: Path | None = None
    """File that `trase segment --output` saved. Default: the selection of the session, if there is one."""
    object: Objects = ()
    """Objects by their numbers or names, as `trase edit list` prints them."""
    click: Clicks = ()
    """Clicks on what is meant: a frame, and fractions of its width (to the right) and height (down)."""
    exclude: Clicks = ()
    """Clicks on what is not meant."""
    text: str | None = None
    """Words for what is meant, as "red book". Needs trase_ns[text] and downloads a network once."""
    text_engine: Literal["grounding-dino", "owlv2", "clip", "features"] = "grounding-dino"
    """What looks for the words: networks in rendered views, or the features of the scene if they were made of CLIP's
    maps."""
    text_checkpoint: Path | None = None
    """Folder with its weights. Default: the cache of huggingface_hub, else a download."""
    text_share: float = 0.5
    """Least share of support of what the words select."""
    granularity: Literal["auto", "coarse", "fine"] = "auto"
    """Of nested objects under a click take the largest (coarse) or the smallest (fine)."""
    similarity: float | None = None
    """Keep of each clicked object the Gaussians with at least this cosine to its mean feature. Default: keep all."""
    whole: bool = False
    """Take the whole scene, even if the session has a selection."""
    as_trained: bool = False
    """Leave the session aside: the scene without edits."""

    def check(self) -> None:
        """Raise a UserError where more than one way to choose was used; call it before the run is loaded."""
        ways = {
            "--selection": self.selection is not None,
            "--object": bool(self.object),
            "--click": bool(self.click or self.exclude),
            "--text": self.text is not None,
            "--whole": self.whole,
        }
        used = [way for way, given in ways.items() if given]
        if len(used) > 1:
            raise UserError(f"{' and '.join(used)} exclude each other: choose one way to say what is meant.")

    @property
    def named(self) -> bool:
        """Whether they say what is meant, other than by leaving it to the session."""
        return bool(self.selection or self.object or self.click or self.exclude or self.text is not None)


Options = Annotated[SelectionOptions, tyro.conf.arg(name="")]
"""`SelectionOptions` without a prefix on the command line."""


def choose(opened: Opened, studio: Studio, options: SelectionOptions) -> Tensor | None:
    """Return the Gaussians that `options` choose, bool [M] of the edited scene, or None for the whole scene.

    Raises:
        UserError: nothing is selected, or what was asked for does not exist.
    """
    found = find(opened, studio, options)
    if found is not None:
        mask = found.mask
    elif options.whole:
        return None
    else:
        mask = studio.selection()
        if mask is not None:
            console.print("taking the selection of the session (--whole takes all)", highlight=False)
        return mask
    mask = mask & ~studio.edits.hidden
    if not bool(mask.any()):
        raise UserError("nothing is selected. Click on an object, or take the whole scene with --whole.")
    return mask


def find(opened: Opened, studio: Studio, options: SelectionOptions) -> Selection | None:
    """Return what clicks, objects, words or a file select; None where the options use none of them.

    Raises:
        UserError: nothing is selected, or what was asked for does not exist.
    """
    if options.click or options.exclude:
        return _from_clicks(opened, studio, options)
    if options.object:
        return _from_objects(studio, [*chain(*options.object)])
    if options.text is not None:
        return _from_text(opened, studio, options)
    return None if options.selection is None else _from_file(studio, options.selection)


def describe(mask: Tensor | None, total: int) -> str:
    """Return a few words that say how much `mask` selects."""
    return f"the whole scene, {total:,} Gaussians" if mask is None else f"{int(mask.sum()):,} of {total:,} Gaussians"


def parse_click(opened: Opened, text: str, positive: bool = True, granularity: str = "auto") -> Prompt:
    """Turn FRAME,X,Y into a prompt.

    Args:
        opened: gives the frames.
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
            "Write FRAME,X,Y, as in image000009,0.41,0.22."
        )
    level = granularity if granularity in ("coarse", "fine") else None
    return to_prompt(opened, Click(frame, x, y, positive, level))


def object_number(studio: Studio, text: str) -> int:
    """Return the place in the list of an object that is named by its number or its name.

    Raises:
        UserError: there is no such object, or several have the name.
    """
    names = [entry.name for entry in studio.objects]
    if not names:
        raise UserError("there are no objects yet. Find them with `trase cluster`.")
    places = [number for number, name in enumerate(names) if name == text]
    if len(places) == 1:
        return places[0]
    if len(places) > 1:
        raise UserError(f"there are {len(places)} objects called {text!r}: name one by its number.")
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise UserError(f"there is no object {text!r}: numbers go from 0 to {len(names) - 1}; `trase edit list` has names.")


def _from_clicks(opened: Opened, studio: Studio, options: SelectionOptions) -> Selection:
    from trase_ns.segmentation.clicks import select

    prompts = [parse_click(opened, text, True, options.granularity) for text in chain(*options.click)]
    prompts += [parse_click(opened, text, False, options.granularity) for text in chain(*options.exclude)]
    scene = studio.scene()
    at = partial(studio.moments.at, scene)
    selection = select(scene, studio.segmentation(), prompts, options.similarity, at=at)
    for note in selection.notes:
        console.print(note, highlight=False, soft_wrap=True)
    return selection


def _from_objects(studio: Studio, objects: list[str]) -> Selection:
    import torch

    from trase_ns.segmentation.clicks import Selection

    numbers = [object_number(studio, text) for text in objects]
    return Selection(torch.stack([studio.edits.mask(number) for number in numbers]).any(dim=0), numbers)


def _from_text(opened: Opened, studio: Studio, options: SelectionOptions) -> Selection:
    from trase_ns.segmentation.text import select_by_text

    assert options.text is not None
    return select_by_text(
        studio.scene(),
        studio.segmentation(),
        opened.cameras,
        options.text,
        engine=options.text_engine,
        checkpoint=options.text_checkpoint,
        share=options.text_share,
        background=opened.background,
        space=studio.space(),
    )


def _from_file(studio: Studio, path: Path) -> Selection:
    import torch

    from trase_ns.segmentation.clicks import Selection
    from trase_ns.segmentation.selection_file import load_selection

    mask = torch.zeros_like(studio.edits.hidden)
    mask[: studio.edits.trained] = load_selection(path, studio.edits.trained)[0].to(mask.device)
    return Selection(mask, [])
