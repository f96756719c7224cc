"""What people see in a terminal: one console and one progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

console = Console(stderr=True)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` with a progress bar that shows count, elapsed time and an estimate.

    Args:
        items: what to iterate over.
        description: what is being done, in a few words.
        total: number of items where `items` has no length.
    """
    with progress_bar() as progress:
        yield from progress.track(items, total=total, description=description)


def progress_bar() -> Progress:
    """Return a progress bar with count, elapsed time and an estimate, to be used as a context manager."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=not console.is_terminal)


def warn(message: str) -> None:
    """Print a warning on the terminal, on standard error."""
    console.print(f"[yellow]warning:[/yellow] {escape(message)}", highlight=False)
