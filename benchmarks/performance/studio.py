"""Measures what a person at the panel waits for: from a click to the new picture, undo, edits, saving."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import torch

from benchmarks.performance.scenes import camera, fast_field, moving, paper_field
from benchmarks.performance.timing import Call
from trase_ns.cli.view import renderer
from trase_ns.editing import operations
from trase_ns.editing.apply import apply
from trase_ns.editing.session import SessionFolder
from trase_ns.editing.studio import Studio
from trase_ns.plugin.opened import Opened
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation
from trase_ns.viewer.playback import Playback

SIZE = 512, 384
MOVED = 4  # things, each by itself


def waits(quick: bool, device: str, folder: Path) -> Iterator[tuple[str, Call]]:
    """Yield what is measured, by name; `folder` is for sessions."""
    for gaussians in (2_000,) if quick else (20_000, 200_000):
        fast, slow = moving(gaussians, fast_field(), device), moving(gaussians, paper_field(), device)
        found = cells(fast)
        place = folder / str(gaussians)
        size = f"{gaussians:,} Gaussians"
        for kind, scene in (("shared motions", fast), ("the paper's MLP", slow)):
            same, new = Desk(scene, found), Desk(scene, found)
            yield f"click and new picture, the time unchanged ({size}, {kind})", same.click
            yield f"click and new picture, at a new time ({size}, {kind})", partial(new.click, new_time=True)
        edited = Desk(fast, found)
        edited.edit()
        yield f"click and new picture, {MOVED} things moved, one removed ({size})", edited.click
        undone = Desk(fast, found)
        undone.edit()
        yield f"undo and redo of a removal ({size})", undone.undo_and_redo
        copied = Desk(fast, found)
        copied.studio.select_object(0)
        copied.studio.edit("duplicate", operations.duplicate)
        yield f"undo and redo of a copy ({size})", copied.undo_and_redo
        yield f"the edited scene made, {MOVED} things moved ({size})", partial(apply, edited.studio.edits, fast)
        saved = Desk(fast, found, place)
        saved.edit()
        yield f"session saved ({size})", saved.studio.save


class Desk:
    """A scene being edited, and a picture of it, as `trase view` does both; after each step all is counted."""

    def __init__(self, scene: DynamicGaussians, found: Segmentation, folder: Path | None = None):
        session = None if folder is None else SessionFolder(folder, lambda: scene)
        self.studio = Studio(lambda: scene, lambda: found, folder=session)
        self.studio.subscribe(self._count)
        opened = Opened(scene, "benchmark", Path("benchmark"), [camera(*SIZE)], background=torch.zeros(3))
        self.render = renderer(opened, self.studio, Playback(self.studio.scene, self.studio.moments))
        self.number = count()

    def _count(self) -> None:
        self.studio.counts()

    def click(self, new_time: bool = False) -> None:
        """Click on what is not selected and look; taking the click back before that is counted, too."""
        number = next(self.number)
        if number:
            self.studio.undo()
        view = camera(*SIZE, time=0.25 + (number % 1000) * 5e-4 if new_time else 0.5)
        self.studio.click(view, SIZE[0] / 2, SIZE[1] / 2)
        self.render(view)

    def edit(self) -> None:
        """Move things, each to a place of its own, and remove one."""
        for number in range(MOVED):
            self.studio.select_object(number, "replace")
            shift = Similarity.about(torch.zeros(3), torch.eye(3), torch.tensor([0.1, 0.1 * number, 0.0]), 1.1)
            self.studio.edit("move", partial(operations.place, similarity=shift))
        self.studio.select_object(MOVED, "replace")
        self.studio.edit("remove", operations.hide)

    def undo_and_redo(self) -> None:
        """Take the latest step back, and do it again."""
        self.studio.undo()
        self.studio.redo()


def cells(scene: DynamicGaussians) -> Segmentation:
    """Return objects that lie beside each other, a third of the scene's unit wide."""
    labels = (scene.means * 3).floor().long() @ torch.tensor([1, 7, 49], device=scene.device)
    members = [labels == label for label in labels.unique()]
    return Segmentation.from_members(members, len(scene), features=scene.features).to(scene.device)
