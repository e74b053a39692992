"""Requests of applications that are written down, for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sim.plan.calls import Calls, part_of
from sim.plan.given import GivenReader
from sim.ticks import NEVER
from sim.units import IntArray


class Given(GivenReader):
    """A reader of requests that are written down; also of results, in the same order."""

    def results(self, count: int) -> Calls:
        """Return so many as results."""
        first, self._next = self._next, self._next + count
        found = part_of(self.given, slice(first, self._next))
        return found._replace(arrival=np.full(count, NEVER))


def in_turn(starts: Sequence[tuple[int, int, int]]) -> Callable[[int, int], IntArray]:
    """Return what gives how replicas start, from the beginning again when all were used."""
    table = np.array(starts, np.int64)
    return lambda first, count: table[np.arange(first, first + count) % len(table)]
