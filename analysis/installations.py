"""The report's own table of each installation, with the projected half-years beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.cumulative import plain
from analysis.frames import by_time, headline_hypothesis, is_year, quantile_table, span
from analysis.records.as_figures import METRIC as RECORDS
from analysis.wording import interval, metric_word

NOT_PROJECTED = "not projected"
TIDY_COLUMNS = [
    "table", "installation", "site", "metric", "resource", "ledger", "unit", "hypothesis",
    "period", "kind", "reported", "mean", "sd", "p05", "p25", "p50", "p75", "p95",
]
_CUTS = TIDY_COLUMNS[-7:]


def installation_rows(observations: pd.DataFrame) -> pd.DataFrame:
    """Return the observations that stand in the tables of installations, baselines left out."""
    summary = observations["metric"].isin(["cumulative", "budget", RECORDS])
    baseline = observations["metric"].str.startswith("baseline_")
    return observations[~summary & ~baseline & (observations["installation"] != "all")]


def tidy_installations(
    observations: pd.DataFrame,
    history: pd.DataFrame,
    draws: pd.DataFrame,
    metrics: pd.DataFrame,
) -> pd.DataFrame:
    """Give every number of the installations' tables a row of its own.

    Args:
        observations: The federation's figures.
        history: Posterior predictive of the reported half-years.
        draws: Projected half-years (and years); rows of ledger `reported` are used.
        metrics: Draws of the platform's and users' metrics, reported and projected half-years.

    Returns:
        Columns `TIDY_COLUMNS`; kind is baseline, reported, fitted (posterior predictive of a
        reported period) or projected; quantities in `unit`.
    """
    rows = installation_rows(observations)
    last = max((span(period)[1] for period in rows["period"]), default=0)
    owners = rows.drop_duplicates(["installation", "metric", "resource"])
    frames = [_reported(rows, "reported"), _baselines(observations)]
    usage = pd.concat([history, draws])
    usage = usage[(usage["ledger"] == "reported") & ~usage["period"].map(is_year)]
    for kind, table in (("usage", usage), ("metric", metrics)):
        cuts = _cuts(table, kind)
        frames.append(_owned(owners, cuts, kind, last))
    return pd.concat([f for f in frames if len(f)], ignore_index=True)[TIDY_COLUMNS]


def _cuts(table: pd.DataFrame, kind: str) -> pd.DataFrame:
    keys = ["site", "resource"] if kind == "usage" else ["installation", "metric"]
    return quantile_table(table, ["hypothesis", "period", *keys, "unit"])


def _reported(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    out = rows.rename(columns={"value": "reported"}).assign(hypothesis="-", kind=kind)
    return out.reindex(columns=TIDY_COLUMNS).astype(dict.fromkeys(_CUTS, float))


def _baselines(observations: pd.DataFrame) -> pd.DataFrame:
    found = observations[observations["metric"].str.startswith("baseline_")]
    named = found.assign(metric=found["metric"].str.removeprefix("baseline_"))
    return _reported(named, "baseline")


def _owned(
    owners: pd.DataFrame, cuts: pd.DataFrame, kind: str, last_reported: int
) -> pd.DataFrame:
    """Join quantiles to the rows of the report's tables that they belong to."""
    columns = ["table", "installation", "site", "metric", "resource"]
    if kind == "usage":
        mine = owners.loc[owners["metric"] == "usage", columns]
        joined = mine.merge(cuts, on=["site", "resource"])
    else:
        mine = owners.loc[owners["metric"] != "usage", columns]
        named = mine.merge(cuts, on=["installation", "metric"])
        by_site = mine[~mine["installation"].isin(set(cuts["installation"]))].merge(
            cuts.rename(columns={"installation": "site"}), on=["site", "metric"]
        )
        joined = pd.concat([named, by_site])
    fitted = np.array([span(period)[1] <= last_reported for period in joined["period"]], bool)
    joined = joined.assign(
        ledger="reported" if kind == "usage" else "-",
        kind=np.where(fitted, "fitted", "projected"),
        reported=np.nan,
    )
    return joined.reindex(columns=TIDY_COLUMNS)


def installation_tables(
    observations: pd.DataFrame, tidy: pd.DataFrame, draws: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Lay the numbers out as the report does.

    Args:
        observations: The federation's figures.
        tidy: From `tidy_installations`.
        draws: The projected draws; name the projected periods and the hypothesis shown.

    Returns:
        One table per installation, named by its number and owner: rows are metrics, columns
        Metric name, Unit, Baseline, each reported period as reported (None where blank) and each
        projected half-year as "median [p05 - p95]" of the average over the hypotheses.
    """
    rows = installation_rows(observations)
    shown = headline_hypothesis(draws)
    reported = by_time(rows["period"])
    projected = [p for p in by_time(draws["period"]) if not is_year(p)]
    out = {}
    for (number, owner), group in rows.groupby(["table", "installation"], sort=False):
        mine = tidy[tidy["installation"] == owner]
        lines = [
            _line(mine, first, shown, reported, projected)
            for first in group.drop_duplicates(["metric", "resource"]).itertuples()
        ]
        out[f"{number} {owner}"] = pd.DataFrame(lines, dtype=object)
    return out


def _line(
    tidy: pd.DataFrame, first: object, shown: str, reported: list[str], projected: list[str]
) -> dict[str, object]:
    """Lay out one metric of one installation."""
    metric, resource, unit = (str(getattr(first, n)) for n in ("metric", "resource", "unit"))
    tidy = tidy[(tidy["metric"] == metric) & (tidy["resource"] == resource)]
    told = tidy[tidy["kind"].isin(["reported", "baseline"])].set_index(["kind", "period"])
    line: dict[str, object] = {"Metric name": metric_word(metric, resource), "Unit": unit}
    baselines = tidy[tidy["kind"] == "baseline"]["reported"]
    line["Baseline"] = plain(baselines.iloc[0]) if len(baselines) else None
    for period in reported:
        key = ("reported", period)
        line[period] = plain(told.loc[[key], "reported"].iloc[0]) if key in told.index else None
    drawn = tidy[(tidy["hypothesis"] == shown) & (tidy["kind"] == "projected")]
    for period in projected:
        cut = drawn[drawn["period"] == period]
        line[period] = (
            interval(cut["p50"].iloc[0], cut["p05"].iloc[0], cut["p95"].iloc[0])
            if len(cut) else NOT_PROJECTED
        )
    return line
