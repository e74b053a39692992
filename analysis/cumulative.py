"""Consumption since the start of the project: what was reported, and on from there by draw."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from analysis.frames import AVERAGED, by_time, hypotheses_of, quantile_table, require, span
from analysis.wording import interval, month_and_year, resource_word, thousands
from sim.errors import DataError
from sim.timeline import ProjectCalendar

DateAt = Callable[[float], date]
_KEY = ["draw", "hypothesis", "resource"]


def elapsed_date(calendar: ProjectCalendar) -> DateAt:
    """Return the function from elapsed project months to the day.

    Args:
        calendar: The calendar of the federation.

    Returns:
        A function: 24.0 months elapsed (the end of M24) is the first day of M25, 24.5 the day
        in the middle of M25.
    """
    whole = np.arange(calendar.months + 1)
    return lambda elapsed: calendar.day_at(float(np.interp(elapsed, whole, calendar.month_edges_h)))


def reported_totals(consumed: pd.DataFrame) -> pd.DataFrame:
    """Add up the reported increments.

    Args:
        consumed: hypothesis, period, resource, quantity; one increment a row.

    Returns:
        hypothesis, resource, period, month (the last of the period), quantity (everything used
        by the end of that month, as the hypothesis reads the report).
    """
    require(consumed, ["hypothesis", "period", "resource", "quantity"], "consumed")
    rank = {label: place for place, label in enumerate(by_time(consumed["period"]))}
    rows = consumed[["hypothesis", "resource", "period", "quantity"]].copy()
    rows["month"] = [span(label)[1] for label in rows["period"]]
    rows = rows.iloc[np.argsort([rank[label] for label in rows["period"]], kind="stable")]
    groups = rows.groupby(["hypothesis", "resource"], sort=False)
    if groups.size().nunique() > 1:
        raise DataError("a period is missing", "consumed", "every period for each resource")
    rows["quantity"] = groups["quantity"].cumsum()
    return rows.reset_index(drop=True)


def cumulative_draws(monthly: pd.DataFrame, consumed: pd.DataFrame) -> pd.DataFrame:
    """Continue each hypothesis' reported consumption by the projected months.

    Args:
        monthly: draw, hypothesis, branch, month, resource, quantity, unit; ledger reported.
        consumed: Reported increments, see `reported_totals`.

    Returns:
        draw, hypothesis, branch, resource, unit, month, quantity: used by the end of `month`;
        the last reported month is the first row of each draw.

    Raises:
        DataError: When a draw lacks a month, has one twice, or its branch was never read.
    """
    require(monthly, [*_KEY, "branch", "month", "unit", "quantity"], "monthly")
    totals = reported_totals(consumed)
    last = int(totals["month"].max())
    rows = monthly.sort_values([*_KEY, "month"], kind="stable")
    _check_months(rows, last)
    first = rows[rows["month"] == last + 1].copy()
    start = totals[totals["month"] == last].set_index(["hypothesis", "resource"])["quantity"]
    pairs = pd.MultiIndex.from_frame(first[["branch", "resource"]])
    unread = pairs.difference(start.index)
    if len(unread):
        branch, resource = unread[0]
        raise DataError(
            f"no reported consumption of {resource}", "consumed",
            "a reading for each branch of the draws", given=branch,
            candidates=[str(name) for name in start.index.get_level_values(0).unique()],
        )
    first["month"] = last
    first["quantity"] = start.reindex(pairs).to_numpy()
    both = pd.concat([first, rows]).sort_values([*_KEY, "month"], kind="stable")
    both["quantity"] = both.groupby(_KEY, sort=False)["quantity"].cumsum()
    columns = ["draw", "hypothesis", "branch", "resource", "unit", "month", "quantity"]
    return _in_order(both[columns], monthly)


def _in_order(rows: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """Put hypotheses and resources into the order in which `like` has them."""
    place = [
        rows[column].astype(str).map({str(n): i for i, n in enumerate(like[column].unique())})
        for column in ("hypothesis", "resource")
    ]
    order = np.lexsort((rows["month"].to_numpy(), rows["draw"].to_numpy(), place[1], place[0]))
    return rows.iloc[order].reset_index(drop=True)


def _check_months(rows: pd.DataFrame, last_reported: int) -> None:
    """Refuse draws whose months are not the same unbroken run after the last report."""
    end = int(rows["month"].max()) if len(rows) else last_reported
    expected = f"each of M{last_reported + 1}..M{end} once in every draw"
    if end <= last_reported:
        raise DataError("no projected month", "monthly", f"months after M{last_reported}")
    if bool(rows.duplicated([*_KEY, "month"]).any()):
        raise DataError("a month twice", "monthly", expected)
    groups = rows.groupby(_KEY, sort=False)["month"]
    if int(groups.min().min()) <= last_reported:
        raise DataError("a reported month", "monthly", expected, given=f"M{groups.min().min()}")
    if int(groups.size().min()) != end - last_reported:
        raise DataError("a month is missing", "monthly", expected)


def cumulative_table(
    observations: pd.DataFrame,
    cumulative: pd.DataFrame,
    consumed: pd.DataFrame,
    budgets: pd.DataFrame,
    ends: list[int],
    date_at: DateAt,
) -> pd.DataFrame:
    """Extend the report's summary of budgets and consumption by the projected period ends.

    Args:
        observations: The federation's figures; rows with metric `cumulative` are used.
        cumulative: From `cumulative_draws`.
        consumed: Reported increments as each hypothesis reads them.
        budgets: resource, quantity, unit.
        ends: Projected months after which a column is shown.
        date_at: From elapsed months to the day, for the headers.

    Returns:
        One row per resource and hypothesis: UNIT, HYPOTHESIS, TOTAL BUDGETED, USED BY M... as
        reported (blank stays blank), the last of them as the hypothesis reads it, and
        USED BY M... as median [p05 - p95].
    """
    require(budgets, ["resource", "quantity", "unit"], "budgets")
    reported = observations[observations["metric"] == "cumulative"]
    periods = by_time(reported["period"])
    totals = reported_totals(consumed)
    last = int(totals["month"].max())
    cuts = quantile_table(
        cumulative[cumulative["month"].isin(ends)], ["hypothesis", "resource", "unit", "month"]
    ).set_index(["hypothesis", "resource", "month"])
    rows = []
    for resource, unit in cumulative.groupby("resource", sort=False)["unit"].first().items():
        told = reported[reported["resource"] == resource].set_index("period")["value"]
        budget = budgets[budgets["resource"] == resource]["quantity"]
        read = totals[(totals["month"] == last) & (totals["resource"] == resource)]
        for hypothesis in hypotheses_of(cumulative):
            row: dict[str, object] = {
                "UNIT": f"{resource_word(str(resource))} ({unit}) - cumulative",
                "HYPOTHESIS": hypothesis,
                "TOTAL BUDGETED IN THE PROJECT": plain(budget.iloc[0] if len(budget) else None),
            }
            row |= {_used_by(span(p)[1], date_at): plain(told.get(p)) for p in periods}
            row[f"USED BY M{last} AS THE HYPOTHESIS READS IT"] = _readings(read, hypothesis)
            for end in ends:
                cut = cuts.loc[(hypothesis, resource, end)]
                row[_used_by(end, date_at)] = interval(cut["p50"], cut["p05"], cut["p95"])
            rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def tidy_cumulative(
    observations: pd.DataFrame, cumulative: pd.DataFrame, ends: list[int]
) -> pd.DataFrame:
    """Give every number of the summary of consumption a row of its own.

    Args:
        observations: The federation's figures; metrics `cumulative` and `budget` are used.
        cumulative: From `cumulative_draws`.
        ends: Projected months after which consumption is shown.

    Returns:
        Rows with kind reported, budget or projected, the first two with `reported` filled.
    """
    told = observations[observations["metric"].isin(["cumulative", "budget"])]
    kind = told["metric"].map({"cumulative": "reported", "budget": "budget"})
    told = told.rename(columns={"value": "reported"}).assign(hypothesis="-", kind=kind)
    cuts = quantile_table(
        cumulative[cumulative["month"].isin(ends)], ["hypothesis", "resource", "unit", "month"]
    )
    cuts = cuts.assign(
        period=[f"M1-M{month}" for month in cuts["month"]], kind="projected",
        metric="cumulative", site="all", installation="all", ledger="reported",
        table=told["table"].iloc[0] if len(told) else "-",
    )
    return pd.concat([told, cuts], ignore_index=True)


def plain(value: float | None) -> float | int | None:
    """Return a whole number as an int, a missing one as None, for a cell of a table."""
    if value is None or np.isnan(value):
        return None
    return int(value) if float(value).is_integer() else float(value)


def _used_by(month: int, date_at: DateAt) -> str:
    """Head a column as the report does."""
    return f"USED BY M{month} ({month_and_year(date_at(month - 0.5))})"


def _readings(at_last: pd.DataFrame, hypothesis: str) -> float | int | str | None:
    """Return the one reading of a hypothesis, or all distinct ones in words for the average."""
    if hypothesis != AVERAGED:
        mine = at_last[at_last["hypothesis"] == hypothesis]["quantity"]
        return plain(mine.iloc[0])
    values = sorted(set(at_last["quantity"]))
    return plain(values[0]) if len(values) == 1 else " or ".join(thousands(v) for v in values)
