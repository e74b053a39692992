"""One application through its windows: what waits is carried over, arrays grow when they must."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.plan.calls import Calls, calls, joined, part_of
from sim.serving import autoscaled, keepalive
from sim.serving.keepalive import KeepAlive
from sim.serving.scaled_state import (
    GIVEN,
    LEAVING,
    LIVING,
    STARTED,
    TO_START,
    UNUSED,
    Starts,
    fresh_scaled_state,
    grown_scaled,
)
from sim.serving.scaling import Autoscaler
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

DrawStarts = Callable[[int], Starts]  # how replicas start, from a number on; at least one


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
        waiting: Calls that wait at its end.
    """

    arrival: IntArray
    begin: IntArray
    end: IntArray
    outcome: IntArray
    allocated: int
    active: int
    replicas: int
    waiting: int


class Pool(ABC):
    """The replicas of one application, window after window.

    Args:
        now: Begin of the first window, ticks.
    """

    def __init__(self, now: int) -> None:
        """Start with nobody waiting."""
        self.now = now
        self._waiting = calls(np.empty(0), 0.0)

    def serve(self, arrivals: Calls, until: int, nodes: Nodes) -> Window:
        """Play the window from where the last one ended.

        Args:
            arrivals: Calls that arrive in it, in order.
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
        counters = self._counters()
        counters[NEXT], counters[FIRST], counters[WAITING] = line, 0, line
        size = len(asked.arrival)
        columns = [np.empty(size, np.int64) for _ in range(4)]
        rows = Rows._make([*columns, np.zeros(size, np.int8)])
        self._play(asked, rows, until, nodes)
        self.now = until
        return self._close(asked, rows)

    @property
    @abstractmethod
    def asleep(self) -> bool:
        """Whether nothing happens until the next request: no replica, nobody waits."""

    def skip(self, until: int) -> Window:
        """Pass a window without requests while asleep."""
        self.now = until
        nothing = np.empty(0, np.int64)
        return Window(nothing, nothing, nothing, nothing, 0, 0, 0, 0)

    def _close(self, asked: Calls, rows: Rows) -> Window:
        counters = self._counters()
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
            self._replicas(),
            waiting,
        )

    @abstractmethod
    def _counters(self) -> IntArray:
        """Return the counters of the state as it is now."""

    @abstractmethod
    def _play(self, asked: Calls, rows: Rows, until: int, nodes: Nodes) -> None:
        """Play a window; requests that waited come first in `asked`."""

    @abstractmethod
    def _replicas(self) -> int:
        """Return how many replicas there are."""


class KeepAlivePool(Pool):
    """A keep-alive pool.

    Args:
        pool: Parameters.
        now: Begin of the first window, ticks.
    """

    def __init__(self, pool: KeepAlive, now: int = 0) -> None:
        """Start without replicas."""
        super().__init__(now)
        self.pool, self._state = pool, fresh_state()

    def _counters(self) -> IntArray:
        return self._state.counters

    def _play(self, asked: Calls, rows: Rows, until: int, nodes: Nodes) -> None:
        keepalive.begin_window(self._state, nodes, self.pool, self.now, until)
        while not keepalive.serve_waiting(self._state, nodes, asked, rows, self.pool, self.now):
            self._state = grown(self._state)
        while not keepalive.play_window(self._state, nodes, asked, rows, self.pool):
            self._state = grown(self._state)

    def _replicas(self) -> int:
        return int(self._counters()[[BUSY, IDLE]].sum())

    @property
    def asleep(self) -> bool:
        """Whether nothing happens until the next request."""
        return not self._replicas() and not len(self._waiting.arrival)


class AutoscaledPool(Pool):
    """Replicas under an autoscaler.

    Args:
        scaler: Parameters.
        draw_starts: Returns how replicas start, from a number on, at least one.
        now: When the application is hosted: begin of the first window, ticks.
    """

    def __init__(self, scaler: Autoscaler, draw_starts: DrawStarts, now: int = 0) -> None:
        """Have the first replicas started."""
        super().__init__(now)
        self.scaler, self._draw_starts = scaler, draw_starts
        looks = scaler.stable_window // scaler.tick_interval
        self._state = fresh_scaled_state(looks, scaler.container_concurrency)
        self._starts = draw_starts(0)
        autoscaled.host(self._state, scaler, now)

    def _counters(self) -> IntArray:
        return self._state.counters

    def _play(self, asked: Calls, rows: Rows, until: int, nodes: Nodes) -> None:
        autoscaled.begin_window(self._state, nodes, self.scaler, self.now, until)
        while not autoscaled.play_window(
            self._state, nodes, asked, rows, self._starts, self.scaler
        ):
            scaling = self._state.scaling
            if scaling[UNUSED] == 0:
                self._state = grown_scaled(self._state)
            else:
                scaling[GIVEN] = scaling[STARTED]
                self._starts = self._draw_starts(int(scaling[GIVEN]))

    def _replicas(self) -> int:
        return int(self._state.scaling[[LIVING, LEAVING]].sum())

    @property
    def asleep(self) -> bool:
        """Whether nothing happens until the next request."""
        nothing = not self._replicas() and not self._state.scaling[TO_START]
        return nothing and autoscaled.at_rest(self._state, self.scaler)


def _check(arrivals: Calls, now: int, until: int) -> None:
    times = arrivals.arrival
    if until < now:
        raise ValueError(f"a window cannot end at {until}, before it begins at {now}")
    if len(times) and not (now <= times[0] and times[-1] < until and (np.diff(times) >= 0).all()):
        raise ValueError(f"arrivals must ascend within [{now}, {until})")
