"""Long series of runs, kept on disk in chunks, so that none is done twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import joblib

from analysis.storing import write_atomically
from sim.ensemble import run_many
from sim.runner import RunResult, RunSpec

S = TypeVar("S")
T = TypeVar("T")
CHUNK = 60  # runs kept at a time: a few seconds of work


def run_in_chunks(
    specs: Callable[[], Sequence[RunSpec]],
    runs: int,
    keep: Callable[[RunResult], T],
    folder: Path,
    jobs: int,
    advance: Callable[[int], None],
) -> list[T]:
    """Do runs, skipping what `folder` has already.

    Args:
        specs: Makes the runs; called only if any is missing.
        runs: Their number.
        keep: What is kept of a run.
        folder: Where chunks of finished runs are kept; named by all that the runs depend on.
        jobs: Processes.
        advance: Called with the number of runs finished since the last call.

    Returns:
        What was kept of each run, in order.
    """
    return in_chunks(
        specs, runs, lambda left: run_many(left, keep, jobs, batch=4), folder, advance, CHUNK
    )


def in_chunks(
    items: Callable[[], Sequence[S]],
    count: int,
    work: Callable[[Sequence[S]], Iterator[T]],
    folder: Path,
    advance: Callable[[int], None],
    size: int,
) -> list[T]:
    """Work through many items, skipping what `folder` has already.

    Args:
        items: Makes the items; called only if the result of any is missing.
        count: Their number.
        work: Does them, one after the other; gives what is kept of each.
        folder: Where chunks of results are kept; named by all that they depend on.
        advance: Called with the number of items finished since the last call.
        size: Items kept at a time.

    Returns:
        What was kept of each item, in order.
    """
    chunks = [range(a, min(a + size, count)) for a in range(0, count, size)]
    files = [folder / f"runs-{c.start:05d}.joblib" for c in chunks]
    begun = {f: _begun(f) for f in files if not f.exists()}
    missing = [(c, f) for c, f in zip(chunks, files, strict=True) if f in begun]
    advance(count - sum(len(c) - len(begun[f]) for c, f in missing))
    if missing:
        every = items()
        results = work([every[i] for c, f in missing for i in c[len(begun[f]) :]])
        for chunk, file in missing:
            _finish(file, begun[file], len(chunk), results, advance)
    return [row for file in files for row in joblib.load(file)]


def _finish(
    file: Path, rows: list[T], size: int, results: Iterator[T], advance: Callable[[int], None]
) -> None:
    """Fill a chunk and keep it; what there is of it when something goes wrong is kept, too."""
    try:
        while len(rows) < size:
            rows.append(next(results))
            advance(1)
    except BaseException:
        if rows:
            write_atomically(_part(file), lambda p: joblib.dump(rows, p))
        raise
    write_atomically(file, lambda p: joblib.dump(rows, p))
    _part(file).unlink(missing_ok=True)


def _begun(file: Path) -> list[Any]:
    """Return the runs of a chunk that an interruption left."""
    try:
        return list(joblib.load(_part(file)))
    except FileNotFoundError:
        return []


def _part(file: Path) -> Path:
    return file.with_suffix(".part")
