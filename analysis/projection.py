"""Projection: runs at posterior draws, turned into the tidy tables that everything else reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.federations import Case
from analysis.frames import AVERAGED
from analysis.hypotheses import Target, all_targets, increment_id, targets
from analysis.outputs import TargetValues, accounted, subset
from sim.entities import Federation
from sim.runner import RunResult
from sim.timeline import months_of
from sim.units import LEDGERS, RESOURCES, UNIT_OF, FloatArray, IntArray

SERVICE_METRICS = ("training_cycles", "models_developed", "models_trained", "countries")
_SUMMED = ("training_cycles", "application_usage")


@dataclass(frozen=True, eq=False)
class Kept:
    """What a projection keeps of a run.

    Args:
        monthly: Shape (months, sites, resources, ledgers).
        metrics: By name, shape (months,).
        fitted: Values of all figures, shape (targets,).
    """

    monthly: FloatArray
    metrics: dict[str, FloatArray]
    fitted: FloatArray


@dataclass(frozen=True)
class Keep:
    """Reduces a run to what a projection keeps; picklable."""

    values: TargetValues

    def __call__(self, result: RunResult) -> Kept:
        """Reduce one run."""
        monthly = result.usage.quantity.sum(axis=(2, 5))
        return Kept(monthly, result.metrics(), self.values(result))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """The runs of a projection.

    Args:
        kept: What is kept of every run, in order.
        hypothesis: Hypothesis of every run, same order.
        figures: The figures whose values were kept.
        point_of: Number of the posterior draw behind every run, shape (runs,); None: each its own.
        law: Growth law of every run; None: one for all.
    """

    kept: list[Kept]
    hypothesis: list[str]
    figures: tuple[Target, ...]
    point_of: IntArray | None = None
    law: list[str] | None = None

    @property
    def point(self) -> IntArray:
        """Number of the posterior draw behind every run, shape (runs,)."""
        return np.arange(len(self.kept)) if self.point_of is None else self.point_of

    @property
    def branch(self) -> list[str]:
        """Hypothesis and growth law of every run."""
        laws = self.law or [""] * len(self.kept)
        return [f"{h} {law}".strip() for h, law in zip(self.hypothesis, laws, strict=True)]

    def of(self, hypothesis: str) -> list[int]:
        """Return the positions of a hypothesis' runs."""
        return [i for i, name in enumerate(self.hypothesis) if name == hypothesis]


def members(ensemble: Ensemble, case: Case) -> dict[str, list[int]]:
    """Return the runs under each hypothesis, and under their average if there are several.

    The average takes runs of each hypothesis in proportion to the stated prior weights.
    """
    names = list(dict.fromkeys(ensemble.hypothesis))
    found = {name: ensemble.of(name) for name in names}
    if len(names) > 1:
        weights = case.hypotheses.weights()
        most = min(len(found[n]) / weights[n] for n in names if weights[n] > 0.0)
        found[AVERAGED] = [i for n in names for i in found[n][: round(most * weights[n])]]
    return found


def usage_draws(
    ensemble: Ensemble, case: Case, periods: Sequence[tuple[str, range]]
) -> pd.DataFrame:
    """Return quantities per draw, hypothesis, period, site, resource and ledger.

    Args:
        ensemble: The runs.
        case: The federation.
        periods: Labels and their project months.

    Returns:
        The columns of `projection_draws.parquet`; site "all" is the sum over sites and ledger
        "reported" what the accounting would show under the hypothesis.
    """
    sites = [*case.federation.sites, "all"]
    parts = []
    for name, runs in members(ensemble, case).items():
        cube = np.stack([_by_period(ensemble.kept[i].monthly, periods) for i in runs])
        for r, resource in enumerate(RESOURCES):
            ledgers = LEDGERS[:2] if resource == "storage" else LEDGERS
            values = {ledger: cube[:, :, :, r, LEDGERS.index(ledger)] for ledger in ledgers}
            shown = [as_reported(ensemble, case, i, resource) for i in runs]
            values["reported"] = np.stack([_by_period(series, periods) for series in shown])
            for ledger, value in values.items():
                whole = np.concatenate([value, value.sum(axis=2, keepdims=True)], axis=2)
                parts.append(_tidy(whole, name, [p for p, _ in periods], sites, resource, ledger))
    return pd.concat(parts, ignore_index=True)


def as_reported(ensemble: Ensemble, case: Case, run: int, resource: str) -> FloatArray:
    """Return what the accounting would show of a run, shape (months, sites).

    The ledger is the one that the run's hypothesis names for the months to come, and in a reported
    period the one it takes the cumulative table to measure. Sites without a row show nothing.
    """
    hypothesis = case.hypotheses.hypotheses[ensemble.hypothesis[run]]
    rows, calendar = accounted(case.federation), case.federation.calendar
    monthly = ensemble.kept[run].monthly[:, :, RESOURCES.index(resource)]
    shown = monthly[:, :, LEDGERS.index(hypothesis.reported[resource])].copy()  # type: ignore[index]
    for period in calendar.periods(case.federation.reported_months):
        ledger = hypothesis.reads.get(increment_id(resource, period))
        if ledger is not None:
            span = slice(months_of(period).start - 1, months_of(period).stop - 1)
            shown[span] = monthly[span, :, LEDGERS.index(ledger)]
    return shown * np.array([(site, resource) in rows for site in case.federation.sites])


