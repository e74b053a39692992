"""The tables of a projection: its summary, and the report's own tables carried on."""

from __future__ import annotations

import pandas as pd

from analysis.cumulative import DateAt, cumulative_draws, cumulative_table, tidy_cumulative
from analysis.frames import by_time, hypotheses_of, is_year, quantile_table, require, span
from analysis.installations import TIDY_COLUMNS, installation_tables, tidy_installations

SUMMARY_KEYS = ["hypothesis", "period", "site", "resource", "ledger", "unit"]
NUMBERS = "numbers"


def summarise(draws: pd.DataFrame) -> pd.DataFrame:
    """Summarise the draws of a projection.

    Args:
        draws: draw, hypothesis, period, site, resource, ledger, quantity, unit.

    Returns:
        One row per hypothesis (the average first), period, site, resource, ledger and unit:
        mean, sd, p05, p25, p50, p75, p95, in `unit`.

    Raises:
        DataError: When a column or a quantity is missing.
    """
    require(draws, ["draw", *SUMMARY_KEYS, "quantity"], "draws")
    out = quantile_table(draws, SUMMARY_KEYS)
    order = {name: place for place, name in enumerate(hypotheses_of(draws))}
    time = {name: place for place, name in enumerate(by_time(draws["period"]))}
    places = out.assign(_h=out["hypothesis"].map(order), _p=out["period"].map(time))
    return out.loc[places.sort_values(["_h", "_p"], kind="stable").index].reset_index(drop=True)


def report_tables(
    observations: pd.DataFrame,
    history: pd.DataFrame,
    draws: pd.DataFrame,
    metrics: pd.DataFrame,
    monthly: pd.DataFrame,
    consumed: pd.DataFrame,
    budgets: pd.DataFrame,
    date_at: DateAt,
) -> dict[str, pd.DataFrame]:
    """Extend the report's tables by the projected half-years, in their own shape.

    Args:
        observations: The federation's figures; a blank value is NaN and stays blank.
        history: Posterior predictive of the reported half-years, columns as `draws`.
        draws: draw, hypothesis, period, site, resource, ledger, quantity, unit.
        metrics: draw, hypothesis, period, installation, metric, quantity, unit.
        monthly: draw, hypothesis, branch, month, resource, quantity, unit; ledger reported.
        consumed: hypothesis, period, resource, quantity; reported increments as read.
        budgets: resource, quantity, unit.
        date_at: From elapsed months to the day, e.g. `cumulative.elapsed_date(calendar)`.

    Returns:
        A table per installation ("2.4.1 IFCA-CSIC GPU"), the summary of consumption
        ("2.12 cumulative", numbered as the observations have it) and `NUMBERS`, the same tidy.

    Raises:
        DataError: When a table lacks a column, a month or a reading.
    """
    require(
        observations,
        ["table", "installation", "site", "metric", "resource", "ledger", "period", "value",
         "unit"],
        "observations",
    )
    require(metrics, ["draw", "hypothesis", "period", "installation", "metric", "quantity",
                      "unit"], "metrics")
    for name, frame in (("history", history), ("draws", draws)):
        require(frame, ["draw", *SUMMARY_KEYS, "quantity"], name)
    tidy = tidy_installations(observations, history, draws, metrics)
    tables = installation_tables(observations, tidy, draws)
    cumulative = cumulative_draws(monthly, consumed)
    ends = [span(p)[1] for p in by_time(draws["period"]) if not is_year(p)]
    number = observations.loc[observations["metric"] == "cumulative", "table"]
    title = f"{number.iloc[0]} cumulative" if len(number) else "cumulative"
    tables[title] = cumulative_table(observations, cumulative, consumed, budgets, ends, date_at)
    extra = tidy_cumulative(observations, cumulative, ends).reindex(columns=TIDY_COLUMNS)
    tables[NUMBERS] = pd.concat([tidy, extra], ignore_index=True)
    return tables
