"""Requests of a trace, replayed faster or slower and with more or fewer of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.applications import Recorded, Replay
from sim.plan.calls import Calls
from sim.plan.reader import CallReader, Work
from sim.rng import Streams
from sim.ticks import ticks
from sim.units import FloatArray


@dataclass(frozen=True, eq=False)
class Trace:
    """Requests of one application as they were observed.

    Args:
        arrival_s: When each came, from the beginning of the trace, ascending, s; shape (requests,).
        service_s: How long each computed, s, same shape; None if it was not observed.
        length_s: Length of the trace, s; not before the last arrival.
    """

    arrival_s: FloatArray
    service_s: FloatArray | None
    length_s: float


def trace_of(recorded: Recorded, streams: Streams, path: str) -> Trace:
    """Return a trace; requests that were only counted are spread over their minutes.

    Args:
        recorded: What was recorded.
        streams: Named streams.
        path: Path of the application in them.
    """
    if not recorded.per_minute:
        service = recorded.service_s
        return Trace(
            np.array(recorded.arrival_s, np.float64),
            None if service is None else np.array(service, np.float64),
            recorded.length_s,
        )
    counts = np.array(recorded.per_minute, np.int64)
    minutes = np.repeat(np.arange(len(counts)), counts)
    within = streams.stream(path, "trace").random(len(minutes))
    return Trace(np.sort(60.0 * (minutes + within)), None, recorded.length_s)


class TraceReader(CallReader):
    """Requests of a trace.

    Args:
        trace: What was observed.
        replay: How it is replayed.
        begin: When it begins, ticks.
        horizon: Nothing arrives from then on, ticks.
        work: What a request is; its computing time counts where the trace has none.
        streams: Named streams.
        path: Path of the application in them.
    """

    def __init__(
        self,
        trace: Trace,
        replay: Replay,
        begin: int,
        horizon: int,
        work: Work,
        streams: Streams,
        path: str,
    ) -> None:
        """Open the streams."""
        super().__init__(horizon, work, streams, path)
        self._trace, self._replay, self._begin = trace, replay, begin
        self._arrival = ticks(trace.arrival_s * replay.time_factor)
        self._length = int(ticks(trace.length_s * replay.time_factor, least=1))
        self._copies, self._later = (streams.stream(path, n) for n in ("copies", "later"))

    def _next_block(self) -> tuple[Calls, int]:
        """Play the trace once more."""
        volume, count = self._replay.volume, len(self._arrival)
        whole = int(volume)
        copies = whole + (self._copies.random(count) < volume - whole)
        first = np.cumsum(copies) - copies
        place = np.arange(int(copies.sum())) - np.repeat(first, copies)
        later = ticks(self._later.random(len(place)) * self._replay.spread_s)
        arrival = np.repeat(self._arrival, copies) + np.where(place > 0, later, 0) + self._begin
        block = self._columns(arrival)
        if self._trace.service_s is not None:
            observed = np.repeat(ticks(self._trace.service_s, least=1), copies)
            block = block._replace(service=observed)
        self._begin += self._length
        return block, self._begin if self._replay.repeat else self._horizon
