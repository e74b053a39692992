"""Reads the requests of an application window after window, drawn as far as they are asked for.

A reader draws in blocks that do not depend on what it is asked for, and forgets what it has handed
out: memory does not grow with the number of requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from sim.applications import Duration, Retries
from sim.distributions import lognormal
from sim.plan.calls import NO_CALLS, Calls, joined, part_of
from sim.rng import Streams
from sim.ticks import NEVER, ticks
from sim.units import FloatArray, IntArray

FIRST_STARTS, MOST_STARTS = 64, 1024  # starts of replicas that are drawn at a time
NO_TIME = Duration(0.0)
NO_FAILURES = Retries()


@dataclass(frozen=True)
class ColdStart:
    """What a cold start is made of; parts that are not needed do not happen.

    Args:
        boot: Boot of a node, if none is up.
        pull: Pull of the image, if the node does not have it.
        container: Start of the container.
        load: Load of the model.
        boot_wait_s: A boot that takes longer is given up and begun anew, s (CLUES); None for never.
    """

    boot: Duration = NO_TIME
    pull: Duration = NO_TIME
    container: Duration = NO_TIME
    load: Duration = NO_TIME
    boot_wait_s: float | None = None


@dataclass(frozen=True)
class Work:
    """What a request is to its application.

    Args:
        service: Computing time on a replica that is ready.
        cold: Start of a replica for it; None if replicas are not started for requests.
        retries: How it fails.
    """

    service: Duration
    cold: ColdStart | None = None
    retries: Retries = NO_FAILURES


class Reader(Protocol):
    """Whoever hands out the requests of an application."""

    def until(self, tick: int) -> Calls:
        """Return the requests that were not returned yet and arrive before `tick`."""

    def results(self, count: int) -> Calls:
        """Return so many requests that are the results of another application."""


class Durations:
    """Draws how long things take.

    Args:
        parts: What is drawn.
        streams: Named streams.
        path: Path in them; the name of the part follows.
    """

    def __init__(self, parts: dict[str, Duration], streams: Streams, path: str) -> None:
        """Open a stream for each part that is not always the same."""
        self._parts = parts
        self._streams = {n: streams.stream(path, n) for n, d in parts.items() if d.sigma > 0.0}

    def draw(self, name: str, count: int, wait_s: float | None = None) -> IntArray:
        """Return durations, ticks; shape (count,).

        Args:
            name: Of the part.
            count: How many.
            wait_s: What takes longer is given up then and begun anew, s.

        Raises:
            ValueError: When nothing is ever done within `wait_s`.
        """
        duration = self._parts[name]
        if duration.sigma == 0.0:
            if wait_s is not None and duration.median_s > wait_s:
                raise ValueError(f"{name} takes {duration.median_s} s and is given up at {wait_s}")
            return np.full(count, int(ticks(duration.median_s)))
        if wait_s is None:
            normals = self._streams[name].standard_normal(count)
            return ticks(lognormal(duration.median_s, duration.sigma, normals))
        return ticks(_with_attempts(duration, wait_s, self._streams[name].random((count, 2))))


def _with_attempts(duration: Duration, wait_s: float, uniforms: FloatArray) -> FloatArray:
    """Return durations with all attempts that were given up before; shape (count,), s."""
    done_frac = float(ndtr(np.log(wait_s / duration.median_s) / duration.sigma))
    given_up = np.log1p(-uniforms[:, 0]) // np.log1p(-min(done_frac, 1.0 - 1e-16))
    last = lognormal(duration.median_s, duration.sigma, ndtri(uniforms[:, 1] * done_frac))
    return given_up * wait_s + last


class StartReader:
    """How replicas start that are not started for a request, in the order in which they do.

    Args:
        cold: Parts of a cold start.
        streams: Named streams.
        path: Path of the application in them.
    """

    def __init__(self, cold: ColdStart, streams: Streams, path: str) -> None:
        """Open the streams."""
        self._cold, self._given = cold, 0
        self._durations = Durations(_parts(cold), streams, f"{path}/starts")
        self._drawn, self._block = np.empty((0, 3), np.int64), FIRST_STARTS

    def __call__(self, first: int, count: int) -> IntArray:
        """Return container and model, image, node; shape (count, 3), ticks."""
        if first != self._given:
            raise ValueError(f"starts are read in order: {self._given} is next, not {first}")
        self._given += count
        if len(self._drawn) < count:
            more = max(self._block, count - len(self._drawn))
            drawn = np.stack(_cold_columns(self._cold, self._durations, more), axis=1)
            self._drawn = np.concatenate([self._drawn, drawn])
            self._block = min(2 * self._block, MOST_STARTS)
        found, self._drawn = self._drawn[:count], self._drawn[count:]
        return found


def _parts(cold: ColdStart) -> dict[str, Duration]:
    return {"container": cold.container, "load": cold.load, "pull": cold.pull, "boot": cold.boot}


def _cold_columns(cold: ColdStart, durations: Durations, count: int) -> tuple[IntArray, ...]:
    """Return start of container and model, pull and boot, ticks; shape (count,) each."""
    start = durations.draw("container", count) + durations.draw("load", count)
    return start, durations.draw("pull", count), durations.draw("boot", count, cold.boot_wait_s)


class CallReader(ABC):
    """Requests of one application, drawn in blocks.

    Args:
        horizon: Nothing arrives from then on, ticks.
        work: What a request is.
        streams: Named streams.
        path: Path of the application in them.
    """

    def __init__(self, horizon: int, work: Work, streams: Streams, path: str) -> None:
        """Open the streams of durations."""
        self._horizon, self._work = horizon, work
        parts = {"service": work.service} | ({} if work.cold is None else _parts(work.cold))
        self._durations = Durations(parts, streams, path)
        self._failures = streams.stream(path, "failures")
        self._settled = 0
        self._pending = NO_CALLS

    def until(self, tick: int) -> Calls:
        """Return the requests that were not returned yet and arrive before `tick`."""
        if self._settled < min(tick, self._horizon):
            self._draw_until(tick)
        drawn, edge = self._pending, int(self._pending.arrival.searchsorted(tick))
        if edge == 0:
            return NO_CALLS
        self._pending = part_of(drawn, slice(edge, None))
        return part_of(drawn, slice(edge))

    def _draw_until(self, tick: int) -> None:
        """Draw blocks until nothing is missing before `tick`."""
        parts = [self._pending]
        while self._settled < min(tick, self._horizon):
            block, self._settled = self._next_block()
            parts.append(part_of(block, block.arrival < self._horizon))
        self._pending = joined(parts)
        if (np.diff(self._pending.arrival) < 0).any():
            order = np.argsort(self._pending.arrival, kind="stable")
            self._pending = part_of(self._pending, order)

    def results(self, count: int) -> Calls:
        """Return so many requests that are the results of another application."""
        return self._columns(np.full(count, NEVER))

    @abstractmethod
    def _next_block(self) -> tuple[Calls, int]:
        """Draw a block.

        Returns:
            Requests, and the time before which nothing will arrive that is drawn later (ticks).
        """

    def _columns(self, arrival: IntArray) -> Calls:
        """Draw all that is drawn for requests."""
        count = len(arrival)
        service = np.maximum(self._durations.draw("service", count), 1)
        cold: tuple[IntArray, ...] = (np.zeros(count, np.int64),) * 3
        if self._work.cold is not None:
            cold = _cold_columns(self._work.cold, self._durations, count)
        return Calls._make((arrival, service, *cold, self._fails(count)))

    def _fails(self, count: int) -> IntArray:
        """Draw how many attempts fail; below zero those of a job that never succeeds."""
        frac, most = self._work.retries.failing_frac, self._work.retries.most
        if frac == 0.0:
            return np.zeros(count, np.int64)
        uniforms = 1.0 - self._failures.random(count)
        fails = np.full(count, float(most + 1)) if frac == 1.0 else np.log(uniforms) // np.log(frac)
        return np.where(fails > most, -(most + 1), fails).astype(np.int64)


class ResultReader(CallReader):
    """Requests that are only the results of another application: preprocess, infer, store."""

    def _next_block(self) -> tuple[Calls, int]:
        return NO_CALLS, self._horizon
