"""The tables the figures draw: every number of a figure is computed here and stands beside it."""

from __future__ import annotations

import pandas as pd

from analysis.cumulative import DateAt, cumulative_draws, reported_totals
from analysis.frames import by_time, headline_period, is_year, quantile_table, require, span
from analysis.installations import installation_rows
from analysis.records.as_figures import METRIC as RECORDS
from analysis.records.as_figures import words_of
from analysis.wording import metric_word, month_and_year, resource_word, thousands

CUMULATIVE_COLUMNS = [
    "resource", "unit", "kind", "hypothesis", "month", "month_label", "value", "p05", "p25",
    "p50", "p75", "p95",
]
SITE_COLUMNS = [
    "site", "resource", "unit", "hypothesis", "period", "p05", "p50", "p95", "last_period",
    "last_reported", "blank_cells",
]
FIT_COLUMNS = ["id", "label", "period", "unit", "hypothesis", "reported", "p05", "p50", "p95",
               "inside"]


def cumulative_bands(
    observations: pd.DataFrame,
    history: pd.DataFrame,
    monthly: pd.DataFrame,
    consumed: pd.DataFrame,
    budgets: pd.DataFrame,
    date_at: DateAt,
) -> pd.DataFrame:
    """Tabulate consumption since the start, reported, fitted and projected.

    Args:
        observations: The federation's figures; rows with metric `cumulative` are used.
        history: Posterior predictive of the reported half-years.
        monthly: draw, hypothesis, branch, month, resource, quantity, unit; ledger reported.
        consumed: Reported increments as each hypothesis reads them.
        budgets: resource, quantity, unit.
        date_at: From elapsed months to the day.

    Returns:
        Columns `CUMULATIVE_COLUMNS`; `month` is the elapsed month at whose end the quantity is
        reached. kind is reported (the report's own figure), read (as a hypothesis reads it),
        fitted (posterior predictive at the ends of reported periods), projected (each month
        from the last reported one) or budget.
    """
    draws = cumulative_draws(monthly, consumed)
    units = draws.drop_duplicates("resource").set_index("resource")["unit"]
    told = observations[observations["metric"] == "cumulative"]
    reported = _known(told["resource"], [span(p)[1] for p in told["period"]], told["value"])
    totals = reported_totals(consumed)
    read = _known(totals["resource"], totals["month"], totals["quantity"])
    read["hypothesis"] = totals["hypothesis"].to_numpy()
    budget = _known(budgets["resource"], [int(draws["month"].max())] * len(budgets),
                    budgets["quantity"])
    keys = ["hypothesis", "resource", "month"]
    frames = [
        reported.assign(kind="reported"),
        read.assign(kind="read"),
        quantile_table(_fitted(history), keys).assign(kind="fitted"),
        quantile_table(draws, keys).assign(kind="projected"),
        budget.assign(kind="budget"),
    ]
    out = pd.concat([f for f in frames if len(f)], ignore_index=True)
    out = out[out["resource"].isin(units.index)]
    out["unit"] = out["resource"].map(units)
    out["month_label"] = [month_and_year(date_at(month - 0.5)) if month else "" for month in
                          out["month"]]
    return out.reindex(columns=CUMULATIVE_COLUMNS).reset_index(drop=True)


def _known(resource: pd.Series, month: object, value: pd.Series) -> pd.DataFrame:
    """Make rows of known quantities, not yet attributed to a hypothesis."""
    return pd.DataFrame({
        "resource": resource.to_numpy(), "month": month, "value": value.to_numpy(),
        "hypothesis": "-",
    })


def _fitted(history: pd.DataFrame) -> pd.DataFrame:
    """Add up the posterior predictive of the reported periods, draw by draw."""
    require(history, ["draw", "hypothesis", "period", "site", "resource", "ledger", "quantity"],
            "history")
    rows = history[(history["site"] == "all") & (history["ledger"] == "reported")]
    rows = rows[~rows["period"].map(is_year).astype(bool)]
    rows = rows.assign(month=[span(period)[1] for period in rows["period"]])
    rows = rows.sort_values("month", kind="stable")
    keys = ["draw", "hypothesis", "resource"]
    return rows.assign(quantity=rows.groupby(keys, sort=False)["quantity"].cumsum())


