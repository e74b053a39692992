"""Long series of runs, kept on disk in chunks, so that none is done twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import joblib

from analysis.storing import write_atomically
from sim.ensemble import run_many
from sim.runner import RunResult, RunSpec

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
    chunks = [range(a, min(a + CHUNK, runs)) for a in range(0, runs, CHUNK)]
    files = [folder / f"runs-{c.start:05d}.joblib" for c in chunks]
    missing = [(c, f) for c, f in zip(chunks, files, strict=True) if not f.exists()]
    advance(runs - sum(len(c) for c, _ in missing))
    if missing:
        every = specs()
        results = run_many([every[i] for c, _ in missing for i in c], keep, jobs, batch=4)
        for chunk, file in missing:
            rows = []
            for _ in chunk:
                rows.append(next(results))
                advance(1)
            write_atomically(file, lambda p, done=rows: joblib.dump(done, p))  # type: ignore[misc]
    return [row for file in files for row in joblib.load(file)]
