"""Invocations of applications: when end users call, how long it takes, how long a cold start."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.distributions import lognormal
from sim.entities import Application, Federation
from sim.rng import Streams
from sim.units import MONTH_H, SECONDS_PER_H, FloatArray, to_grid_h


@dataclass(frozen=True, eq=False)
class Invocations:
    """Invocations of one use case's application, in order of arrival; shape (invocations,).

    Args:
        arrival_h: When the request comes, h since the start.
        service_h: How long a warm replica computes for it.
        cold_h: How long a new replica would take to be ready for it.
        hosted_h: When the application is hosted first, h (a scalar; may lie beyond the horizon).
    """

    arrival_h: FloatArray
    service_h: FloatArray
    cold_h: FloatArray
    hosted_h: float


def draw_invocations(
    federation: Federation,
    use_case: str,
    application: Application,
    serving_h: float,
    streams: Streams,
) -> Invocations:
    """Draw the invocations of one application from the day its use case serves.

    The rate grows exponentially by `growth_per_month`; hosting starts no earlier than its cluster.
    """
    path = f"use_case/{use_case}/application"
    since_h = federation.calendar.hours_at(federation.clusters[application.cluster].since)
    hosted_h = max(serving_h, since_h)
    months = max(federation.calendar.horizon_h - hosted_h, 0.0) / MONTH_H
    time = hosted_h + _growing_poisson(application, months, streams.stream(path, "arrivals"))
    time = to_grid_h(time)
    time = time[time < federation.calendar.horizon_h]

    def normal(decision: str) -> FloatArray:
        return streams.stream(path, decision).standard_normal(len(time))

    service = lognormal(application.service_s, application.service_sigma, normal("service"))
    cold = lognormal(application.cold_start_s, application.cold_start_sigma, normal("cold"))
    return Invocations(
        time, to_grid_h(service / SECONDS_PER_H), to_grid_h(cold / SECONDS_PER_H), hosted_h
    )


def _growing_poisson(
    application: Application, months: float, stream: np.random.Generator
) -> FloatArray:
    """Return hours after hosting of a Poisson process whose rate grows exponentially."""
    rate, growth = application.invocations_per_month, np.log1p(application.growth_per_month)
    total = rate * (months if growth == 0.0 else float(np.expm1(growth * months) / growth))
    gaps, reached = [], 0.0
    while reached < total:
        block = reached + np.cumsum(stream.standard_exponential(256))
        gaps.append(block)
        reached = float(block[-1])
    points = np.concatenate(gaps) if gaps else np.empty(0)
    points = points[points < total]
    if growth == 0.0:
        return points / max(rate, 1e-300) * MONTH_H
    return np.log1p(points * growth / rate) / growth * MONTH_H
