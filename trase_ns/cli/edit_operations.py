"""What `trase edit` can do: a small class for each operation, whose fields are its options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trase_ns.cli.selection import object_number
from trase_ns.console import console
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.editing.studio import Studio
    from trase_ns.plugin.opened import Opened

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Remove:
    """Remove the selection from every picture and export."""

    remains: bool = False
    """Also what only the selection hid: specks inside and behind it that no picture ever showed. Takes some seconds."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations, tools

        if self.remains:
            tools.remove_with_remains(studio, opened.cameras)
            console.print(studio.message, highlight=False)
        else:
            studio.edit("remove", operations.hide)


@dataclass(frozen=True)
class Isolate:
    """Hide everything but the selection."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        studio.edit("isolate", operations.isolate)


@dataclass(frozen=True)
class ShowAll:
    """Bring back everything that was removed or hidden."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        studio.show_all()


@dataclass(frozen=True)
class Recolor:
    """Give the selection another colour."""

    color: Annotated[Vector, tyro.conf.arg(metavar="R G B")]
    """Red, green and blue in [0, 1]."""
    strength: float = 1.0
    """Share of the new colour, in [0, 1]."""
    mode: Literal["tint", "replace"] = "tint"
    """A tint keeps light and dark."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        operation = partial(operations.recolor, color=self.color, strength=self.strength, mode=self.mode)
        studio.edit("recolour", operation)


@dataclass(frozen=True)
class Opacity:
    """Make the selection more transparent."""

    opacity: float
    """Factor for the trained opacity, in [0, 1]."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        studio.edit("opacity", partial(operations.fade, opacity=self.opacity))


@dataclass(frozen=True)
class Move:
    """Move, turn and resize the selection, at all times and on top of how it moves."""

    shift: Annotated[Vector, tyro.conf.arg(metavar="X Y Z")] = (0.0, 0.0, 0.0)
    """In units of the scene as trained."""
    turn: Annotated[Vector, tyro.conf.arg(metavar="X Y Z")] = (0.0, 0.0, 0.0)
    """Axis times angle in degrees: 0 0 90 is a quarter turn about z."""
    size: float = 1.0
    """Factor."""
    time: float = 0.0
    """Moment in [0, 1] at which the middle of the selection stays where it is when it turns and grows."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        _moment(self.time)
        operation = partial(operations.place, similarity=_similarity(self, studio.centre(self.time)))
        studio.edit("move", operation)


@dataclass(frozen=True)
class Duplicate:
    """Copy the selection; the copy is a new object and becomes the selection."""

    name: str = "copy"
    """What to call it."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        studio.edit("duplicate", partial(operations.duplicate, name=self.name))


@dataclass(frozen=True)
class Freeze:
    """Let the selection stand still."""

    time: float = 0.0
    """The moment in [0, 1] that it shows."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations
        from trase_ns.scene import clock

        studio.edit("stand still", partial(operations.retime, time_map=clock.frozen(_moment(self.time))))


@dataclass(frozen=True)
class Retime:
    """Give the selection another course of time, on top of the one that it has."""

    speed: float = 1.0
    """2 twice as fast, 0.5 half as fast, -1 backwards."""
    delay: float = 0.0
    """Later by this share of the whole time; earlier where it is negative."""
    outside: Literal["hold", "loop", "bounce"] = "hold"
    """What is shown beyond the ends of the recording."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        studio.edit("retime", partial(operations.retime, time_map=_time_map(self.speed, self.delay, self.outside)))


