"""One application through its windows: what waits is carried over, arrays grow when they must."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.serving import keepalive
from sim.serving.keepalive import KeepAlive
from sim.serving.requests import Requests, joined, part_of, requests
from sim.serving.state import (
    ACTIVE,
    ALLOCATED,
    BUSY,
    FIRST,
    IDLE,
    NEXT,
    ROWS,
    WAITING,
    Nodes,
    Rows,
    fresh_state,
    grown,
)
from sim.units import IntArray


@dataclass(frozen=True, eq=False)
class Window:
    """What happened to an application in a window; times in ticks.

    Args:
        arrival: Of each request that began, gave up or was turned away; shape (rows,).
        begin: When it began to compute (may lie behind the window), or was given up.
        end: When it ends, or was given up.
        outcome: See `Outcome`.
        allocated: Replica ticks within the window.
        active: Computing ticks within the window.
        replicas: Replicas at its end.
        waiting: Requests that wait at its end.
    """

    arrival: IntArray
    begin: IntArray
    end: IntArray
    outcome: IntArray
    allocated: int
    active: int
    replicas: int
    waiting: int


class KeepAlivePool:
    """The replicas of one application, window after window.

    Args:
        pool: Parameters.
        now: Begin of the first window, ticks.
    """

    def __init__(self, pool: KeepAlive, now: int = 0) -> None:
        """Start without replicas."""
        self.pool, self.now = pool, now
        self._state = fresh_state()
        self._waiting = requests(np.empty(0), 0.0)

    def serve(self, arrivals: Requests, until: int, nodes: Nodes) -> Window:
        """Play the window from where the last one ended.

        Args:
            arrivals: Requests that arrive in it, in order.
            until: Its end, ticks.
            nodes: What there is room for; counts and times are updated in place.

        Returns:
            What happened.

        Raises:
            ValueError: When arrivals are out of order or outside the window.
        """
        _check(arrivals, self.now, until)
        line = len(self._waiting.arrival)
        asked = joined([self._waiting, arrivals]) if line else arrivals
        counters = self._state.counters
        counters[NEXT], counters[FIRST], counters[WAITING] = line, 0, line
        size = len(asked.arrival)
        columns = [np.empty(size, np.int64) for _ in range(4)]
        rows = Rows._make([*columns, np.zeros(size, np.int8)])
        keepalive.begin_window(self._state, nodes, self.pool, self.now, until)
        while not keepalive.serve_waiting(self._state, nodes, asked, rows, self.pool, self.now):
            self._state = grown(self._state)
        while not keepalive.play_window(self._state, nodes, asked, rows, self.pool):
            self._state = grown(self._state)
        self.now = until
        return self._close(asked, rows)

    def _close(self, asked: Requests, rows: Rows) -> Window:
        counters = self._state.counters
        first, waiting = int(counters[FIRST]), int(counters[WAITING])
        line = np.flatnonzero(rows.rejected[first:] == 0) + first if waiting else slice(0)
        self._waiting = part_of(asked, line)
        done = slice(int(counters[ROWS]))
        return Window(
            asked.arrival[rows.request[done]],
            rows.begin[done],
            rows.end[done],
            rows.outcome[done],
            int(counters[ALLOCATED]),
            int(counters[ACTIVE]),
            int(counters[BUSY] + counters[IDLE]),
            waiting,
        )


def _check(arrivals: Requests, now: int, until: int) -> None:
    times = arrivals.arrival
    if until < now:
        raise ValueError(f"a window cannot end at {until}, before it begins at {now}")
    if len(times) and not (now <= times[0] and times[-1] < until and (np.diff(times) >= 0).all()):
        raise ValueError(f"arrivals must ascend within [{now}, {until})")
