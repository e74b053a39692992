"""How far a constant rate misses the totals of a new federation: its noise and its residuals.

The model of a new federation has one rate for all reported months. So its backcasts would miss by
about as much as the mean of earlier periods misses the later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any

import numpy as np
import pandas as pd

from analysis.discrepancy import COLUMNS
from analysis.observations import ALL
from analysis.starter.facts import TotalFacts
from analysis.starter.span import Span
from sim.timeline import months_of
from sim.units import UNIT_OF

READING = "stated"
FEWEST = 3  # periods from which a scatter is told
_OF = {"gpu": "gpus", "cpu": "cpus"}


def chance_of(jobs: pd.DataFrame, span: Span) -> dict[str, float]:
    """Return how much the logarithm of a period's total varies because jobs are few and unequal.

    The variance of a compound Poisson sum over the square of its mean, in the mean over periods.

    Args:
        jobs: From `analysis.starter.jobs.jobs_of`.
        span: The months.

    Returns:
        Variance by resource, at most 1.
    """
    begins, ends = (t.tz_convert(None) for t in (span.begins, span.ends))
    mine = jobs[(jobs["start"] >= begins) & (jobs["start"] < ends)]
    periods = span.reported // span.calendar.period_months
    found = {}
    for resource, column in _OF.items():
        hours = (mine[column] * mine["held_h"]).to_numpy(np.float64)
        if hours.sum() > 0.0:
            variance = periods * float((hours**2).sum()) / float(hours.sum()) ** 2
            found[resource] = min(variance, 1.0)
    return found


def scatter_of(found: Iterable[TotalFacts], chance: Mapping[str, float]) -> float:
    """Return how much logged totals scatter over periods beyond chance: standard deviation.

    The largest over sites and resources; 0 where there are fewer than three periods.
    """
    series: dict[tuple[str, str], list[float]] = {}
    for total in found:
        per_month = total.quantity / len(months_of(total.period))
        series.setdefault((total.site, total.resource), []).append(log(per_month))
    spread = [
        float(np.var(x, ddof=1)) - chance.get(resource, 0.0)
        for (_, resource), x in series.items()
        if len(x) >= FEWEST
    ]
    return float(np.sqrt(max([0.0, *spread])))


def residuals_of(
    found: Sequence[TotalFacts], span: Span, error_frac: float, chance: Mapping[str, float]
) -> pd.DataFrame:
    """Return how far the mean of earlier periods missed the later ones, as a backcast does.

    Args:
        found: Totals.
        span: The months.
        error_frac: Standard deviation of the logarithm of a reported total.
        chance: From `chance_of`.

    Returns:
        The columns of `analysis.discrepancy.COLUMNS`; may be without rows.
    """
    rows = []
    for resource in dict.fromkeys(t.resource for t in found):
        mine = [t for t in found if t.resource == resource]
        table = _by_site(mine, span)
        noise = error_frac**2 + chance.get(resource, 0.0)
        for known in range(2, table.shape[0]):
            for k in range(known, table.shape[0]):
                rows += _missed(table, known, k, resource, noise, span)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _by_site(found: Sequence[TotalFacts], span: Span) -> pd.DataFrame:
    """Return totals by period (index, those with any) and site; 0 where a site told nothing."""
    periods = span.calendar.periods(span.reported)
    rows = [(t.period, t.site, t.quantity) for t in found]
    frame = pd.DataFrame(rows, columns=["period", "site", "quantity"])
    wide = frame.pivot_table(index="period", columns="site", values="quantity", aggfunc="sum")
    return wide.reindex([p for p in periods if p in wide.index]).fillna(0.0)


def _missed(
    table: pd.DataFrame, known: int, k: int, resource: str, noise: float, span: Span
) -> list[tuple[Any, ...]]:
    """Return the residuals of a period for the mean of the first `known`: all sites, then each."""
    lengths = span.calendar.month_length_h
    hours = np.array([lengths[[m - 1 for m in months_of(p)]].sum() for p in table.index])
    before = table.iloc[:known].sum() / hours[:known].sum() * hours[k]
    now, period = table.iloc[k], str(table.index[k])
    if not (before.sum() > 0.0 and now.sum() > 0.0):
        return []
    variance = noise * (1.0 + 1.0 / known)
    base = (f"M{months_of(str(table.index[known - 1]))[-1]}", READING, period)
    missed = log(now.sum() / before.sum())
    rows: list[tuple[Any, ...]] = [
        (*base, ALL, resource, UNIT_OF[resource], now.sum(), missed, variance, None, None, None)
    ]
    for site in table.columns if len(table.columns) > 1 else ():
        if before[site] > 0.0 and now[site] > 0.0:
            own = log(now[site] / before[site])
            rows.append((*base, site, resource, UNIT_OF[resource], now[site], own, variance,
                         before[site] / before.sum(), own - missed, variance))  # fmt: skip
    return rows
