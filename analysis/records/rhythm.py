"""The working rhythm that starts of deployments show: evenings, nights and free days.

The model lays requests on a week in which an office hour weighs 1, an evening and a night hour
less, and every hour of a free day (weekend, public holiday) again less by a factor
(`demand.rhythm`). Counts of starts in these hours are taken as Poisson, so that each rate has a
Gamma posterior and the ratio of two rates a scaled F distribution. Starts that come in clusters (a
script that starts forty jobs) are not Poisson: counts that scatter more from week to week than
Poisson counts do are weighed down by as much.

Source: Jeffreys prior of a Poisson rate, A. Gelman et al., Bayesian Data Analysis, 3rd ed. (2013),
section 2.8; weighing down of scattered counts (quasi-likelihood): P. McCullagh and J. Nelder,
Generalized Linear Models, 2nd ed. (1989), chapter 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy import stats

from analysis.records.reading import Deployments, Window
from sim.entities import Rhythm
from sim.errors import DataError
from sim.plan.rhythm import public_holidays
from sim.units import WEEK_H, FloatArray, IntArray

OFFICE, EVENING, NIGHT = range(3)
DAY_BEGINS, DAY_ENDS = 7, 23  # local hours; evening between them and outside the office, as in sim
WEIGHTS = ("evening_weight", "night_weight", "weekend_weight")
PRIOR_SHAPE = 0.5  # Jeffreys prior of a rate
LEVELS = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False)
class Hours:
    """The clock hours of a window.

    Args:
        kind: Of each: office, evening or night, shape (hours,).
        free: Whether it lies on a free day.
        week: Running number of its week since the window began.
    """

    kind: IntArray
    free: np.ndarray
    week: IntArray


def kinds_of_hours(rhythm: Rhythm) -> IntArray:
    """Return whether each local hour of a working day is office, evening or night; shape (24,)."""
    hour = np.arange(24)
    waking = (hour >= DAY_BEGINS) & (hour < DAY_ENDS)
    office = (hour >= rhythm.office_start_hour) & (hour < rhythm.office_end_hour)
    return np.where(office, OFFICE, np.where(waking, EVENING, NIGHT))


@lru_cache(maxsize=16)
def hours_of(window: Window, rhythm: Rhythm, country: str | None) -> Hours:
    """Return the hours of a window.

    Args:
        window: The window; whole hours.
        rhythm: Says when the office opens and closes.
        country: Whose public holidays are free, ISO 3166 alpha-2; None for weekends alone.

    Raises:
        DataError: When the country's holidays are not known.
    """
    local = pd.date_range(
        pd.Timestamp(window.begins), periods=int(window.hours), freq="h"
    ).tz_convert(window.time_zone)
    days = local.tz_localize(None).to_numpy().astype("datetime64[D]")
    free = local.day_of_week.to_numpy() >= 5
    if country is not None:
        years = (days[0].item().year, days[-1].item().year)
        free |= np.isin(days, public_holidays(country, *years, "country", DataError))
    week = np.arange(len(local)) // int(WEEK_H)
    return Hours(kinds_of_hours(rhythm)[local.hour.to_numpy()], free, week)


def rhythm_of(deployments: Deployments, rhythm: Rhythm, country: str | None = None) -> pd.DataFrame:
    """Estimate the weights of evenings, nights and free days from starts.

    The rhythm is that of starts. It is that of requests as far as nobody waits for a GPU and
    nobody goes on in a deployment that is still there; and as far as users live in one time zone.

    Args:
        deployments: The records.
        rhythm: Says when the office opens and closes; its weights are not used.
        country: Whose public holidays are free, ISO 3166 alpha-2; None for weekends alone.

    Returns:
        A row for each of `WEIGHTS`: weight, p05, p50, p95 (relative to office hours, free days to
        working days), starts (how many the weight rests on) and scatter (variance of weekly counts
        over that of Poisson counts, at least 1).
    """
    hours = hours_of(deployments.window, rhythm, country)
    at = np.minimum(deployments.start_h.astype(np.int64), len(hours.kind) - 1)
    kind, free = hours.kind[at], hours.free[at]
    scatter = max(1.0, _scatter(hours, at))
    pairs = {
        "evening_weight": ((kind, EVENING), (kind, OFFICE), hours.kind),
        "night_weight": ((kind, NIGHT), (kind, OFFICE), hours.kind),
        "weekend_weight": ((free, True), (free, False), hours.free),
    }
    rows = []
    for name, ((starts, one), (_, other), every) in pairs.items():
        count = np.array([(starts == one).sum(), (starts == other).sum()])
        span = np.array([(every == one).sum(), (every == other).sum()], dtype=np.float64)
        rows.append((name, *ratio_of_rates(count / scatter, span / scatter), count[0], scatter))
    return pd.DataFrame(rows, columns=["weight", "p05", "p50", "p95", "starts", "scatter"])


def ratio_of_rates(count: FloatArray, span_h: FloatArray) -> FloatArray:
    """Return quantiles (`LEVELS`) of the ratio of two Poisson rates.

    Args:
        count: Events of both, shape (2,); need not be whole.
        span_h: For how long each was looked at, h.
    """
    if not (span_h > 0.0).all():
        return np.full(len(LEVELS), np.nan)
    shape = count + PRIOR_SHAPE
    scale = shape[0] / shape[1] * span_h[1] / span_h[0]
    return np.asarray(scale * stats.f.ppf(LEVELS, 2.0 * shape[0], 2.0 * shape[1]))


def _scatter(hours: Hours, at: IntArray) -> float:
    """Return the mean squared Pearson residual of counts by week and kind of hour."""
    cell = hours.kind + 3 * hours.free
    size = (int(hours.week[-1]) + 1, 6)
    place = hours.week * 6 + cell
    span = np.bincount(place, minlength=size[0] * size[1]).reshape(size)
    count = np.bincount(place[at], minlength=size[0] * size[1]).reshape(size)
    rate = count.sum(axis=0) / np.maximum(span.sum(axis=0), 1)
    expected = span * rate
    total = np.maximum(expected.sum(axis=1, keepdims=True), 1e-12)
    expected = expected * count.sum(axis=1, keepdims=True) / total
    seen = expected > 0.0
    freedom = (np.maximum(seen.sum(axis=1) - 1, 0)).sum() - 5
    residual = (count[seen] - expected[seen]) ** 2 / expected[seen]
    return float(residual.sum() / freedom) if freedom > 0 else 1.0