@dataclass(frozen=True)
class BringIn:
    """Put another scene into this one: a portable scene, a PLY or a .splat file. It becomes the selection."""

    path: Annotated[Path, tyro.conf.Positional]
    """The file."""
    name: str | None = None
    """What to call it. Default: as the file."""
    shift: Annotated[Vector, tyro.conf.arg(metavar="X Y Z")] = (0.0, 0.0, 0.0)
    """In units of this scene as trained."""
    turn: Annotated[Vector, tyro.conf.arg(metavar="X Y Z")] = (0.0, 0.0, 0.0)
    """Axis times angle in degrees, about the origin."""
    size: float = 1.0
    """Factor, about the origin."""
    speed: float = 1.0
    """2 twice as fast, 0.5 half as fast, -1 backwards."""
    delay: float = 0.0
    """Later by this share of the whole time."""
    outside: Literal["hold", "loop", "bounce"] = "hold"
    """What is shown beyond the ends of its recording."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        import torch

        from trase_ns.editing import operations
        from trase_ns.scene.reading import read_scene

        base = studio.scene()
        scene = read_scene(self.path).to(base.device)
        name = self.name or self.path.stem
        similarity = _similarity(self, torch.zeros(3))
        clock = _time_map(self.speed, self.delay, self.outside)
        studio.change(
            f"bring in {name}"[:100], lambda edits: operations.bring_in(edits, scene, name, similarity, clock)
        )


@dataclass(frozen=True)
class Style:
    """Give the selection the look of a picture."""

    picture: Annotated[Path, tyro.conf.Positional]
    """A PNG or JPEG file."""
    steps: int = 300
    """More take longer and follow the picture more closely."""
    colors: Literal["picture", "own"] = "picture"
    """The colours of the picture, or those that it has."""
    size: int = 256
    """Longest side of the picture in pixels: halve it to halve the strokes."""
    vgg_weights: Path | None = None
    """VGG16's weights. By default they are downloaded once."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.capture.images import read_picture
        from trase_ns.console import progress_bar
        from trase_ns.editing import operations
        from trase_ns.editing.style import StyleConfig, StyleTransfer

        mask = studio.selection()
        if mask is None:
            raise UserError("style: nothing is selected. Say what with --click or --object.")
        config = StyleConfig(
            steps=self.steps, colors=self.colors, picture_longest=self.size, vgg_weights=self.vgg_weights
        )
        picture = read_picture(self.picture)
        transfer = StyleTransfer(studio.scene(), mask, picture, list(opened.cameras), config)
        with progress_bar() as bar:
            task = bar.add_task("style", total=self.steps)
            harmonics = transfer.run(lambda done, total, loss: bar.update(task, completed=done, total=total))
        assert harmonics is not None
        studio.change("style", lambda edits: operations.restyle(edits, mask, harmonics))


@dataclass(frozen=True)
class Reset:
    """Take all edits of the selection back: place, time, colour, opacity and hiding."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        studio.edit("reset", operations.reset)


@dataclass(frozen=True)
class Rename:
    """Call an object by another name."""

    object: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NUMBER|NAME")]
    """The object."""
    name: Annotated[str, tyro.conf.Positional]
    """Its new name."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        number = object_number(studio, self.object)
        studio.change("rename", lambda edits: operations.rename(edits, number, self.name))


@dataclass(frozen=True)
class Merge:
    """Make one object of several."""

    objects: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NUMBER|NAME")]
    """The objects; the first gives name and colour."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import operations

        numbers = [object_number(studio, text) for text in self.objects]
        studio.change("merge", lambda edits: operations.merge(edits, numbers))


@dataclass(frozen=True)
class Split:
    """Make an object of the selection; what it is part of loses it."""

    name: str | None = None
    """What to call it."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        studio.split_selection(self.name)


@dataclass(frozen=True)
class Regroup:
    """Find the objects anew, coarser or finer, without training."""

    granularity: float
    """0 for few large objects, 1 for many small ones."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import tools

        tools.regroup(studio, self.granularity)


@dataclass(frozen=True)
class Grow:
    """Change the selection in space: grow or shrink it, or tidy its holes and specks; or grow it to what is like it."""

    how: Annotated[Literal["grow", "shrink", "tidy", "similar"], tyro.conf.Positional] = "grow"
    """What to do."""
    radius: float = 1.0
    """In usual distances between Gaussians."""
    similarity: float = 0.9
    """For "similar": least likeness."""
    time: float = 0.0
    """The moment in [0, 1] whose distances count."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from trase_ns.editing import tools

        time = _moment(self.time)
        if self.how == "similar":
            tools.grow_to_similar(studio, self.similarity, True, time)
        elif self.how == "tidy":
            tools.tidy(studio, time)
        else:
            (tools.grow if self.how == "grow" else tools.shrink)(studio, time, self.radius)


