"""A measured value, what is asked of it, and clocks that are fair to both sides."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import process_time
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Measure:
    """One result.

    Args:
        name: `benchmark.what`.
        value: What was measured.
        unit: Its unit; `ratio` for what is measured against something else in the same run.
        goal: What is asked of it, such as `>= 3`; None if it is only reported.
        holds: Whether it is met; True if nothing is asked.
    """

    name: str
    value: float
    unit: str
    goal: str | None = None
    holds: bool = True


def at_most(name: str, value: float, unit: str, limit: float) -> Measure:
    """Return a measure that must not exceed a limit."""
    return Measure(name, value, unit, f"<= {limit:,g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Measure:
    """Return a measure that must reach a limit."""
    return Measure(name, value, unit, f">= {limit:,g}", value >= limit)


def seconds(what: Callable[[], T], times: int = 1) -> tuple[float, T]:
    """Return the least processor time of some calls, and what the last one returned.

    The cycle collector rests, as it does in `sim.ensemble`.
    """
    best, result = float("inf"), None
    for _ in range(times):
        result = None
        with _no_collector():
            began = process_time()
            result = what()
            best = min(best, process_time() - began)
    return best, result  # type: ignore[return-value]


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def plain(measure: Measure) -> dict[str, Any]:
    """Return a measure as it is written to the results."""
    value = measure.value
    rounded = int(value) if float(value).is_integer() else float(f"{value:.4g}")
    return {
        "name": measure.name,
        "value": rounded,
        "unit": measure.unit,
        "goal": measure.goal,
        "holds": bool(measure.holds),
    }
