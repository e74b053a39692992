"""Requests of applications that are written down, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.plan.calls import Calls, part_of
from sim.ticks import NEVER
from sim.units import IntArray


class Given:
    """A reader of requests that are written down; also of results, in the same order."""

    def __init__(self, asked: Calls) -> None:
        """Store them."""
        self.asked = asked

    def until(self, tick: int) -> Calls:
        """Return those that come before `tick`."""
        return self._next(int(np.searchsorted(self.asked.arrival, tick)))

    def results(self, count: int) -> Calls:
        """Return so many as results."""
        found = self._next(count)
        return found._replace(arrival=np.full(count, NEVER))

    def _next(self, count: int) -> Calls:
        found = part_of(self.asked, slice(count))
        self.asked = part_of(self.asked, slice(count, None))
        return found


def in_turn(starts: Sequence[tuple[int, int, int]]) -> Callable[[int, int], IntArray]:
    """Return what gives how replicas start, from the beginning again when all were used."""
    table = np.array(starts, np.int64)
    return lambda first, count: table[np.arange(first, first + count) % len(table)]
