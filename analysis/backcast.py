"""Backcasts: fit on the figures to a month, predict the half-years after it that were reported.

`make backcast` fits the reference case on the figures to M12 and to M18 and holds what it predicts
against what was reported and against three forecasters that know nothing but the totals: what the
mechanism alone says, and what is carried into a projection, which has walks for what the mechanism
cannot reproduce (`discrepancy`). Writes docs/backcast/ and the tables of docs/backcast.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis import discrepancy
from analysis.calibration.calibrate import calibrate
from analysis.calibration.waves import Settings, Work, made_from
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import consumption, increment_id, logged, targets
from analysis.observations import ALL
from analysis.outputs import TargetValues
from analysis.progress import progress
from analysis.projection import Ensemble, Keep, as_reported
from analysis.runfolder import kept_folder
from analysis.worlds import specs_of
from sim.policies.base import Policies
from sim.timeline import months_of
from sim.units import LEDGERS, RESOURCES, UNIT_OF, FloatArray

NAIVE = ("last", "trend", "doubling")
REPEATS = 20  # reporting errors, and walks, drawn for each run: enough for a score's third digit
WIDER = 2.0  # by how much wide priors are wider
EFFORT = Settings(runs=3000, steps=400, keep=300, seed=0, jobs=-1)  # of each calibration


@dataclass(frozen=True)
class Figure:
    """A figure that a backcast predicts, as a reading of the report takes it.

    Args:
        hypothesis: The reading.
        period: Accounting period.
        site: Site, or `all`.
        resource: Resource.
        ledger: Ledger that it is taken to measure.
        reported: In the unit of the resource, above 0.
        noise: Standard deviation of its logarithm.
    """

    hypothesis: str
    period: str
    site: str
    resource: str
    ledger: str
    reported: float
    noise: float

    @property
    def total(self) -> tuple[str, str, str, str]:
        """What it shares with the total it is a part of."""
        return self.hypothesis, self.period, self.resource, self.ledger


@dataclass(frozen=True, eq=False)
class Predicted:
    """What runs at posterior draws say of the months after the last one that was known.

    Args:
        month: The last month known.
        hypothesis: Reading of every run.
        sites: Names.
        shown: What the accounting would show, shape (runs, months, sites, resources).
        usage: The same in all ledgers, shape (runs, months, sites, resources, ledgers).
    """

    month: int
    hypothesis: tuple[str, ...]
    sites: tuple[str, ...]
    shown: FloatArray
    usage: FloatArray

    def without(self) -> FloatArray:
        """Return factors that change nothing; shape as of `factors`."""
        return np.ones((len(self.shown), REPEATS, *self.shown.shape[1:]))

    def factors(self, sizes: discrepancy.Sizes, random: np.random.Generator) -> FloatArray:
        """Draw walks, shape (runs, repeats, months, sites, resources)."""
        runs, months = self.shown.shape[:2]
        drawn = discrepancy.walks(sizes, self.sites, months, runs * REPEATS, random)
        return drawn.reshape(runs, REPEATS, *drawn.shape[1:])

    def monthly(self, figure: Figure) -> FloatArray:
        """Return a figure's quantity by month and site; shape (runs, months, sites)."""
        runs = [i for i, name in enumerate(self.hypothesis) if name == figure.hypothesis]
        resource = RESOURCES.index(figure.resource)
        if figure.site == ALL:
            return np.asarray(self.shown[runs][:, self._span(figure), :, resource])
        usage = self.usage[runs][:, self._span(figure), :, resource]
        mine = np.array([site == figure.site for site in self.sites])
        return np.asarray(usage[..., LEDGERS.index(figure.ledger)] * mine)

    def total(self, figure: Figure, factors: FloatArray) -> FloatArray:
        """Return a figure's quantity in every run and repeat, shape (runs x repeats,)."""
        runs = [i for i, name in enumerate(self.hypothesis) if name == figure.hypothesis]
        moved = factors[runs][:, :, self._span(figure), :, RESOURCES.index(figure.resource)]
        return np.asarray((self.monthly(figure)[:, None] * moved).sum(axis=(2, 3)).ravel())

    def _span(self, figure: Figure) -> slice:
        months = months_of(figure.period)
        return slice(months.start - 1 - self.month, months.stop - 1 - self.month)