def _by_period(monthly: FloatArray, periods: Sequence[tuple[str, range]]) -> FloatArray:
    return np.stack([monthly[m.start - 1 : m.stop - 1].sum(axis=0) for _, m in periods])


def _tidy(
    value: FloatArray,
    hypothesis: str,
    periods: list[str],
    sites: list[str],
    resource: str,
    ledger: str,
) -> pd.DataFrame:
    draws = len(value)
    draw, period, site = np.meshgrid(
        np.arange(draws), np.arange(len(periods)), np.arange(len(sites)), indexing="ij"
    )
    return pd.DataFrame(
        {
            "draw": draw.ravel(),
            "hypothesis": hypothesis,
            "period": np.array(periods, dtype=object)[period.ravel()],
            "site": np.array(sites, dtype=object)[site.ravel()],
            "resource": resource,
            "ledger": ledger,
            "quantity": value.ravel(),
            "unit": UNIT_OF[resource],
        }
    )


def monthly_draws(ensemble: Ensemble, case: Case, months: range) -> pd.DataFrame:
    """Return the reported ledger of all sites by month, with the branch behind each draw."""
    rows = []
    for name, runs in members(ensemble, case).items():
        for k, i in enumerate(runs):
            branch = ensemble.hypothesis[i]
            for resource in RESOURCES:
                series = as_reported(ensemble, case, i, resource)
                series = series[months.start - 1 : months.stop - 1]
                rows.append(
                    pd.DataFrame(
                        {
                            "draw": k,
                            "hypothesis": name,
                            "branch": branch,
                            "month": list(months),
                            "resource": resource,
                            "quantity": series.sum(axis=1),
                            "unit": UNIT_OF[resource],
                        }
                    )
                )
    return pd.concat(rows, ignore_index=True)


def metric_draws(
    ensemble: Ensemble, case: Case, periods: Sequence[tuple[str, range]]
) -> pd.DataFrame:
    """Return the platform services' metrics, and the users each site would print."""
    federation = case.federation
    rows = []
    for name, runs in members(ensemble, case).items():
        for k, i in enumerate(runs):
            metrics = ensemble.kept[i].metrics
            for period, months in periods:
                for where, metric in _metric_rows(federation):
                    series = metrics[metric]
                    value = (
                        series[months.start - 1 : months.stop - 1].sum()
                        if metric in _SUMMED
                        else series[months.stop - 2]
                    )
                    unit = "CPU-h+GPU-h" if metric in _SUMMED else "count"
                    rows.append((k, name, period, where, metric, float(value), unit))
    columns = ["draw", "hypothesis", "period", "installation", "metric", "quantity", "unit"]
    return pd.DataFrame(rows, columns=columns)


def _metric_rows(federation: Federation) -> list[tuple[str, str]]:
    rows = [(federation.development_service, m) for m in SERVICE_METRICS]
    rows += [
        (federation.deployment_service, m)
        for m in ("application_usage", "applications_hosted", "countries")
    ]
    return rows + [(site, m) for site in federation.sites for m in ("users", "countries")]


def figures_of(case: Case) -> tuple[Target, ...]:
    """Return every figure that any hypothesis fits."""
    return tuple(all_targets(case.observations, case.hypotheses))


def fitted_values(
    ensemble: Ensemble, case: Case, hypothesis: str
) -> tuple[list[Target], FloatArray]:
    """Return the figures of a hypothesis and their simulated values, shape (runs, figures)."""
    chosen = targets(case.observations, case.hypotheses.hypotheses[hypothesis])
    columns = subset(ensemble.figures, chosen)
    runs = ensemble.of(hypothesis)
    return chosen, np.array([ensemble.kept[i].fitted[columns] for i in runs])


def periods_of(federation: Federation) -> tuple[list[tuple[str, range]], list[tuple[str, range]]]:
    """Return the reported periods, and the projected ones with the whole projected time.

    The whole is called PYn where it is project year n, else by its months.
    """
    calendar, reported = federation.calendar, federation.reported_months
    labels = [(p, months_of(p)) for p in calendar.periods()]
    past = [(p, m) for p, m in labels if m.stop - 1 <= reported]
    left = [range(max(m.start, reported + 1), m.stop) for _, m in labels if m.stop - 1 > reported]
    future = [(f"M{m.start}-M{m.stop - 1}", m) for m in left]
    if len(future) > 1:
        whole = range(reported + 1, calendar.months + 1)
        is_year = len(whole) == 12 and reported % 12 == 0
        label = f"PY{reported // 12 + 1}" if is_year else f"M{whole.start}-M{whole.stop - 1}"
        future = [*future, (label, whole)]
    return past, future
