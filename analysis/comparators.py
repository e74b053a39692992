"""What "lower than last year" is measured against, named each time."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.frames import by_time, headline_period, hypotheses_of, require, span
from analysis.installations import installation_rows
from analysis.wording import (
    length_word,
    percent,
    period_word,
    resource_word,
    thousands,
    under,
)

YEAR_TABLE = "previous_in_cumulative_table"
YEAR_SITES = "previous_in_site_tables"
LAST_SCALED = "last_period_scaled"
RATE_SCALED = "reported_rate_scaled"
COLUMNS = [
    "hypothesis", "resource", "period", "comparator", "label", "value", "unit", "p_lower",
    "sentence",
]
_TIMES = {2: "twice", 3: "three times", 4: "four times"}


@dataclass(frozen=True)
class Comparator:
    """One reported quantity that a projected period is compared with.

    Args:
        name: Which one, for programs.
        label: The same in words that always name what is meant.
        value: Quantity, in the unit of the resource.
    """

    name: str
    label: str
    value: float


def comparators(draws: pd.DataFrame, observations: pd.DataFrame) -> pd.DataFrame:
    """Say how probably the projected year stays below each named comparator.

    Args:
        draws: Projected draws; rows of site `all` and ledger `reported` are used.
        observations: The federation's figures: the cumulative table and the sites' tables.

    Returns:
        Columns `COLUMNS`, one row per hypothesis, resource and comparator the report allows:
        the previous period of equal length as the cumulative table has it, the same as the site
        tables sum it up, or the rate of all months where fewer were reported, and the last reported
        period times the number that fit in.

    Raises:
        DataError: When a column is missing.
    """
    require(draws, ["hypothesis", "period", "site", "resource", "ledger", "quantity", "unit"],
            "draws")
    require(observations, ["site", "installation", "metric", "resource", "period", "value"],
            "observations")
    period = headline_period(draws)
    year = draws[
        (draws["period"] == period) & (draws["site"] == "all") & (draws["ledger"] == "reported")
    ]
    rows = []
    for resource in year["resource"].unique():
        known = reported_comparators(observations, str(resource), period)
        for hypothesis in hypotheses_of(draws):
            mine = year[(year["resource"] == resource) & (year["hypothesis"] == hypothesis)]
            for comparator in known if len(mine) else []:
                unit = str(mine["unit"].iloc[0])
                lower = float((mine["quantity"] < comparator.value).mean())
                rows.append([
                    hypothesis, resource, period, comparator.name, comparator.label,
                    comparator.value, unit, lower,
                    f"{resource_word(resource)}, {under(hypothesis)}: {period} is lower than "
                    f"{comparator.label} ({thousands(comparator.value)} {unit}) with "
                    f"probability {percent(lower)}.",
                ])
    return pd.DataFrame(rows, columns=COLUMNS)


def reported_comparators(
    observations: pd.DataFrame, resource: str, period: str
) -> list[Comparator]:
    """Find what the report offers to compare a projected period with.

    Args:
        observations: The federation's figures.
        resource: gpu, cpu or storage.
        period: The projected period, e.g. `PY3`.

    Returns:
        The comparators that the report's figures allow; a blank cell is left out of the sum of
        the sites and said so in the label.
    """
    sites = installation_rows(observations)
    sites = sites[(sites["metric"] == "usage") & (sites["resource"] == resource)]
    told = observations[
        (observations["metric"] == "cumulative") & (observations["resource"] == resource)
    ].dropna(subset=["value"])
    totals = {0: 0.0} | {
        span(label)[1]: float(value)
        for label, value in zip(told["period"], told["value"], strict=True)
    }
    months = span(period)[1] - span(period)[0] + 1
    out = _previous_year(totals, sites, months)
    scaled = _last_scaled(totals, sites, months)
    return [*out, scaled] if scaled else out


def _previous_year(
    totals: dict[int, float], sites: pd.DataFrame, months: int
) -> list[Comparator]:
    """Return the last reported stretch of `months` by either table."""
    out = []
    last = max(totals)
    if last and last - months in totals:
        label = f"{_stretch(last - months + 1, last)} as the cumulative table has it"
        out.append(Comparator(YEAR_TABLE, label, totals[last] - totals[last - months]))
    elif 0 < last < months:
        label = f"{months} months at the rate of {_stretch(1, last)}"
        out.append(Comparator(RATE_SCALED, label, totals[last] / last * months))
    spans = {label: span(label) for label in set(sites["period"])}
    last = max((end for _, end in spans.values()), default=0)
    first = last - months + 1
    inside = [label for label, (a, b) in spans.items() if a >= first and b <= last]
    covered = sum(spans[label][1] - spans[label][0] + 1 for label in inside)
    if inside and covered == months:
        cells = sites[sites["period"].isin(inside)]["value"]
        label = f"{_stretch(first, last)} as the site tables sum it up"
        blank = int(cells.isna().sum())
        if blank:
            label += f", {blank} blank cell{'s' if blank > 1 else ''} left out"
        out.append(Comparator(YEAR_SITES, label, float(cells.sum())))
    return out


def _last_scaled(
    totals: dict[int, float], sites: pd.DataFrame, months: int
) -> Comparator | None:
    """Return the last reported period times the number that fit into `months`."""
    ends = sorted(totals)
    if len(ends) > 1:
        first, last = ends[-2] + 1, ends[-1]
        value, source = totals[last] - totals[first - 1], "cumulative table"
    elif len(sites):
        label = by_time(sites["period"])[-1]
        first, last = span(label)
        value, source = float(sites[sites["period"] == label]["value"].sum()), "site tables"
    else:
        return None
    times, rest = divmod(months, last - first + 1)
    if rest or times < 2:
        return None
    words = _TIMES.get(times, f"{times} times")
    kind = length_word(last - first + 1)
    label = f"{words} the last reported {kind} ({period_word(f'M{first}-M{last}')}, {source})"
    return Comparator(LAST_SCALED, label, times * value)


def _stretch(first: int, last: int) -> str:
    """Name months, as a project year where they are one."""
    months = f"M{first}-M{last}"
    whole = last - first == 11 and last % 12 == 0
    return f"PY{last // 12} ({months})" if whole else months
