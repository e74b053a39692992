"""Function composition: an application is called by another one's results.

What ends in a window is known when the caller's window has been played, so a chain is played from
its head on, window by window: preprocess, infer, store.
"""

from __future__ import annotations

import numpy as np

from sim.errors import EngineError
from sim.plan.calls import Calls
from sim.plan.reader import CallReader, ColdStart, Duration
from sim.rng import Streams
from sim.units import IntArray


class ChainReader(CallReader):
    """Requests that are the results of another application.

    Args:
        horizon: Nothing arrives from then on, ticks.
        service: Computing time of a request.
        cold: Cold start; None if replicas are not started for requests.
        streams: Named streams.
        path: Path of the application in them.
    """

    def __init__(
        self, horizon: int, service: Duration, cold: ColdStart | None, streams: Streams, path: str
    ) -> None:
        """Wait for results."""
        super().__init__(horizon, service, cold, streams, path)
        self._results: list[IntArray] = []
        self._until = 0

    def push(self, ends: IntArray, until: int) -> None:
        """Take the results of a window of the caller.

        Args:
            ends: When requests end that began in it, in the order in which they began, ticks.
            until: Its end; results that the caller has not begun by then come later.
        """
        self._results.append(ends)
        self._until = until

    def _next_block(self) -> tuple[Calls, int]:
        """Turn the results into requests; durations are drawn in the order in which they began."""
        if self._until <= self._settled:
            raise EngineError("asked before its caller", "chain", "a window its caller has played")
        results = np.concatenate([np.empty(0, np.int64), *self._results])
        self._results = []
        return self._columns(results), self._until