def site_year(draws: pd.DataFrame, observations: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the projected year of each site beside its last reported one.

    Args:
        draws: Projected draws; ledger `reported` is used.
        observations: The federation's figures.

    Returns:
        Columns `SITE_COLUMNS`, one row per site, resource and hypothesis; last_reported is the
        sum of the site's cells in the reported periods of equal length (scaled to it where fewer
        months were reported), NaN where all are blank; blank_cells counts the blank ones.
    """
    period = headline_period(draws)
    months = span(period)[1] - span(period)[0] + 1
    rows = draws[
        (draws["period"] == period) & (draws["ledger"] == "reported") & (draws["site"] != "all")
    ]
    out = quantile_table(rows, ["site", "resource", "unit", "hypothesis", "period"])
    told = installation_rows(observations)
    told = told[told["metric"] == "usage"]
    labels = by_time(told["period"])
    last = span(labels[-1])[1] if labels else 0
    told = told[[span(label)[0] > last - months for label in told["period"]]]
    groups = told.groupby(["site", "resource"])["value"]
    known = pd.DataFrame({
        "last_reported": groups.sum(min_count=1),
        "blank_cells": groups.apply(lambda cells: int(cells.isna().sum())),
    }).reset_index()
    out = out.merge(known, on=["site", "resource"], how="left")
    out["last_period"] = f"M{max(last - months, 0) + 1}-M{last}"
    if 0 < last < months:  # as much time as is projected, at that rate
        out["last_reported"] *= months / last
        out["last_period"] += f" × {months}/{last}"
    return out[SITE_COLUMNS]


def fit_check(fit: pd.DataFrame, observations: pd.DataFrame) -> pd.DataFrame:
    """Name the reported figures that were fitted, beside their posterior predictive interval.

    Args:
        fit: id, period, reported, p05, p50, p95, inside; a column hypothesis where several.
        observations: The federation's figures, for names and units.

    Returns:
        Columns `FIT_COLUMNS`, ordered by unit, then as given; hypothesis is "-" where not given.
    """
    require(fit, ["id", "period", "reported", "p05", "p50", "p95", "inside"], "fit")
    known = observations.drop_duplicates("id").set_index("id")
    rows = []
    for row in fit.to_dict("records"):
        found = known.loc[row["id"]] if row["id"] in known.index else None
        rows.append(row | {
            "label": _label(found) if found is not None else _increment_label(row),
            "unit": str(found["unit"]) if found is not None else row.get("unit", "-"),
            "hypothesis": row.get("hypothesis", "-"),
        })
    out = pd.DataFrame(rows, columns=FIT_COLUMNS)
    place = {unit: i for i, unit in enumerate(out["unit"].unique())}
    return out.loc[out["unit"].map(place).sort_values(kind="stable").index].reset_index(drop=True)


def _increment_label(row: dict[str, object]) -> str:
    """Name an increment of the cumulative table, which has no row of its own in the report."""
    parts = str(row["id"]).split("_")
    if parts[0] != "increment":
        return str(row["id"])
    return f"all sites, {resource_word(parts[1])} (cumulative table)"


def _label(found: pd.Series) -> str:
    """Name an observation: whose it is and, unless it is the usage of a site, what it counts."""
    if found["metric"] == RECORDS:
        return f"records: {words_of(str(found.name))}"
    owner = str(found["installation"])
    if owner == "all":
        owner = f"all sites, {found['resource']}"
    if found["metric"] in ("usage", "cumulative"):
        return owner
    return f"{owner} {metric_word(str(found['metric']), '-').removeprefix('Number of ')}"


def axis_label(unit: str) -> str:
    """Name an axis by its unit.

    >>> axis_label("count")
    'number'
    """
    return "number" if unit in ("count", "-") else unit


def tick_text(value: float) -> str:
    """Write a tick with thousands separators."""
    return thousands(float(value), 6)
