"""Requests that are written down, for experiments that know all of them beforehand."""

from __future__ import annotations

import numpy as np

from sim.errors import EngineError
from sim.plan.calls import Calls, part_of


class GivenReader:
    """Hands out requests that are given.

    Args:
        given: All of them, in order of arrival.
    """

    def __init__(self, given: Calls) -> None:
        """Begin with the first one."""
        self.given, self._next = given, 0

    def until(self, tick: int) -> Calls:
        """Return the requests that were not returned yet and arrive before `tick`."""
        first = self._next
        self._next = max(first, int(np.searchsorted(self.given.arrival, tick)))
        return part_of(self.given, slice(first, self._next))

    def results(self, count: int) -> Calls:
        """Return no requests: nobody's results are among those given.

        Raises:
            EngineError: Always, because whoever asks has put it behind another application.
        """
        raise EngineError(
            "is called by results", "given requests", "requests that come by themselves", count
        )