def told_by(case: Case, month: int) -> Case:
    """Return the case as it was known at the end of a month: later figures are taken away.

    Its calendar ends with the last month that was ever reported: nothing after it is predicted.

    Args:
        case: The case with all its figures.
        month: End of an accounting period.
    """
    ends = case.observations["period"].map(_end)
    observations = case.observations[ends <= month].reset_index(drop=True)
    calendar = replace(case.federation.calendar, months=case.federation.reported_months)
    federation = replace(case.federation, reported_months=month, calendar=calendar)
    return replace(case, federation=federation, observations=observations)


def widened(case: Case, factor: float = WIDER) -> Case:
    """Return the case with all priors wider on the scale of z, which is cut off as ever."""
    priors = {n: replace(p, sigma=factor * p.sigma) for n, p in case.priors.priors.items()}
    return replace(case, priors=replace(case.priors, priors=priors))


def _end(period: str) -> int:
    """Return the last month of a period, 0 of what is none."""
    return months_of(period)[-1] if period.startswith("M") else 0


def figures_ahead(case: Case, month: int) -> list[Figure]:
    """Return the totals and then the sites' figures that a backcast from a month predicts.

    A site's figure is predicted under a reading that says which ledger it measures. Each is in the
    order of the readings, then of `RESOURCES`.
    """
    found = []
    noise = case.hypotheses.noise
    for row in consumption(case.observations, case.hypotheses).to_dict("records"):
        name, period, resource, reported = (
            row[k] for k in ("hypothesis", "period", "resource", "quantity")
        )
        if _end(period) > month and reported > 0.0:
            hypothesis = case.hypotheses.hypotheses[name]
            read = hypothesis.reads.get(increment_id(resource, period))
            ledger = read or hypothesis.reported[resource]
            size = noise.get(resource, noise["default"])
            found.append(Figure(name, period, ALL, resource, ledger, reported, size))
    for name, hypothesis in case.hypotheses.hypotheses.items():
        for target in targets(case.observations, hypothesis):
            if target.metric == "usage" and target.site != ALL and _end(target.period) > month:
                size = case.hypotheses.noise_of(target)
                found.append(Figure(name, target.period, target.site, target.resource,
                                    target.ledger, target.value, size))  # fmt: skip
    readings = list(case.hypotheses.hypotheses)
    return sorted(
        found,
        key=lambda f: (
            f.site != ALL,
            readings.index(f.hypothesis),
            RESOURCES.index(f.resource),
            _end(f.period),
        ),
    )


def predicted(case: Case, policies: Policies, month: int, effort: Settings) -> Predicted:
    """Fit on the figures to a month and play posterior draws to the last reported one."""
    known = told_by(case, month)
    draws = calibrate(Work(known, policies, effort, kept_folder(), progress)).draws
    calendar = known.federation.calendar
    played = replace(case, federation=replace(case.federation, calendar=calendar))
    specs = specs_of(played, policies, draws, 1, effort.seed + month)
    name = digest(made_from(known, policies), calendar, effort.seed, draws.to_csv())
    with progress(f"runs from M{month}", len(specs)) as advance:
        kept = run_in_chunks(
            lambda: specs, len(specs), Keep(TargetValues((), frozenset())),
            kept_folder() / f"backcast-{name}", effort.jobs, advance,
        )  # fmt: skip
    ensemble = Ensemble(kept, list(draws["hypothesis"]), ())
    shown = [
        np.stack([as_reported(ensemble, played, run, r) for r in RESOURCES], axis=-1)
        for run in range(len(kept))
    ]
    return Predicted(
        month,
        tuple(ensemble.hypothesis),
        tuple(case.federation.sites),
        np.stack(shown)[:, month:],
        np.stack([k.monthly for k in kept])[:, month:],
    )


def residuals(case: Case, found: Predicted) -> pd.DataFrame:
    """Return what the mechanism alone missed, figure by figure.

    Returns:
        The columns of `discrepancy.COLUMNS`, on the scale on which figures are fitted.
    """
    figures = figures_ahead(case, found.month)
    alone = found.without()[:, :1]
    away = {f: _away(f, found.total(f, alone)) for f in figures}
    totals = {f.total: f for f in figures if f.site == ALL}
    rows = []
    for figure in figures:
        total = totals.get(figure.total)
        share = (np.nan, np.nan, np.nan)
        if figure.site != ALL and total is not None:
            apart = away[figure] - away[total]
            part = found.total(figure, alone) / np.maximum(found.total(total, alone), 1e-9)
            share = (part.mean(), apart.mean(), apart.var() + figure.noise**2)
        rows.append(
            (f"M{found.month}", figure.hypothesis, figure.period, figure.site, figure.resource,
             UNIT_OF[figure.resource], figure.reported, away[figure].mean(),
             away[figure].var() + figure.noise**2, *share)
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(discrepancy.COLUMNS))


