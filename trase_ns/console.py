"""What people see in a terminal: one console and one progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console

T = TypeVar("T")

console = Console(stderr=True)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` with a progress bar that shows count, elapsed time and an estimate.

    Args:
        items: what to iterate over.
        description: what is being done, in a few words.
        total: number of items where `items` has no length.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=not console.is_terminal) as progress:
        yield from progress.track(items, total=total, description=description)


def warn(message: str) -> None:
    """Print a warning on the terminal, on standard error."""
    console.print(f"[yellow]warning:[/yellow] {message}", highlight=False)
