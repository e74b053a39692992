"""When each budget runs out, and how sure that is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cumulative import DateAt, cumulative_draws, reported_totals
from analysis.frames import hypotheses_of, require
from analysis.wording import percent, resource_word, thousands, under
from sim.errors import DataError

COLUMNS = [
    "hypothesis", "resource", "unit", "budget", "horizon_month", "p_exhausted", "p_already",
    "already_period", "elapsed_months_p05", "elapsed_months_p50", "elapsed_months_p95",
    "date_p05", "date_p50", "date_p95", "sentence",
]
_CUTS = ("p05", "p50", "p95")


def exhaustion(
    monthly: pd.DataFrame, consumed: pd.DataFrame, budgets: pd.DataFrame, date_at: DateAt
) -> pd.DataFrame:
    """Say when each budget is used up, per hypothesis and resource.

    Args:
        monthly: draw, hypothesis, branch, month, resource, quantity, unit; ledger reported.
        consumed: hypothesis, period, resource, quantity; reported increments as read.
        budgets: resource, quantity, unit.
        date_at: From elapsed months to the day, e.g. `cumulative.elapsed_date(calendar)`.

    Returns:
        Columns `COLUMNS`. p_exhausted counts every draw used up by the end of `horizon_month`;
        p_already those used up in the reported months, in `already_period`. The months elapsed
        and dates are quantiles over the draws used up after the last report; 24.5 is the middle
        of M25, found by straight interpolation within the month. NaN and None where no draw is.

    Raises:
        DataError: When a table lacks a column or a month, or a budget is of an unknown resource.
    """
    require(budgets, ["resource", "quantity", "unit"], "budgets")
    cumulative = cumulative_draws(monthly, consumed)
    totals = reported_totals(consumed)
    known = [str(name) for name in cumulative["resource"].unique()]
    rows = []
    for resource, budget, unit in zip(
        budgets["resource"], budgets["quantity"], budgets["unit"], strict=True
    ):
        if resource not in known:
            raise DataError("budget of an unknown resource", "budgets",
                            "a resource that is projected", given=resource, candidates=known)
        for hypothesis in hypotheses_of(cumulative):
            mine = cumulative[
                (cumulative["resource"] == resource) & (cumulative["hypothesis"] == hypothesis)
            ]
            read = totals[
                (totals["resource"] == resource) & totals["hypothesis"].isin(set(mine["branch"]))
            ]
            row = _row(mine, read, float(budget), date_at)
            row |= {"hypothesis": hypothesis, "resource": resource, "unit": unit}
            rows.append(row | {"sentence": _sentence(row)})
    return pd.DataFrame(rows, columns=COLUMNS)


def exhausted_after_months(cumulative: pd.DataFrame, budget: float) -> pd.Series:
    """Find when each draw reaches the budget.

    Args:
        cumulative: Rows of one hypothesis and resource from `cumulative_draws`.
        budget: Quantity in the unit of the resource.

    Returns:
        Elapsed months by draw: the last reported month or earlier is given as that month,
        infinity where the budget outlasts the horizon.
    """
    wide = cumulative.pivot(index="draw", columns="month", values="quantity")
    used, months = wide.to_numpy(), wide.columns.to_numpy()
    reached = used >= budget
    place = reached.argmax(axis=1)
    at = np.arange(len(used))
    before, after = used[at, np.maximum(place - 1, 0)], used[at, place]
    with np.errstate(invalid="ignore", divide="ignore"):
        inside = (budget - before) / (after - before)
    elapsed = np.where(place == 0, months[0], months[place] - 1 + inside)
    return pd.Series(np.where(reached.any(axis=1), elapsed, np.inf), index=wide.index)


def _row(
    mine: pd.DataFrame, read: pd.DataFrame, budget: float, date_at: DateAt
) -> dict[str, object]:
    """Compute one row, names and sentence left out."""
    last, horizon = int(mine["month"].min()), int(mine["month"].max())
    elapsed = exhausted_after_months(mine, budget)
    later = elapsed[(elapsed > last) & np.isfinite(elapsed)]
    reached = read[read["quantity"] >= budget].drop_duplicates("hypothesis")
    row: dict[str, object] = {
        "budget": budget,
        "horizon_month": horizon,
        "p_exhausted": float(np.isfinite(elapsed).mean()),
        "p_already": float((elapsed <= last).mean()),
        "already_period": " or ".join(reached["period"].unique()) or None,
    }
    for name, cut in zip(_CUTS, (0.05, 0.5, 0.95), strict=True):
        months = float(later.quantile(cut)) if len(later) else np.nan
        row[f"elapsed_months_{name}"] = months
        row[f"date_{name}"] = date_at(months) if len(later) else None
    return row


def _sentence(row: dict[str, object]) -> str:
    """Say one row in plain words."""
    already, exhausted = float(str(row["p_already"])), float(str(row["p_exhausted"]))
    start = (
        f"{resource_word(str(row['resource']))}, {under(str(row['hypothesis']))}: the budget of "
        f"{thousands(float(str(row['budget'])))} {row['unit']} "
    )
    when = f"was used up in {row['already_period']}, before the projection begins"
    if already == 1.0:
        return f"{start}{when}."
    end = f"by the end of M{row['horizon_month']}"
    dates = (
        f"between {row['date_p05']} and {row['date_p95']} (90 % interval), median "
        f"{row['date_p50']}"
    )
    if already > 0.0:
        text = f"{start}{when}, in {percent(already)} of the draws"
        if exhausted > already:
            text += (
                f"; it is used up {end} with probability {percent(exhausted)} in all, and where "
                f"it lasts into the projection but not to its end, {dates}"
            )
        return f"{text}."
    if exhausted == 0.0:
        return f"{start}is not used up {end} in any draw."
    return f"{start}is used up {end} with probability {percent(exhausted)}; if so, {dates}."
