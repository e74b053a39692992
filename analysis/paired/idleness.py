"""Idleness as a planner may believe in it: the same totals, another share of held time idle.

Half-yearly totals do not tell how much of the held GPU time is idle, and what an idle policy saves
hangs on it. So a federation that was fitted to the totals is changed such that a request is
expected to hold its deployment for as long as before, while the stated share of that time is idle.

What is expected (`expected`) follows from `Demand`. A request has bursts (lognormal, times the
phase's `work_scale`), pauses between them (lognormal, cut off at a fortnight) and, after the last
burst, a tail until the release: lognormal if it is forgotten, exponential if not. The number of
bursts is geometric. A user who comes back may take a deployment that sits idle; then its tail ends.
Two things are taken in the mean over phases, each weighing as much as it has requests (`intensity`
x `months`, for `work_scale` those with GPUs): the scale of work, and the rate at which a user comes
back to a deployment. Users are taken to come back at random times, in the last era (assumed).
Without this, low shares would raise the reference case's allocated GPU-h by 10 %; with it, they
stay within 2 % in the mean over draws.

The rule: bursts are multiplied by one factor, pauses, forgotten and prompt tails by another, such
that the expected held time stays and the expected idle part of it is the stated share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from analysis.calibration.priors import quantile_to_z, value_at_z
from sim.entities import Demand, Federation
from sim.errors import ConfigError, EngineError
from sim.plan.requests import MAX_GAP_H
from sim.ranges import Positive
from sim.rng import Streams
from sim.units import WEEK_H

NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(41)
WEIGHTS = _WEIGHTS / _WEIGHTS.sum()  # of standard normals at NODES
LOG_FACTORS = (-14.0, 14.0)  # between which the factor of idle times is looked for


@dataclass(frozen=True)
class IdlePrior:
    """What share of held GPU time is idle: logitnormal, z as in `analysis.calibration.priors`.

    Args:
        median: Median, share.
        sigma: Standard deviation on the logit scale.
        source: Reference, or the word assumed.
    """

    median: Positive
    sigma: Positive
    source: str

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if self.median >= 1.0:
            raise ConfigError("impossible median", "idle_priors", "between 0 and 1", self.median)

    def share(self, seed: int, name: str, draw: str) -> float:
        """Draw the idle share of a posterior draw, from a stream named by prior and draw."""
        u = Streams(seed).stream(f"idle_prior/{name}/{draw}", "share").random()
        z = quantile_to_z(np.array(u))
        return float(value_at_z("logitnormal", self.median, self.sigma, z))


@dataclass(frozen=True)
class Expected:
    """What a request is expected to hold its deployment for, h: computing and idle."""

    busy_h: float
    idle_h: float

    @property
    def idle_share(self) -> float:
        """Share of held time in which nothing computes."""
        return self.idle_h / (self.busy_h + self.idle_h)


def expected(federation: Federation) -> Expected:
    """Return the expected computing and idle time of a request with GPUs, h."""
    demand = federation.demand
    burst_h = demand.burst_h * exp(demand.burst_sigma**2 / 2.0)
    busy_h = demand.bursts_mean * burst_h * _work_scale(federation)
    return Expected(busy_h, _idle_h(demand, 1.0, _returns_per_h(federation)))


def with_idle_share(federation: Federation, share: float) -> Federation:
    """Return the federation with another idle share of the same expected held time.

    Args:
        federation: As fitted.
        share: Expected idle share of a request's held time, between 0 and 1.

    Raises:
        EngineError: When pauses and tails of any length do not make that share.
    """
    demand, before = federation.demand, expected(federation)
    held_h, returns = before.busy_h + before.idle_h, _returns_per_h(federation)

    def lacks(log_factor: float) -> float:
        return _idle_h(demand, exp(log_factor), returns) - share * held_h

    low, high = LOG_FACTORS
    if not lacks(low) < 0.0 < lacks(high):
        raise EngineError(
            "no demand has this idle share", "idle_priors", "a share that can be reached", share
        )
    idle = exp(brentq(lacks, low, high, xtol=1e-12))
    busy = (1.0 - share) * held_h / before.busy_h
    return replace(
        federation,
        demand=replace(
            demand,
            burst_h=demand.burst_h * busy,
            gap_h=demand.gap_h * idle,
            hold_h=demand.hold_h * idle,
            prompt_delay_h=demand.prompt_delay_h * idle,
        ),
    )


def _idle_h(demand: Demand, factor: float, returns_per_h: float) -> float:
    """Return the expected idle time of a request if all idle times were `factor` times as long."""
    pause_h = _mean_cut_off(demand.gap_h * factor, demand.gap_sigma)
    hold_h = demand.hold_h * factor * np.exp(demand.hold_sigma * NODES)
    forgotten_h = float(WEIGHTS @ _until_return(hold_h, returns_per_h))
    prompt_h = demand.prompt_delay_h * factor
    prompt_h /= 1.0 + returns_per_h * prompt_h  # mean of the shorter of two exponential times
    tail_h = demand.forget_frac * forgotten_h + (1.0 - demand.forget_frac) * prompt_h
    return (demand.bursts_mean - 1.0) * pause_h + tail_h


def _mean_cut_off(median_h: float, sigma: float) -> float:
    """Return the mean of a lognormal pause that lasts `MAX_GAP_H` at most, h."""
    if sigma == 0.0:
        return min(median_h, MAX_GAP_H)
    z = log(MAX_GAP_H / median_h) / sigma
    mean_h = median_h * exp(sigma**2 / 2.0) * float(ndtr(z - sigma))
    return mean_h + MAX_GAP_H * float(ndtr(-z))


def _until_return(tail_h: np.ndarray, returns_per_h: float) -> np.ndarray:
    """Return the mean of tails that end early when their user comes back, at random, h."""
    if returns_per_h == 0.0:
        return tail_h
    return np.asarray(-np.expm1(-returns_per_h * tail_h) / returns_per_h)


def _work_scale(federation: Federation) -> float:
    """Return the mean scale of work of requests with GPUs."""
    phases = federation.phases.values()
    weights = [p.intensity * p.months * p.gpu_frac for p in phases]
    total = sum(weights)
    scales = [p.work_scale for p in phases]
    return sum(w * s for w, s in zip(weights, scales, strict=True)) / total if total else 1.0


def _returns_per_h(federation: Federation) -> float:
    """Return how often a user comes back to work in a deployment that sits idle, 1/h."""
    demand, phases = federation.demand, federation.phases.values()
    weights = [p.intensity * p.months for p in phases]
    if not (total := sum(weights)):
        return 0.0
    eras = sorted(demand.eras.values(), key=lambda era: era.since)
    rate = demand.requests_per_user_week / WEEK_H * (eras[-1].factor if eras else 1.0)
    intensity = sum(w * p.intensity for w, p in zip(weights, phases, strict=True)) / total
    with_gpus = sum(w * p.gpu_frac for w, p in zip(weights, phases, strict=True)) / total
    fits = _not_larger(demand.cores) * (1.0 - with_gpus * (1.0 - _not_larger(demand.gpus)))
    return rate * intensity * demand.reuse_frac * fits


def _not_larger(weights: Mapping[int, float]) -> float:
    """Return the probability that of two sizes the second is not larger than the first."""
    total = sum(weights.values())
    return 0.5 * (1.0 + sum((w / total) ** 2 for w in weights.values()))