@dataclass(frozen=True)
class Undo:
    """Take steps back."""

    steps: int = 1
    """How many."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        for _ in range(max(self.steps, 1)):
            console.print(f"undone: {studio.undo()}", highlight=False)


@dataclass(frozen=True)
class Redo:
    """Do steps again that were taken back."""

    steps: int = 1
    """How many."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        for _ in range(max(self.steps, 1)):
            console.print(f"done again: {studio.redo()}", highlight=False)


@dataclass(frozen=True)
class List:
    """Print the objects and what was done."""

    def apply(self, studio: Studio, opened: Opened) -> None:
        """See the class."""
        from rich.table import Table

        table = Table("number", "object", "Gaussians", "support", "hidden")
        for number, entry in enumerate(studio.objects):
            hidden = "" if studio.visible(number) else "hidden"
            table.add_row(str(number), entry.name, f"{len(entry):,}", f"{entry.support:.2f}", hidden)
        console.print(table)
        for number, label in enumerate(studio.steps, 1):
            undone = " (undone)" if number > studio.position else ""
            console.print(f"{number:3d} {label}{undone}", highlight=False, markup=False)


Operation = (
    Annotated[Remove, tyro.conf.subcommand("remove")]
    | Annotated[Isolate, tyro.conf.subcommand("isolate")]
    | Annotated[ShowAll, tyro.conf.subcommand("show-all")]
    | Annotated[Recolor, tyro.conf.subcommand("recolor")]
    | Annotated[Opacity, tyro.conf.subcommand("opacity")]
    | Annotated[Move, tyro.conf.subcommand("move")]
    | Annotated[Duplicate, tyro.conf.subcommand("duplicate")]
    | Annotated[Freeze, tyro.conf.subcommand("freeze")]
    | Annotated[Retime, tyro.conf.subcommand("retime")]
    | Annotated[BringIn, tyro.conf.subcommand("bring-in")]
    | Annotated[Style, tyro.conf.subcommand("style")]
    | Annotated[Reset, tyro.conf.subcommand("reset")]
    | Annotated[Rename, tyro.conf.subcommand("rename")]
    | Annotated[Merge, tyro.conf.subcommand("merge")]
    | Annotated[Split, tyro.conf.subcommand("split")]
    | Annotated[Regroup, tyro.conf.subcommand("regroup")]
    | Annotated[Grow, tyro.conf.subcommand("grow")]
    | Annotated[Undo, tyro.conf.subcommand("undo")]
    | Annotated[Redo, tyro.conf.subcommand("redo")]
    | Annotated[List, tyro.conf.subcommand("list")]
)


def _moment(time: float) -> float:
    if not 0 <= time <= 1:
        raise UserError(f"--time {time:g}: times go from 0 (start) to 1 (end).")
    return time


def _time_map(speed: float, delay: float, outside: Literal["hold", "loop", "bounce"]):
    from trase_ns.scene.clock import TimeMap

    if not (math.isfinite(speed) and math.isfinite(delay)):
        raise UserError("speed and delay must be finite numbers.")
    start = 1.0 if speed < 0 else 0.0
    return TimeMap(speed, start - speed * delay, outside)


def _similarity(options: Move | BringIn, pivot):
    """The map that shift, turn and size say, about a pivot."""
    import torch
    from scipy.spatial.transform import Rotation

    from trase_ns.scene.similarity import Similarity

    numbers = [*options.shift, *options.turn, options.size]
    if not all(math.isfinite(number) for number in numbers) or options.size <= 0:
        raise UserError("shift and turn must be finite numbers, and the size more than 0.")
    rotation = Rotation.from_rotvec([math.radians(angle) for angle in options.turn]).as_matrix()
    return Similarity.about(pivot, torch.from_numpy(rotation), torch.tensor(options.shift), options.size)
