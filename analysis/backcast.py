"""Backcasts: fit on the figures to a month, predict the half-years after it that were reported.

`make backcast` fits the reference case on the figures to M12 and to M18 and holds what it predicts
against what was reported and against three forecasters that know nothing but the totals. Writes
docs/backcast/ and the table of docs/backcast.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.calibration.calibrate import calibrate
from analysis.calibration.waves import Settings, Work, made_from
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import consumption
from analysis.outputs import TargetValues
from analysis.progress import progress
from analysis.projection import Ensemble, Keep, as_reported
from analysis.runfolder import kept_folder
from analysis.worlds import specs_of
from sim.policies.base import Policies
from sim.timeline import months_of
from sim.units import RESOURCES, UNIT_OF, FloatArray

NAIVE = ("last", "trend", "doubling")


@dataclass(frozen=True)
class Effort:
    """How much work a backcast takes.

    Args:
        runs: Runs of each calibration.
        steps: Sampler steps of each.
        draws: Posterior draws that are played, for each hypothesis.
        seed: Seed of everything.
        jobs: Processes.
    """

    runs: int = 3000
    steps: int = 2000
    draws: int = 300
    seed: int = 0
    jobs: int = -1


def told_by(case: Case, month: int) -> Case:
    """Return the case as it was known at the end of a month: later figures are taken away.

    Args:
        case: The case with all its figures.
        month: End of an accounting period.
    """
    ends = case.observations["period"].map(_end)
    observations = case.observations[ends <= month].reset_index(drop=True)
    federation = replace(case.federation, reported_months=month)
    return replace(case, federation=federation, observations=observations)


def _end(period: str) -> int:
    """Return the last month of a period, 0 of what is none."""
    return months_of(period)[-1] if period.startswith("M") else 0


def predicted(case: Case, policies: Policies, month: int, effort: Effort) -> pd.DataFrame:
    """Fit on the figures to a month and play posterior draws to the last reported one.

    Returns:
        hypothesis, draw, period, resource, quantity: totals over all sites of the half-years after
        `month`, in the ledger that the accounting shows under the hypothesis.
    """
    known = told_by(case, month)
    settings = Settings(effort.runs, effort.steps, effort.draws, effort.seed, effort.jobs)
    draws = calibrate(Work(known, policies, settings, kept_folder(), progress)).draws
    months = case.federation.reported_months
    shorter = replace(case.federation.calendar, months=months)
    played = replace(case, federation=replace(case.federation, calendar=shorter))
    specs = specs_of(played, policies, draws, 1, effort.seed + month)
    name = digest(made_from(known, policies), months, effort.seed, draws.to_csv())
    with progress(f"runs from M{month}", len(specs)) as advance:
        kept = run_in_chunks(
            lambda: specs, len(specs), Keep(TargetValues((), frozenset())),
            kept_folder() / f"backcast-{name}", effort.jobs, advance,
        )  # fmt: skip
    ensemble = Ensemble(kept, list(draws["hypothesis"]), ())
    periods = [p for p in case.federation.calendar.periods(months) if _end(p) > month]
    rows = []
    for run in range(len(specs)):
        for resource in RESOURCES:
            total = as_reported(ensemble, played, run, resource).sum(axis=1)
            for period in periods:
                span = slice(months_of(period)[0] - 1, months_of(period)[-1])
                where = (draws["hypothesis"].iloc[run], draws["draw"].iloc[run], period, resource)
                rows.append((*where, float(total[span].sum())))
    return pd.DataFrame(rows, columns=["hypothesis", "draw", "period", "resource", "quantity"])


def scored(case: Case, month: int, found: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Hold predictions against what was reported.

    Args:
        case: The case with all its figures.
        month: The last month that was known.
        found: As `predicted` returns it.
        seed: Seed of the reporting noise.

    Returns:
        A row for each hypothesis, period and resource: fitted_to, reported, median and 90 %
        interval of the prediction with its reporting noise, pit (probability of less than was
        reported), z (on the logarithm), crps and the absolute error of each naive forecaster, in
        `unit`.
    """
    told = consumption(case.observations, case.hypotheses)
    random = np.random.Generator(np.random.Philox(seed))
    rows = []
    for (name, period, resource), mine in found.groupby(
        ["hypothesis", "period", "resource"], sort=False
    ):
        series = told[(told["hypothesis"] == name) & (told["resource"] == resource)]
        values = dict(zip(series["period"], series["quantity"], strict=True))
        noise = case.hypotheses.noise.get(resource, case.hypotheses.noise["default"])
        drawn = mine["quantity"].to_numpy()
        drawn = drawn * np.exp(noise * random.standard_normal(len(drawn)))
        known = [value for label, value in values.items() if _end(label) <= month]
        ahead = sum(month < _end(label) <= _end(str(period)) for label in values)
        naive = naive_forecasts(known, ahead)
        low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95])
        reported = float(values[str(period)])
        rows.append(
            (f"M{month}", name, period, resource, UNIT_OF[str(resource)], reported,
             low, middle, high, pit(drawn, reported), z_score(drawn, reported),
             crps(drawn, reported), *(abs(naive[n] - reported) for n in NAIVE))
        )  # fmt: skip
    columns = ["fitted_to", "hypothesis", "period", "resource", "unit", "reported", "p05", "p50",
               "p95", "pit", "z", "crps", *(f"error_{n}" for n in NAIVE)]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def naive_forecasts(known: Sequence[float], ahead: int) -> dict[str, float]:
    """Forecast a total from the totals before it.

    Args:
        known: Totals of the periods so far, the last one last; at least two.
        ahead: How many periods ahead, 1 is the next.

    Returns:
        `last`: the last period again; `trend`: the straight line of least squares through all, not
        below zero; `doubling`: the last difference doubles from period to period.

    >>> naive_forecasts([10.0, 20.0, 40.0], 2)["doubling"]
    160.0
    """
    slope, level = np.polyfit(np.arange(len(known)), known, 1)
    step = known[-1] - known[-2]
    return {
        "last": float(known[-1]),
        "trend": max(float(level + slope * (len(known) - 1 + ahead)), 0.0),
        "doubling": max(float(known[-1] + step * (2.0 ** (ahead + 1) - 2.0)), 0.0),
    }


