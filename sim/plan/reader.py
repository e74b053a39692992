"""Reads the requests of an application window after window, drawn as far as they are asked for.

A reader draws in blocks that do not depend on what it is asked for, and forgets what it has handed
out: memory does not grow with the number of requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim.distributions import lognormal
from sim.entities import NonNegative
from sim.plan.calls import Calls, joined, part_of
from sim.rng import Streams
from sim.ticks import TICKS_PER_S, ticks
from sim.units import IntArray


@dataclass(frozen=True)
class Duration:
    """A lognormal duration.

    Args:
        median_s: Median, s.
        sigma: Standard deviation of the logarithm; 0 is a constant.
    """

    median_s: NonNegative
    sigma: NonNegative = 0.0


@dataclass(frozen=True)
class ColdStart:
    """What a cold start is made of; parts that are not needed do not happen.

    Args:
        boot: Boot of a node, if none is up.
        pull: Pull of the image, if the node does not have it.
        container: Start of the container.
        load: Load of the model.
    """

    boot: Duration = Duration(0.0)
    pull: Duration = Duration(0.0)
    container: Duration = Duration(0.0)
    load: Duration = Duration(0.0)


class Reader(Protocol):
    """Whoever hands out the requests of an application."""

    def until(self, tick: int) -> Calls:
        """Return the requests that were not returned yet and arrive before `tick`."""


class CallReader(ABC):
    """Requests of one application, drawn in blocks.

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
        """Open the streams of durations."""
        self._horizon = horizon
        self._parts = {"service": service}
        if cold is not None:
            self._parts |= {"container": cold.container, "load": cold.load}
            self._parts |= {"pull": cold.pull, "boot": cold.boot}
        self._normals = {name: streams.stream(path, name) for name in self._parts}
        self._settled = 0
        self._pending = self._columns(np.empty(0, np.int64))

    def until(self, tick: int) -> Calls:
        """Return the requests that were not returned yet and arrive before `tick`."""
        parts = [self._pending]
        while self._settled < min(tick, self._horizon):
            block, self._settled = self._next_block()
            parts.append(part_of(block, block.arrival < self._horizon))
        if len(parts) > 1:
            self._pending = joined(parts)
            if (np.diff(self._pending.arrival) < 0).any():
                order = np.argsort(self._pending.arrival, kind="stable")
                self._pending = part_of(self._pending, order)
        edge = int(np.searchsorted(self._pending.arrival, tick))
        found, self._pending = (
            part_of(self._pending, slice(edge)),
            part_of(self._pending, slice(edge, None)),
        )
        return found

    @abstractmethod
    def _next_block(self) -> tuple[Calls, int]:
        """Draw a block.

        Returns:
            Requests, and the time before which nothing will arrive that is drawn later (ticks).
        """

    def _columns(self, arrival: IntArray) -> Calls:
        """Draw all durations of requests."""
        count = len(arrival)
        drawn = {name: self._duration(name, count) for name in self._parts}
        nothing = np.zeros(count, np.int64)
        start = drawn["container"] + drawn["load"] if "load" in drawn else nothing
        return Calls(
            arrival,
            np.maximum(drawn["service"], 1),
            start,
            drawn.get("pull", nothing),
            drawn.get("boot", nothing),
        )

    def _duration(self, name: str, count: int) -> IntArray:
        duration = self._parts[name]
        if duration.sigma == 0.0:
            return np.full(count, int(ticks(duration.median_s)))
        normals = self._normals[name].standard_normal(count)
        scaled = lognormal(duration.median_s * TICKS_PER_S, duration.sigma, normals)
        return np.rint(scaled).astype(np.int64)
