"""Undo and redo by what a step changed, never by copies of the scene."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trase_ns.editing.edits import COLUMNS, TABLES, Edits

LIMIT = 200  # steps


@dataclass(frozen=True, eq=False)
class Change:
    """The rows of a column that a step changed, and their values before and after."""

    rows: Tensor
    before: Tensor
    after: Tensor


@dataclass(frozen=True, eq=False)
class Difference:
    """What a step changed, enough to go either way.

    Attributes:
        label: what the step was, for people.
        columns: the changes of rows that were there before and after.
        tables: values of the tables and counts that changed, before and after.
        length: number of rows before and after.
        tail: the columns of rows that were there only before or only after.
    """

    label: str
    columns: dict[str, Change]
    tables: dict[str, tuple[Any, Any]]
    length: tuple[int, int]
    tail: dict[str, Tensor]

    @staticmethod
    def between(label: str, before: Edits, after: Edits) -> Difference:
        """Return what leads from `before` to `after`."""
        common = min(len(before), len(after))
        longer = before if len(before) > len(after) else after
        columns = {}
        for name in COLUMNS:
            old, new = getattr(before, name), getattr(after, name)
            if old is new:
                continue
            rows = (old[:common] != new[:common]).nonzero().flatten()
            if len(rows):
                columns[name] = Change(rows, old[rows], new[rows])
        tables = {
            name: (getattr(before, name), getattr(after, name))
            for name in TABLES
            if getattr(before, name) is not getattr(after, name)
        }
        tail = {}
        if len(before) != len(after):
            tail = {name: getattr(longer, name)[common:].clone() for name in COLUMNS}
        return Difference(label, columns, tables, (len(before), len(after)), tail)

    def apply(self, edits: Edits, back: bool = False) -> Edits:
        """Return `edits` after this step, or with `back` before it."""
        source, target = self.length[::-1] if back else self.length
        assert len(edits) == source
        columns = {}
        if target != source:
            for name in COLUMNS:
                column = getattr(edits, name)
                columns[name] = column[:target] if target < source else torch.cat([column, self.tail[name]])
        for name, change in self.columns.items():
            column = columns.get(name, getattr(edits, name)).clone()
            column[change.rows] = change.before if back else change.after
            columns[name] = column
        tables = {name: pair[0 if back else 1] for name, pair in self.tables.items()}
        return replace(edits, **columns, **tables)

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.columns or self.tables or self.tail)

    @property
    def nbytes(self) -> int:
        """Memory that the step holds in its columns."""
        tensors = [t for c in self.columns.values() for t in (c.rows, c.before, c.after)] + list(self.tail.values())
        return sum(t.nbytes for t in tensors)


class History:
    """The edited scene as it is, and the steps that led there.

    Args:
        edits: where the history starts.
        limit: number of steps that are kept.
    """

    def __init__(self, edits: Edits, limit: int = LIMIT):
        self.edits = edits
        self.limit = limit
        self.steps: list[Difference] = []
        self.position = 0

    def do(self, label: str, edits: Edits) -> bool:
        """Go to `edits`; steps that were undone are forgotten. Returns whether anything changed."""
        step = Difference.between(label, self.edits, edits)
        if not step:
            return False
        self.steps = [*self.steps[: self.position], step][-self.limit :]
        self.position = len(self.steps)
        self.edits = edits
        return True

    def undo(self) -> str | None:
        """Take the latest step back; returns its label, or None where there is none."""
        if not self.position:
            return None
        self.position -= 1
        step = self.steps[self.position]
        self.edits = step.apply(self.edits, back=True)
        return step.label

    def redo(self) -> str | None:
        """Do the step again that was taken back last; returns its label, or None where there is none."""
        if self.position == len(self.steps):
            return None
        step = self.steps[self.position]
        self.edits = step.apply(self.edits)
        self.position += 1
        return step.label

    def go(self, position: int) -> None:
        """Undo or redo until `position` steps are done, 0 ... len(steps)."""
        while self.position > max(position, 0):
            self.undo()
        while self.position < min(position, len(self.steps)):
            self.redo()

    @property
    def labels(self) -> list[str]:
        """What the steps were, those that were taken back among them."""
        return [step.label for step in self.steps]
