"""When applications are called: a rate that changes every hour, and bursts.

Arrivals are a Poisson process: the week of the callers, the season, and adoption, which grows
exponentially. Each arrival may be a burst: a user uploads a folder of files and every file is a
request. A time change turns a process of rate 1 into it, so that a shorter horizon is a
bit-identical beginning of a longer one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.applications import Bursts
from sim.distributions import geometric
from sim.plan.calls import Calls
from sim.plan.reader import CallReader, Work
from sim.rng import Streams
from sim.ticks import TICKS_PER_H, ticks
from sim.timeline import ProjectCalendar
from sim.units import MONTH_H, FloatArray, IntArray

BLOCK = 16_384  # arrivals drawn at a time, at most
FIRST_BLOCK = 256


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
    horizon = int(calendar.horizon_h)
    first = min(max(int(hosted_h), 0), horizon)  # nothing comes before this hour
    hours = np.arange(first, horizon + 1, dtype=np.float64)
    rhythm = np.diff(hours if effective_h is None else effective_h[first:])
    weights = np.asarray(season, dtype=np.float64) * 12.0 / sum(season)
    month = np.searchsorted(calendar.month_edges_h, hours[:-1], side="right") - 1
    of_year = (calendar.start.month - 1 + month) % 12
    hosted = np.clip(hours[1:] - hosted_h, 0.0, 1.0)  # share of the hour
    age = np.maximum(hours[:-1] + 0.5 - hosted_h, 0.0) / MONTH_H
    rate = per_month / MONTH_H * np.exp(np.log1p(growth_per_month) * age) * rhythm * hosted
    return Intensity(np.concatenate([np.zeros(first + 1), np.cumsum(rate * weights[of_year])]))


class PoissonReader(CallReader):
    """Requests of a Poisson process.

    Args:
        expected: Expected arrivals over time.
        bursts: How many requests an arrival is.
        work: What a request is.
        streams: Named streams.
        path: Path of the application in them.
    """

    def __init__(
        self,
        expected: Intensity,
        bursts: Bursts,
        work: Work,
        streams: Streams,
        path: str,
    ) -> None:
        """Open the streams."""
        hours = len(expected.cumulative) - 1
        super().__init__(hours * TICKS_PER_H, work, streams, path)
        self._expected, self._bursts = expected.cumulative, bursts
        self._hours = np.arange(hours + 1, dtype=np.float64)
        self._gaps, self._sizes = (streams.stream(path, n) for n in ("arrivals", "bursts"))
        self._reached, self._block = 0.0, FIRST_BLOCK

    def _next_block(self) -> tuple[Calls, int]:
        reached = self._reached + np.cumsum(self._gaps.standard_exponential(self._block))
        self._reached, self._block = float(reached[-1]), min(2 * self._block, BLOCK)
        total = float(self._expected[-1])
        ended = self._reached >= total
        reached = reached[: np.searchsorted(reached, total)] if ended else reached
        arrival = ticks(np.interp(reached, self._expected, self._hours) * 3600.0)
        settled = self._horizon if ended else int(arrival[-1])
        if self._bursts.size_mean > 1.0:
            arrival = self._in_bursts(arrival)
        return self._columns(arrival), settled

    def _in_bursts(self, arrival: IntArray) -> IntArray:
        """Return the times of the requests of each arrival, burst after burst."""
        sizes = geometric(self._bursts.size_mean, self._sizes.random(len(arrival)))
        first = np.cumsum(sizes) - sizes
        place = np.arange(int(sizes.sum())) - np.repeat(first, sizes)
        return np.repeat(arrival, sizes) + place * int(ticks(self._bursts.gap_s))