def _away(figure: Figure, drawn: FloatArray) -> FloatArray:
    """Return how far a figure lies above predictions of it, on the logarithm."""
    log_reported = logged(figure.reported, figure.reported)
    return np.asarray(log_reported - logged(drawn, figure.reported))


def scored(case: Case, found: Predicted, factors: FloatArray, seed: int) -> pd.DataFrame:
    """Hold predictions against what was reported.

    Args:
        case: The case with all its figures.
        found: As `predicted` returns it.
        factors: On its monthly quantities, from `found.factors` or `found.without`.
        seed: Seed of the reporting noise.

    Returns:
        A row for each hypothesis, period, site (or `all`) and resource: fitted_to, ahead (in
        accounting periods), reported, median and 90 % interval of the prediction with its
        reporting noise, pit (probability of less than was reported), z (on the logarithm), crps
        and, for totals, the absolute error of each naive forecaster, in `unit`.
    """
    told = consumption(case.observations, case.hypotheses)
    random = np.random.Generator(np.random.Philox(seed))
    rows = []
    for figure in figures_ahead(case, found.month):
        drawn = found.total(figure, factors)
        drawn = drawn * np.exp(figure.noise * random.standard_normal(len(drawn)))
        ahead = (_end(figure.period) - found.month) // case.federation.calendar.period_months
        errors = [np.nan] * len(NAIVE)
        if figure.site == ALL:
            mine = (told["hypothesis"] == figure.hypothesis) & (told["resource"] == figure.resource)
            known = told.loc[mine & (told["period"].map(_end) <= found.month), "quantity"]
            naive = naive_forecasts(list(known), ahead)
            errors = [abs(naive[n] - figure.reported) for n in NAIVE]
        low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95])
        rows.append(
            (f"M{found.month}", ahead, figure.hypothesis, figure.period, figure.site,
             figure.resource, UNIT_OF[figure.resource], figure.reported, low, middle, high,
             pit(drawn, figure.reported), z_score(drawn, figure.reported),
             crps(drawn, figure.reported), *errors)
        )  # fmt: skip
    columns = ["fitted_to", "ahead", "hypothesis", "period", "site", "resource", "unit",
               "reported", "p05", "p50", "p95", "pit", "z", "crps",
               *(f"error_{n}" for n in NAIVE)]  # fmt: skip
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
    return float((np.log(reported) - logs.mean()) / max(logs.std(), 1e-9))


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


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the backcasts of a case leave.

    Args:
        scores: As `scored` returns it, with a column discrepancy (false: the mechanism alone).
        residuals: As `residuals` returns it.
        sizes: known_to, resource, p05, p50, p95: of the walks' sizes as they were known.
    """

    scores: pd.DataFrame
    residuals: pd.DataFrame
    sizes: pd.DataFrame


def backcasts(case: Case, policies: Policies, effort: Settings) -> Outcome:
    """Backcast from every period end that leaves something to predict and two to learn from.

    Each has walks of the sizes that were known then: from backcasts from earlier months, and of
    them only what had been reported by then.
    """
    length, reported = case.federation.calendar.period_months, case.federation.reported_months
    weights = case.hypotheses.weights()
    missed, scores, known = discrepancy.no_residuals(), [], []
    for month in range(2 * length, reported, length):
        found = predicted(case, policies, month, effort)
        sizes = discrepancy.estimate(missed, month, weights)
        random = np.random.Generator(np.random.Philox([effort.seed, month]))
        for moved, factors in (
            (False, found.without()),
            (True, found.factors(sizes, random)),
        ):
            score = scored(case, found, factors, effort.seed)
            scores.append(score.assign(discrepancy=moved))
        known.append(sizes.summary().assign(known_to=month))
        more = residuals(case, found)
        missed = more if missed.empty else pd.concat([missed, more], ignore_index=True)
    sizes = discrepancy.estimate(missed, reported, weights)
    known.append(sizes.summary().assign(known_to=reported))
    return Outcome(
        pd.concat(scores, ignore_index=True), missed, pd.concat(known, ignore_index=True)
    )
