"""Progress on stderr for people, nothing for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from analysis.stopping import stop_if_asked

STDERR = Console(stderr=True)
WIDE = 120  # columns of tables that go to a file or a pipe


class Results(Console):
    """A console whose reader may go away (`| head`), which is for the command line to handle."""

    def on_broken_pipe(self) -> None:
        """Hand the error on; rich would exit with code 1."""
        raise BrokenPipeError


def stdout() -> Console:
    """Return a console for results: as wide as the terminal, or `WIDE` columns without one."""
    console = Results()
    return console if console.is_terminal else Results(width=WIDE)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar while the block runs; yields a function that advances it.

    Without a total it counts. Nothing is shown when stderr is no terminal. To advance is also where
    work stops after a signal whose exception got lost.
    """
    if not sys.stderr.isatty():
        yield lambda _: stop_if_asked()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STDERR) as bar:
        task = bar.add_task(what, total=total)

        def advance(count: int) -> None:
            bar.advance(task, count)
            stop_if_asked()

        yield advance


def say(text: str) -> None:
    """Print a line for the user on stderr."""
    STDERR.print(text, markup=False, highlight=False, soft_wrap=True)
