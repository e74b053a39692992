"""The calendar of a new federation: the whole months that the data cover, in periods."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from analysis.accounts.opening import Accounts
from analysis.starter.asked import Asked
from sim.errors import ConfigError, DataError
from sim.timeline import ProjectCalendar

PERIODS = (6, 3, 2, 1)  # months; the longest is tried first
FEWEST = 3  # reported periods


@dataclass(frozen=True)
class Span:
    """The months of a new federation.

    Args:
        calendar: With the months to project.
        reported: Whole months that the data cover.
    """

    calendar: ProjectCalendar
    reported: int

    @property
    def begins(self) -> pd.Timestamp:
        """When M1 begins, UTC."""
        return pd.Timestamp(self.calendar.start, tz="UTC")

    @property
    def ends(self) -> pd.Timestamp:
        """When the last reported month ends, UTC."""
        return pd.Timestamp(self.calendar.first_day(self.reported + 1), tz="UTC")

    @property
    def weeks(self) -> float:
        """Length of the reported months in weeks."""
        return (self.ends - self.begins) / pd.Timedelta(weeks=1)


def span_of(accounts: Accounts, aggregates: pd.DataFrame, asked: Asked) -> Span:
    """Return the whole calendar months (UTC) that jobs cover, or aggregates if there are no jobs.

    Raises:
        DataError: When the data cover no whole month.
    """
    begins, ends = accounts.begins, accounts.ends
    if begins is None or ends is None:
        begins, ends = aggregates["period_start"].min(), aggregates["period_end"].max()
    first = begins.tz_convert(None).to_period("M")
    if begins > first.start_time.tz_localize("UTC"):
        first += 1
    last = ends.tz_convert(None).to_period("M")
    months = (last - first).n
    if months < 1:
        given = f"{begins:%Y-%m-%d} to {ends:%Y-%m-%d}"
        expected = "at least one whole calendar month (covers= says what the jobs cover)"
        raise DataError("no whole month in the data", str(accounts.folder), expected, given)
    return spanning(first.start_time.date(), months, asked, accounts.folder)


def spanning(start: date, reported: int, asked: Asked, where: Path | str) -> Span:
    """Return the months of a federation that begins on a day and has so many reported months."""
    length = asked.period_months or period_months(reported)
    if reported % length:
        expected = f"a length of which {reported} months are a multiple"
        raise ConfigError("impossible accounting period", "period_months", expected, length)
    months = reported + asked.project_months
    if months > 240:
        what, expected = "too many months", "at most 240 months, with those to project"
        raise DataError(what, str(where), expected, months)
    return Span(ProjectCalendar(start, months, length), reported)


def period_months(reported: int) -> int:
    """Return how many months an accounting period has.

    >>> [period_months(n) for n in (18, 12, 5, 2)]
    [6, 3, 1, 1]
    """
    return next((p for p in PERIODS if reported % p == 0 and reported // p >= FEWEST), 1)
