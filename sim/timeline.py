"""The project calendar: months M1, M2, … and accounting periods, in hours since the start."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property

import numpy as np

from sim.errors import ConfigError
from sim.units import FloatArray

_PERIOD = re.compile(r"M(\d+)-M(\d+)")


@dataclass(frozen=True)
class ProjectCalendar:
    """Calendar months counted from the first day of the project.

    Args:
        start: First day of M1; the first of a month.
        months: Number of months simulated, the horizon.
        period_months: Length of an accounting period in months (6 in half-yearly accounting).
    """

    start: date
    months: int
    period_months: int = 6

    def __post_init__(self) -> None:
        """Refuse calendars that cannot be counted in whole months."""
        if self.start.day != 1:
            raise ConfigError(
                "the project must start on the first of a month",
                "calendar.start",
                "YYYY-MM-01",
                str(self.start),
            )
        if not 1 <= self.months <= 240:
            raise ConfigError("impossible horizon", "calendar.months", "1 to 240", self.months)
        if not 1 <= self.period_months <= self.months:
            raise ConfigError(
                "impossible accounting period",
                "calendar.period_months",
                f"1 to {self.months}",
                self.period_months,
            )

    def first_day(self, month: int) -> date:
        """Return the first day of project month `month` (1 is M1; months + 1 is the day after)."""
        index = self.start.year * 12 + self.start.month - 1 + month - 1
        return date(index // 12, index % 12 + 1, 1)

    @cached_property
    def month_edges_h(self) -> FloatArray:
        """Hours since the start at which months begin, shape (months + 1,); whole hours."""
        days = [(self.first_day(m) - self.start).days for m in range(1, self.months + 2)]
        return np.array(days, dtype=np.float64) * 24.0

    @cached_property
    def month_length_h(self) -> FloatArray:
        """Length of each month in h, shape (months,)."""
        return np.diff(self.month_edges_h)

    @property
    def horizon_h(self) -> float:
        """Length of the whole project in h."""
        return float(self.month_edges_h[-1])

    def hours_at(self, day: date) -> float:
        """Return the hours from the start to midnight UTC of `day` (negative before it)."""
        return (day - self.start).days * 24.0

    def day_at(self, hours: float) -> date:
        """Return the UTC day in which the simulated time `hours` lies."""
        return date.fromordinal(self.start.toordinal() + int(hours // 24.0))

    @property
    def start_utc(self) -> datetime:
        """Midnight UTC of the first day."""
        return datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)

    def periods(self, until_month: int | None = None) -> list[str]:
        """List the accounting periods up to `until_month` (default: the horizon).

        >>> ProjectCalendar(date(2022, 9, 1), 12).periods()
        ['M1-M6', 'M7-M12']
        """
        last = self.months if until_month is None else until_month
        step = self.period_months
        return [f"M{a}-M{min(a + step - 1, last)}" for a in range(1, last + 1, step)]


def months_of(period: str) -> range:
    """Return the project months of a period label.

    Raises:
        ConfigError: When the label is not `Mi-Mj` with 1 <= i <= j.

    >>> list(months_of("M13-M15"))
    [13, 14, 15]
    """
    found = _PERIOD.fullmatch(period)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ConfigError("not an accounting period", "period", "a label such as M13-M18", period)
    return range(int(found[1]), int(found[2]) + 1)
