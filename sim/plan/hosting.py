"""Who hosts which application from when on, who calls it, and how its replicas start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from sim.applications import Application, ApplicationKind, Duration, Replay, Retries, Traffic
from sim.entities import Federation
from sim.plan.reader import ColdStart, Reader, ResultReader, StartReader, Work
from sim.plan.replay import TraceReader, trace_of
from sim.plan.rhythm import work_clock
from sim.plan.traffic import PoissonReader, intensity
from sim.rng import Streams
from sim.ticks import TICKS_PER_H
from sim.units import SECONDS_PER_H, FloatArray, to_grid_h

JOBS = (ApplicationKind.ASYNC, ApplicationKind.KEEP_ALIVE)  # a replica is started for a request


@dataclass(frozen=True, eq=False)
class Hosted:
    """An application of a use case.

    Args:
        use_case: Whose.
        application: Which.
        hosted_h: From when on, h since the start (may lie beyond the horizon).
        then: Key in `Plan.hosted` of what its results call; None.
        called: Whether only results of another application call it.
        expected: Requests that are expected in each month; shape (months,).
        requests: Returns a new reader of its requests, from the first one on.
        starts: Returns a new reader of how its replicas start other than for a request.
    """

    use_case: str
    application: str
    hosted_h: float
    then: str | None
    called: bool
    expected: FloatArray
    requests: Callable[[], Reader]
    starts: Callable[[], StartReader]


def draw_hosted(
    federation: Federation, use_case: str, serving_h: float, streams: Streams
) -> dict[str, Hosted]:
    """Return the applications of a use case, from the day it serves.

    Hosting starts no earlier than the cluster. Requests are drawn later, as far as they are played.

    Returns:
        By key: use case and application; the called ones after those that call them.
    """
    found: dict[str, Hosted] = {}
    name, called, expected = federation.use_cases[use_case].application, False, None
    while name is not None:
        application = federation.applications[name]
        since_h = federation.calendar.hours_at(federation.clusters[application.cluster].since)
        hosted_h = to_grid_h(max(serving_h, since_h))
        path = f"use_case/{use_case}/application/{name}"
        work, cold = _work(federation, application)
        if called or application.traffic is None:
            horizon = int(federation.calendar.horizon_h) * TICKS_PER_H
            reader: Callable[[], Reader] = partial(ResultReader, horizon, work, streams, path)
        else:
            reader, expected = _traffic(
                federation, use_case, application.traffic, hosted_h, work, streams, path
            )
        following = None if application.then is None else f"{use_case}/{application.then}"
        found[f"{use_case}/{name}"] = Hosted(
            use_case, name, hosted_h, following, called,
            np.zeros(federation.calendar.months) if expected is None else expected,
            reader, partial(StartReader, cold, streams, path),
        )  # fmt: skip
        name, called = application.then, True
    return found


def _work(federation: Federation, application: Application) -> tuple[Work, ColdStart]:
    """Return what a request is, and a cold start."""
    scaling = federation.clusters[application.cluster].scaling
    cold = ColdStart(
        Duration(0.0) if scaling is None else scaling.boot,
        application.pull,
        application.container,
        application.load,
        None if scaling is None else scaling.boot_wait_s,
    )
    fails = application.retries if application.kind is ApplicationKind.ASYNC else Retries()
    return Work(application.service, cold if application.kind in JOBS else None, fails), cold


def _traffic(
    federation: Federation, use_case: str, traffic: Traffic, hosted_h: float, work: Work,
    streams: Streams, path: str,
) -> tuple[Callable[[], Reader], FloatArray]:
    """Return who reads the requests of an application, and how many are expected each month."""
    edges_h = federation.calendar.month_edges_h
    if traffic.replay is not None:
        return _replay(federation, traffic.replay, hosted_h, work, streams, path)
    expected = intensity(
        federation.calendar, hosted_h, traffic.per_month, traffic.growth_per_month,
        _rhythm(federation, use_case) if traffic.rhythm else None, traffic.season or (1.0,) * 12,
    )  # fmt: skip
    by_month = np.diff(expected.cumulative[edges_h.astype(np.int64)])
    reader = partial(PoissonReader, expected, traffic.bursts, work, streams, path)
    return reader, by_month * traffic.bursts.size_mean


def _rhythm(federation: Federation, use_case: str) -> FloatArray:
    """Return effective hours, in the mean over the countries of a use case."""
    clocks = [
        work_clock(
            country,
            federation.time_zones[country],
            federation.demand.rhythm,
            federation.calendar,
        )
        for country in dict.fromkeys(federation.use_cases[use_case].countries)
    ]
    return np.mean([clock.effective_h for clock in clocks], axis=0)


def _replay(
    federation: Federation, replay: Replay, hosted_h: float, work: Work, streams: Streams, path: str
) -> tuple[Callable[[], Reader], FloatArray]:
    """Return who replays a trace, and how many requests it has each month."""
    recorded = federation.traces[replay.trace].recorded
    if recorded is None:
        raise ValueError(f"the trace {replay.trace} was not read")
    trace = trace_of(recorded, streams, path)
    edges_h, horizon_h = federation.calendar.month_edges_h, federation.calendar.horizon_h
    length_h = trace.length_s / SECONDS_PER_H * replay.time_factor
    hours = np.clip(edges_h - hosted_h, 0.0, np.inf if replay.repeat else length_h)
    per_h = replay.volume * len(trace.arrival_s) / length_h
    reader = partial(
        TraceReader, trace, replay, int(min(hosted_h, horizon_h) * TICKS_PER_H),
        int(horizon_h) * TICKS_PER_H, work, streams, path,
    )  # fmt: skip
    return reader, np.diff(hours) * per_h
