"""Delivers a projection: from its runs to tables, workbook, figures and the report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis import figure_tables, figures, projection
from analysis.budgets import exhaustion
from analysis.calibration.shipped import Posterior
from analysis.certainty import Certainty, Words
from analysis.comparators import comparators
from analysis.comparison import compare
from analysis.cumulative import elapsed_date
from analysis.federations import Case
from analysis.hypotheses import consumption
from analysis.report import write_report
from analysis.sensitivity import leading, outstanding
from analysis.sensitivity_figure import draw_sobol, draw_tornado
from analysis.storing import write_csv, write_parquet
from analysis.tables import report_tables, summarise
from analysis.uncertainty_figure import draw_shares
from analysis.workbook import write_tables
from sim.timeline import months_of
from sim.units import UNIT_OF


@dataclass(frozen=True, eq=False)
class Tables:
    """The tidy tables of a projection (docs/data-dictionary.md).

    Args:
        draws: Quantities of the projected periods.
        history: The same of the reported periods.
        monthly: Reported ledger by projected month.
        metrics: Metrics of the platform services and users by half-year.
        consumed: Reported consumption as each hypothesis reads it.
        budgets: Budget by resource.
        fit: Reported figures beside their posterior predictive intervals.
    """

    draws: pd.DataFrame
    history: pd.DataFrame
    monthly: pd.DataFrame
    metrics: pd.DataFrame
    consumed: pd.DataFrame
    budgets: pd.DataFrame
    fit: pd.DataFrame


def tables_of(case: Case, ensemble: projection.Ensemble, seed: int) -> Tables:
    """Turn the runs of a projection into tidy tables; `seed` is that of the reporting noise."""
    federation = case.federation
    past, future = projection.periods_of(federation)
    longest = federation.calendar.period_months
    halves = [p for p in future if p[0].startswith("M") and len(p[1]) <= longest]
    consumed = consumption(case.observations, case.hypotheses)
    told = max((months_of(p)[-1] for p in consumed["period"]), default=0)
    months = range((told or federation.reported_months) + 1, federation.calendar.months + 1)
    monthly = projection.monthly_draws(ensemble, case, months)
    monthly = monthly[monthly["resource"].isin(consumed["resource"])]  # others are not accounted
    budgets = [(r, q, UNIT_OF[r]) for r, q in federation.budgets.items() if q > 0.0]
    return Tables(
        draws=projection.usage_draws(ensemble, case, future),
        history=projection.usage_draws(ensemble, case, past),
        monthly=monthly,
        metrics=projection.metric_draws(ensemble, case, [*past, *halves]),
        consumed=consumed[consumed["hypothesis"].isin(set(ensemble.hypothesis))],
        budgets=pd.DataFrame(budgets, columns=["resource", "quantity", "unit"]),
        fit=_fit(case, ensemble, seed),
    )


@dataclass(frozen=True, eq=False)
class Answer:
    """What a verb shows of a projection.

    Args:
        summary: As written to `projection.csv`.
        words: What is known, what is prior, what would change the answer.
    """

    summary: pd.DataFrame
    words: Words


def deliver(
    case: Case, posterior: Posterior, ensemble: projection.Ensemble, folder: Path, seed: int,
    sure: Certainty,
) -> Answer:  # fmt: skip
    """Write everything a projection leaves.

    Args:
        case: The federation.
        posterior: What the runs were drawn from.
        ensemble: The runs.
        folder: Where the files go.
        seed: Seed of the reporting noise.
        sure: How sure the projection is.
    """
    found, names = tables_of(case, ensemble, seed), list(dict.fromkeys(ensemble.hypothesis))
    date_at = elapsed_date(case.federation.calendar)
    summary = summarise(found.draws)
    exhausted = exhaustion(found.monthly, found.consumed, found.budgets, date_at)
    compared = comparators(found.draws, case.observations)
    write_parquet(found.draws, folder / "projection_draws.parquet")
    write_parquet(found.history, folder / "history_draws.parquet")
    write_csv(summary, folder / "projection.csv")
    write_csv(exhausted, folder / "budgets.csv")
    write_csv(compared, folder / "comparators.csv")
    write_csv(found.fit, folder / "fit.csv")
    write_csv(sure.shares, folder / "uncertainty.csv")
    write_csv(sure.explained, folder / "explained.csv")
    write_csv(posterior.evidence, folder / "evidence.csv")
    write_csv(posterior.directions, folder / "directions.csv")
    meanings = {n: case.hypotheses.hypotheses[n].says for n in names}
    reported = report_tables(
        case.observations, found.history, found.draws, found.metrics, found.monthly,
        found.consumed, found.budgets, date_at,
    )
    write_tables(reported, folder, hypotheses=meanings)
    checked = figure_tables.fit_check(found.fit, case.observations)
    laws = posterior.laws[posterior.laws["hypothesis"].isin(names)]
    pictures = _draw(case, found, checked, folder / "figures")
    pictures |= _draw_sure(sure, folder / "figures")
    write_report(
        folder, summary, compared, exhausted, _identifiability(posterior, names), checked, laws,
        pictures, meanings, case.federation.name, sure.words.sections(),
    )
    return Answer(summary, sure.words)


def _fit(case: Case, ensemble: projection.Ensemble, seed: int) -> pd.DataFrame:
    parts = []
    for name in dict.fromkeys(ensemble.hypothesis):
        chosen, values = projection.fitted_values(ensemble, case, name)
        noise = [case.hypotheses.noise_of(t) for t in chosen]
        parts.append(compare(name, chosen, values, noise, seed))
    return pd.concat(parts, ignore_index=True)


def _identifiability(posterior: Posterior, hypotheses: Iterable[str]) -> pd.DataFrame:
    table = posterior.parameters
    table = table[table["hypothesis"].isin(set(hypotheses))].copy()
    table["sentence"] = [f"{row.verdict}; prior: {row.source}" for row in table.itertuples()]
    return table


def _draw_sure(sure: Certainty, folder: Path) -> dict[str, Path]:
    """Draw where the uncertainty comes from and what moves the answer; by caption."""
    pictures = {}
    if len(sure.shares):
        caption = "Where the uncertainty of the projected time comes from"
        pictures[caption] = draw_shares(sure.shares, folder, "uncertainty")
    if len(sure.tornado):
        caption = "What each parameter's 90 % interval makes of the projected time"
        pictures[caption] = draw_tornado(leading(sure.tornado), folder, "tornado")
        caption = "Total Sobol indices of the projected time"
        pictures[caption] = draw_sobol(outstanding(sure.sobol), folder, "sobol")
    return pictures


def _draw(case: Case, found: Tables, checked: pd.DataFrame, folder: Path) -> dict[str, Path]:
    """Draw all figures; returns them by caption in the order of the report's page."""
    bands = figure_tables.cumulative_bands(
        case.observations, found.history, found.monthly, found.consumed, found.budgets,
        elapsed_date(case.federation.calendar),
    )
    pictures = {}
    for resource, title in {"storage": "Storage", "gpu": "GPU", "cpu": "CPU"}.items():
        rows = bands[bands["resource"] == resource]
        if len(rows):
            caption = f"{title}: consumption, reported and projected"
            pictures[caption] = figures.draw_cumulative(rows, folder, resource)
            if rows.loc[rows["kind"] == "projected", "hypothesis"].nunique() > 1:
                pictures[f"{caption}, by hypothesis"] = figures.draw_cumulative_wide(
                    rows, folder, f"{resource}_by_hypothesis"
                )
    sites = figure_tables.site_year(found.draws, case.observations)
    pictures["Projected time per site"] = figures.draw_sites(sites, folder, "sites")
    pictures["Reported figures and posterior predictive intervals"] = figures.draw_fit(
        checked, folder, "fit"
    )
    return pictures
