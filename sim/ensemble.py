"""Many runs, on the processes of this machine or on whatever backend joblib is told to use."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from joblib import Parallel, delayed

from sim.errors import EngineError
from sim.runner import RunResult, RunSpec, run_once

T = TypeVar("T")


def run_many(
    specs: Sequence[RunSpec],
    reduce: Callable[[RunResult], T],
    jobs: int = 1,
    batch: int = 1,
) -> Iterator[T]:
    """Run specifications and yield what `reduce` keeps of each, in their order.

    Args:
        specs: The runs.
        reduce: What is kept of a result; runs in the worker, must be picklable.
        jobs: Number of processes, -1 for all cores; other joblib backends are chosen with
            `joblib.parallel_config` around the call.
        batch: Runs handed to a worker at a time.

    Yields:
        The reduced results; an error in a run is raised here, with its reason.

    Raises:
        EngineError: When a worker process ended (killed, out of memory); nobody waits for the rest.
    """
    parallel = Parallel(n_jobs=jobs, return_as="generator", batch_size=batch)
    try:
        yield from parallel(delayed(_run)(spec, reduce) for spec in specs)
    except BrokenProcessPool as error:
        raise EngineError(
            "a worker process ended", "parallel runs", "enough memory for all; fewer jobs need less"
        ) from error


def _run(spec: RunSpec, reduce: Callable[[RunResult], T]) -> T:
    with _without_collector():
        return reduce(run_once(spec))


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