def pit(drawn: FloatArray, reported: float) -> float:
    """Return the probability that a prediction gives to less than what was reported."""
    return float(((drawn < reported).sum() + 0.5) / (len(drawn) + 1))


def z_score(drawn: FloatArray, reported: float) -> float:
    """Return how many standard deviations of its logarithm a prediction was too low."""
    logs = np.log(np.maximum(drawn, 1e-9))
    return float((np.log(reported) - logs.mean()) / logs.std())


def crps(drawn: FloatArray, reported: float) -> float:
    """Return the continuous ranked probability score of draws, in their unit; less is better.

    For a single value it is the absolute error, so that it can be compared with point forecasts.

    Source: T. Gneiting and A. E. Raftery, JASA 102 (2007) 359, eq. 20.

    >>> crps(np.array([3.0, 3.0]), 5.0)
    2.0
    """
    ordered = np.sort(drawn)
    count = len(ordered)
    weights = 2.0 * np.arange(1, count + 1) - count - 1.0
    spread = float((weights * ordered).sum()) / count**2
    return float(np.abs(ordered - reported).mean()) - spread


def summary(scores: pd.DataFrame, case: Case) -> pd.DataFrame:
    """Average scores over the hypotheses by their prior weights.

    Returns:
        fitted_to, period, resource, unit, crps, the error of each naive forecaster, the best of
        them, crps over its error, and the least and greatest pit of any hypothesis.
    """
    weights = scores["hypothesis"].map(case.hypotheses.weights())
    rows = []
    keys = ["fitted_to", "period", "resource", "unit"]
    for key, mine in scores.groupby(keys, sort=False):
        weight = weights[mine.index] / weights[mine.index].sum()
        means = {c: float((mine[c] * weight).sum()) for c in _scores()}
        best = min(NAIVE, key=lambda n, m=means: m[f"error_{n}"])  # type: ignore[misc]
        ratio = means["crps"] / max(means[f"error_{best}"], 1e-9)
        rows.append((*key, *means.values(), best, ratio, mine["pit"].min(), mine["pit"].max()))
    columns = [*keys, *_scores(), "best_naive", "crps_ratio", "pit_least", "pit_greatest"]
    return pd.DataFrame(rows, columns=columns)


def _scores() -> list[str]:
    return ["crps", *(f"error_{n}" for n in NAIVE)]


def main_tables(case: Case, policies: Policies, effort: Effort) -> pd.DataFrame:
    """Backcast from every period end that leaves something to predict and two to learn from."""
    length = case.federation.calendar.period_months
    months = range(2 * length, case.federation.reported_months, length)
    parts = [
        scored(case, month, predicted(case, policies, month, effort), effort.seed)
        for month in months
    ]
    return pd.concat(parts, ignore_index=True)


