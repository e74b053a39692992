"""Many runs, on the processes of this machine or on whatever backend joblib is told to use."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from joblib import Parallel, delayed

from sim.errors import EngineError
from sim.runner import RunResult, RunSpec, run_once

S = TypeVar("S")
T = TypeVar("T")
# bytes; read by glibc when a worker starts: arrays of a run come from memory that the last one
# left, instead of fresh pages from the system each time (a thirtieth of a run)
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**30}


def run_many(
    specs: Sequence[RunSpec],
    reduce: Callable[[RunResult], T],
    jobs: int = 1,
    batch: int = 1,
) -> Iterator[T]:
    """Run specifications and give what `reduce` keeps of each, in their order.

    Args:
        specs: The runs.
        reduce: What is kept of a result; runs in the worker, must be picklable.
        jobs: Number of processes, -1 for all cores; other joblib backends are chosen with
            `joblib.parallel_config` around the call.
        batch: Runs handed to a worker at a time.

    Returns:
        The reduced results, one after the other; errors as `in_order` has them.
    """
    return in_order(partial(_run, reduce), specs, jobs, batch)


def in_order(
    work: Callable[[S], T], items: Iterable[S], jobs: int = 1, batch: int = 1
) -> Iterator[T]:
    """Do some work for each of many items and yield what comes of it, in their order.

    Args:
        work: What is done with an item; runs in a worker, must be picklable.
        items: The items, picklable; may be made on the way.
        jobs: Number of processes, as in `run_many`.
        batch: Items handed to a worker at a time.

    Yields:
        What `work` returned; its errors are raised here, with their reason.

    Raises:
        EngineError: When a worker process ended (killed, out of memory); nobody waits for the rest.
    """
    for name, size in _KEEP_MEMORY.items():
        os.environ.setdefault(name, str(size))
    parallel = Parallel(n_jobs=jobs, return_as="generator", batch_size=batch)
    try:
        yield from parallel(delayed(_undisturbed)(work, item) for item in items)
    except BrokenProcessPool as error:
        raise EngineError(
            "a worker process ended", "parallel runs", "enough memory for all; fewer jobs need less"
        ) from error


def _run(reduce: Callable[[RunResult], T], spec: RunSpec) -> T:
    return reduce(run_once(spec))


def _undisturbed(work: Callable[[S], T], item: S) -> T:
    with _without_collector():
        return work(item)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the cycle collector from walking through a run's living objects again and again.

    Saves about a sixth of a run. A run leaves next to nothing in cycles, so that what it held is
    given back without the collector, too.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
