"""When applications are called, and how long everything takes: drawn as far as it is asked for.

Arrivals are a Poisson process whose rate changes every hour: the week of the callers, the season,
and adoption, which grows exponentially. Each arrival may be a burst: a user uploads a folder of
files and every file is a request. A time change turns a process of rate 1 into it, so that a
shorter horizon is a bit-identical beginning of a longer one.

A reader draws in blocks that do not depend on what it is asked for, and forgets what it has handed
out: memory does not grow with the number of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from sim.distributions import geometric, lognormal
from sim.entities import NonNegative
from sim.plan.calls import Calls, joined, part_of
from sim.rng import Streams
from sim.ticks import TICKS_PER_H, TICKS_PER_S, ticks
from sim.timeline import ProjectCalendar
from sim.units import MONTH_H, FloatArray, IntArray

BLOCK = 65_536  # arrivals drawn at a time, at most
FIRST_BLOCK = 256


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


@dataclass(frozen=True)
class Bursts:
    """Requests that come together.

    Args:
        size_mean: Mean number of files in a folder (geometric).
        gap_s: Time between two files, s.
    """

    size_mean: Annotated[float, Ge(1.0)] = 1.0
    gap_s: NonNegative = 0.0


@dataclass(frozen=True, eq=False)
class Intensity:
    """Expected arrivals from the start of the project to each whole hour; shape (hours + 1,)."""

    cumulative: FloatArray


def intensity(
    calendar: ProjectCalendar,
    hosted_h: float,
    per_month: float,
    growth_per_month: float,
    effective_h: FloatArray | None = None,
    season: tuple[float, ...] = (1.0,) * 12,
) -> Intensity:
    """Return the expected arrivals of an application.

    Args:
        calendar: The calendar; its horizon is covered.
        hosted_h: From when on it is there, h; the rate counts from there.
        per_month: Arrivals a month at the beginning, in the mean over a week and a year.
        growth_per_month: 0.1 is 10 % a month.
        effective_h: Cumulative hours of a rhythm that grow by one an hour on average, such as
            `WorkClock.effective_h`; None for no rhythm.
        season: Relative weight of January to December.
    """
    hours = np.arange(int(calendar.horizon_h) + 1, dtype=np.float64)
    rhythm = np.diff(hours if effective_h is None else effective_h)
    weights = np.asarray(season, dtype=np.float64) * 12.0 / sum(season)
    month = np.searchsorted(calendar.month_edges_h, hours[:-1], side="right") - 1
    of_year = (calendar.start.month - 1 + month) % 12
    hosted = np.clip(hours[1:] - hosted_h, 0.0, 1.0)  # share of the hour
    age = np.maximum(hours[:-1] + 0.5 - hosted_h, 0.0) / MONTH_H
    rate = per_month / MONTH_H * np.exp(np.log1p(growth_per_month) * age) * rhythm * hosted
    return Intensity(np.concatenate([[0.0], np.cumsum(rate * weights[of_year])]))


class CallReader:
    """Reads the requests of one application, window after window.

    Args:
        expected: Expected arrivals over time.
        bursts: How many requests an arrival is.
        service: Computing time of a request.
        cold: Cold start; None if replicas are not started for requests.
        streams: Named streams.
        path: Path of the application in them.
    """

    def __init__(
        self,
        expected: Intensity,
        bursts: Bursts,
        service: Duration,
        cold: ColdStart | None,
        streams: Streams,
        path: str,
    ) -> None:
        """Open the streams."""
        self._expected = expected.cumulative
        self._hours = np.arange(len(self._expected), dtype=np.float64)
        self._horizon = int(self._hours[-1]) * TICKS_PER_H
        self._bursts = bursts
        parts = {"service": service}
        if cold is not None:
            parts |= {"container": cold.container, "load": cold.load}
            parts |= {"pull": cold.pull, "boot": cold.boot}
        self._parts = parts
        names = ("arrivals", "bursts", *parts)
        self._streams = {name: streams.stream(path, name) for name in names}
        self._reached, self._block, self._settled = 0.0, FIRST_BLOCK, 0
        self._pending = self._columns(np.empty(0, np.int64))

    def until(self, tick: int) -> Calls:
        """Return the requests that were not returned yet and arrive before `tick`."""
        parts = [self._pending]
        while self._settled < min(tick, self._horizon):
            parts.append(self._next_block())
        if len(parts) > 1:
            self._pending = joined(parts)
            if self._bursts.size_mean > 1.0:
                order = np.argsort(self._pending.arrival, kind="stable")
                self._pending = part_of(self._pending, order)
        edge = int(np.searchsorted(self._pending.arrival, tick))
        found, self._pending = (
            part_of(self._pending, slice(edge)),
            part_of(self._pending, slice(edge, None)),
        )
        return found

    def _next_block(self) -> Calls:
        """Draw a block of arrivals; nothing that is drawn later comes before `_settled`."""
        gaps = self._streams["arrivals"].standard_exponential(self._block)
        reached = self._reached + np.cumsum(gaps)
        self._reached, self._block = float(reached[-1]), min(2 * self._block, BLOCK)
        total = float(self._expected[-1])
        ended = self._reached >= total
        reached = reached[: np.searchsorted(reached, total)] if ended else reached
        arrival = ticks(np.interp(reached, self._expected, self._hours) * 3600.0)
        self._settled = self._horizon if ended else int(arrival[-1])
        if self._bursts.size_mean > 1.0:
            arrival = self._in_bursts(arrival)
        columns = self._columns(arrival)
        return part_of(columns, arrival < self._horizon)

    def _in_bursts(self, arrival: IntArray) -> IntArray:
        """Return the times of the requests of each arrival, burst after burst."""
        uniforms = self._streams["bursts"].random(len(arrival))
        sizes = geometric(self._bursts.size_mean, uniforms)
        first = np.cumsum(sizes) - sizes
        place = np.arange(int(sizes.sum())) - np.repeat(first, sizes)
        return np.repeat(arrival, sizes) + place * int(ticks(self._bursts.gap_s))

    def _columns(self, arrival: IntArray) -> Calls:
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
        normals = self._streams[name].standard_normal(count)
        scaled = lognormal(duration.median_s * TICKS_PER_S, duration.sigma, normals)
        return np.rint(scaled).astype(np.int64)
