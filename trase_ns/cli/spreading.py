"""What `trase segment` does beyond clicks on objects: masks and strokes of one frame, diffusion, and prompts to SAM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trase_ns.cli.selection import SelectionOptions, find, parse_click
from trase_ns.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from trase_ns.editing.studio import Studio
    from trase_ns.plugin.opened import Opened
    from trase_ns.plugin.run import RunFrame
    from trase_ns.scene.gaussians import DynamicGaussians
    from trase_ns.segmentation.clicks import Selection
    from trase_ns.segmentation.spreading import Reference


@dataclass(frozen=True)
class SpreadOptions:
    """From marks in one frame to all of a thing."""

    mask: Path | None = None
    """Picture of the size of a frame, white on all that is meant there. It is a way of its own to say what is meant."""
    scribble: Path | None = None
    """Picture with white strokes on what is meant; needs --diffuse."""
    exclude_scribble: Path | None = None
    """Picture with white strokes on what is not meant."""
    frame: str | None = None
    """The frame that these pictures are of."""
    diffuse: bool = False
    """Spread what was clicked, scribbled or masked between near Gaussians with like features (LUDVIG); objects do not
    count then."""
    sam: Literal["off", "mobile", "vit_b", "vit_l", "vit_h"] = "off"
    """Draw the selection anew with SAM, prompted in several views by what is selected (LUDVIG)."""
    sam_checkpoint: Path | None = None
    """File with SAM's weights. Default: the cache (TRASE_CACHE), else a download into it."""
    sam_views: int = 12
    """Views to prompt in, of those of the data set."""

    @property
    def marks(self) -> bool:
        """Whether a picture says what is meant."""
        return self.mask is not None or self.scribble is not None

    def check(self, choice: SelectionOptions) -> None:
        """Raise a UserError where options do not go together; call it before the run is loaded."""
        pictures = {"--mask": self.mask, "--scribble": self.scribble, "--exclude-scribble": self.exclude_scribble}
        given = [option for option, path in pictures.items() if path is not None]
        if given and self.frame is None:
            raise UserError(f"{given[0]} needs the frame that it is of: add --frame NAME.")
        if self.frame is not None and not given:
            raise UserError("--frame is the frame of a picture: add --mask FILE or --scribble FILE.")
        if self.mask is not None and len(given) > 1:
            raise UserError("--mask and --scribble exclude each other: a mask shows all of the thing, strokes some.")
        if self.exclude_scribble is not None and self.scribble is None:
            raise UserError("--exclude-scribble goes with --scribble FILE, strokes on what is meant.")
        if self.scribble is not None and not self.diffuse:
            raise UserError("--scribble shows a part of the thing only: add --diffuse to find all of it.")
        if self.marks and choice.named:
            raise UserError(f"{given[0]} and other ways to say what is meant exclude each other.")
        if self.diffuse and not (self.marks or choice.click):
            raise UserError("--diffuse spreads clicks, strokes or a mask: add --click, --scribble or --mask.")
        if self.sam == "off" and self.sam_checkpoint is not None:
            raise UserError("--sam-checkpoint is for --sam: name the model, as in --sam mobile.")
        if self.sam_views < 1:
            raise UserError(f"--sam-views {self.sam_views}: use 1 or more.")
        for option, path in {**pictures, "--sam-checkpoint": self.sam_checkpoint}.items():
            if path is not None and not path.is_file():
                raise UserError(f"{option}: there is no file {path}.")


Spread = Annotated[SpreadOptions, tyro.conf.arg(name="")]
"""`SpreadOptions` without a prefix on the command line."""


def find_all(opened: Opened, studio: Studio, choice: SelectionOptions, options: SpreadOptions) -> Selection:
    """Return what `choice` and `options` select.

    Raises:
        UserError: nothing is selected, or what was asked for does not exist.
    """
    from trase_ns.segmentation.spreading import diffuse, select_inside

    references = _references(opened, choice, options)
    if not references:
        selection = find(opened, studio, choice)
        assert selection is not None
    else:
        selection = (diffuse if options.diffuse else select_inside)(studio.scene(), references)
    if options.sam != "off":
        selection = _prompted(opened, studio.scene(), selection.mask, options)
    if not len(selection):
        raise UserError("nothing is selected: mark more of what is meant.")
    return selection


def _references(opened: Opened, choice: SelectionOptions, options: SpreadOptions) -> list[Reference]:
    from trase_ns.segmentation.spreading import Reference, strokes

    if options.mask is not None:
        frame = opened.frame(options.frame or "")
        return [Reference.whole(frame.camera, _read(options.mask, frame))]
    if options.scribble is not None:
        frame = opened.frame(options.frame or "")
        inside = _read(options.scribble, frame)
        outside = inside & False if options.exclude_scribble is None else _read(options.exclude_scribble, frame)
        return [Reference(frame.camera, inside, outside & ~inside)]
    if not options.diffuse:
        return []
    marked: dict[str, tuple[list, list]] = {}
    for text, positive in [(t, True) for t in chain(*choice.click)] + [(t, False) for t in chain(*choice.exclude)]:
        prompt = parse_click(opened, text, positive)
        name = opened.frame(text.rsplit(",", 2)[0]).name
        marked.setdefault(name, ([], []))[0 if positive else 1].append((prompt.x, prompt.y))
    return [strokes(opened.frame(name).camera, *places) for name, places in marked.items()]


def _read(path: Path, frame: RunFrame) -> Tensor:
    """A picture of marks as the frame's camera sees it: [H, W] bool of the camera's size.

    Raises:
        UserError: it cannot be read, has another shape than the frame, or marks nothing.
    """
    import torch
    from torch.nn.functional import interpolate

    from trase_ns.evaluation.benchmark import read_mask
    from trase_ns.evaluation.frames import pinhole_mask
    from trase_ns.masks import MaskSet

    marks = read_mask(path)
    MaskSet.from_dense(frame.name, marks[None]).check_size(*frame.source_size, str(path))
    if not marks.any():
        raise UserError(f"{path} marks nothing: paint what you mean white.")
    straight = torch.from_numpy(pinhole_mask(marks, frame.source).copy())[None, None].float()
    camera = frame.camera
    small = interpolate(straight, (camera.height, camera.width), mode="area")[0, 0] >= 0.5
    if not small.any():  # fine strokes vanish when they are made smaller
        small = interpolate(straight, (camera.height, camera.width), mode="area")[0, 0] > 0
    return small


def _prompted(opened: Opened, scene: DynamicGaussians, mask: Tensor, options: SpreadOptions) -> Selection:
    """Draw the selection anew with SAM in some of the data set's frames."""
    from trase_ns.evaluation.frames import pinhole_picture
    from trase_ns.masks.points import load_point_segmenter
    from trase_ns.segmentation.spreading import refine_by_prompts

    if opened.run is None:
        raise UserError(f"--sam looks at the pictures of the data set, which {opened.path} has not: name the run.")
    frames = [frame for frame in opened.run.frames if frame.split == "train"]
    step = max(len(frames) / options.sam_views, 1.0)
    chosen = [frames[int((i + 0.5) * step)] for i in range(min(options.sam_views, len(frames)))]

    def picture(frame: RunFrame) -> np.ndarray:
        return pinhole_picture(frame.source, *frame.source_size)

    name = "mobile" if options.sam == "off" else options.sam
    segmenter = load_point_segmenter(name, options.sam_checkpoint, str(scene.device))
    views = [(frame.camera, partial(picture, frame)) for frame in chosen]
    return refine_by_prompts(scene, mask, views, segmenter)
