"""Checks and small verbs for the tidy tables of the projection: columns, periods, quantiles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import pandas as pd

from sim.errors import DataError
from sim.timeline import months_of

AVERAGED = "averaged"
QUANTILES = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}
_YEAR = re.compile(r"PY([1-9]\d*)")


def require(frame: pd.DataFrame, columns: Sequence[str], where: str) -> None:
    """Refuse a table that lacks a column or has a hole in its `quantity`.

    Args:
        frame: Any table.
        columns: Names it must have.
        where: Name of the table in the error.

    Raises:
        DataError: When a column is missing or a quantity is not a number.
    """
    for column in columns:
        if column not in frame.columns:
            raise DataError(
                "column missing", where, f"columns {', '.join(columns)}",
                given=column, candidates=[str(name) for name in frame.columns],
            )
    if "quantity" in columns and bool(frame["quantity"].isna().any()):
        row = int(frame["quantity"].isna().to_numpy().argmax())
        raise DataError("quantity missing", f"{where}, row {row}", "a number in every row")


def is_year(period: str) -> bool:
    """Say whether the label names a project year.

    >>> is_year("PY3"), is_year("M25-M30")
    (True, False)
    """
    return _YEAR.fullmatch(period) is not None


def span(period: str) -> tuple[int, int]:
    """Return the first and last project month of `Mi-Mj` or of the project year `PYn`.

    >>> span("M25-M30"), span("PY3")
    ((25, 30), (25, 36))
    """
    year = _YEAR.fullmatch(period)
    if year:
        return 12 * int(year[1]) - 11, 12 * int(year[1])
    months = months_of(period)
    return months[0], months[-1]


def by_time(periods: Iterable[str]) -> list[str]:
    """Order labels by their end, a year after the half-years it is made of; each once.

    >>> by_time(["PY3", "M31-M36", "M25-M30"])
    ['M25-M30', 'M31-M36', 'PY3']
    """
    return sorted(set(periods), key=lambda label: (span(label)[1], -span(label)[0]))


def headline_period(draws: pd.DataFrame) -> str:
    """Return the period a planner asks about: the last year drawn, or else the last period."""
    periods = by_time(draws["period"])
    if not periods:
        raise DataError("no period drawn", "draws", "at least one projected period")
    return ([label for label in periods if is_year(label)] or periods)[-1]


def hypotheses_of(frame: pd.DataFrame) -> list[str]:
    """List the hypotheses in the order they appear, the average of them all first."""
    names = [str(name) for name in frame["hypothesis"].unique()]
    return [n for n in names if n == AVERAGED] + [n for n in names if n != AVERAGED]


def headline_hypothesis(frame: pd.DataFrame) -> str:
    """Return the average where it was computed, or else the first hypothesis."""
    names = hypotheses_of(frame)
    if not names:
        raise DataError("no hypothesis in the table", "draws", "at least one row")
    return names[0]


def quantile_table(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Summarise `quantity` over the draws of each group.

    Args:
        frame: Tidy draws with a column `quantity`.
        by: Columns that make a group; groups keep the order in which they appear.

    Returns:
        One row a group: `by`, mean, sd (of a sample), p05, p25, p50, p75, p95; in the unit of
        the quantity.
    """
    require(frame, [*by, "quantity"], "draws")
    grouped = frame.groupby(list(by), sort=False, observed=True)["quantity"]
    out = grouped.agg(["mean", "std"]).rename(columns={"std": "sd"})
    cuts = grouped.quantile(list(QUANTILES.values())).unstack()
    cuts.columns = pd.Index(list(QUANTILES))
    return out.join(cuts).reset_index()
