"""When people work: the local week, night and holidays of a user's country."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

import holidays
import numpy as np
import pandas as pd

from sim.entities import Rhythm
from sim.errors import AiaasError, ConfigError
from sim.timeline import ProjectCalendar
from sim.units import WEEK_H, FloatArray


@dataclass(frozen=True, eq=False)
class WorkClock:
    """Turns working time into clock time.

    Args:
        effective_h: Cumulative effective hours at each whole hour since the start, shape (horizon_h
            + 1,); it grows by one an hour on average over a week without holidays.
        hours: The whole hours themselves, same shape.
    """

    effective_h: FloatArray
    hours: FloatArray

    def effective_at(self, time_h: FloatArray) -> FloatArray:
        """Return effective hours elapsed at clock times `time_h` (h)."""
        return np.interp(time_h, self.hours, self.effective_h)

    def time_at(self, effective_h: FloatArray) -> FloatArray:
        """Return the clock time (h) at which `effective_h` have elapsed."""
        return np.interp(effective_h, self.effective_h, self.hours)


@lru_cache(maxsize=256)
def work_clock(
    country: str, time_zone: str, rhythm: Rhythm, calendar: ProjectCalendar
) -> WorkClock:
    """Build the work clock of a country.

    Args:
        country: ISO 3166 alpha-2 code, for its public holidays (package `holidays`).
        time_zone: IANA name, such as `Europe/Madrid`.
        rhythm: Relative weights of office hours (1), evening, night and free days.
        calendar: The project calendar; the clock covers its horizon.

    Raises:
        ConfigError: When country or time zone are not known.
    """
    count = int(calendar.horizon_h)
    local = _local_hours(time_zone, calendar, count)
    by_hour = np.array([_weight(rhythm, hour) for hour in range(24)])
    mean = (5 * by_hour.sum() + 2 * rhythm.weekend_weight * by_hour.sum()) / WEEK_H
    if not mean > 0.0:
        raise ConfigError("nobody ever works", "demand.rhythm", "a weight above zero somewhere")
    days = local.normalize().tz_localize(None).to_numpy().astype("datetime64[D]")
    last = calendar.start + timedelta(hours=calendar.horizon_h)
    free_days = public_holidays(country, calendar.start.year, last.year, "federation.use_cases")
    free = (local.day_of_week.to_numpy() >= 5) | np.isin(days, free_days)
    weights = by_hour[local.hour.to_numpy()] * np.where(free, rhythm.weekend_weight, 1.0)
    cumulative = np.concatenate([[0.0], np.cumsum(weights / mean)])
    return WorkClock(cumulative, np.arange(count + 1, dtype=np.float64))


def _weight(rhythm: Rhythm, hour: int) -> float:
    if rhythm.office_start_hour <= hour < rhythm.office_end_hour:
        return 1.0
    return rhythm.evening_weight if 7 <= hour < 23 else rhythm.night_weight


def _local_hours(time_zone: str, calendar: ProjectCalendar, count: int) -> pd.DatetimeIndex:
    try:
        return pd.date_range(calendar.start_utc, periods=count, freq="h").tz_convert(time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            "unknown time zone",
            "federation.time_zones",
            "an IANA name such as Europe/Madrid",
            time_zone,
        ) from error


def public_holidays(
    country: str,
    first_year: int,
    last_year: int,
    where: str,
    refusal: type[AiaasError] = ConfigError,
) -> np.ndarray:
    """Return the public holidays of a country from year to year, as datetime64[D], ascending.

    Args:
        country: ISO 3166 alpha-2 code.
        first_year: First year.
        last_year: Last year, included.
        where: Where the country was named, for the refusal.
        refusal: What to raise.

    Raises:
        AiaasError: Of the type asked for, when the country's holidays are not known.
    """
    known = holidays.list_supported_countries()
    if country not in known:
        expected = "an ISO 3166 alpha-2 code"
        raise refusal("country without known holidays", where, expected, country, known)
    days = holidays.country_holidays(country, years=range(first_year, last_year + 1))
    return np.array(sorted(days), dtype="datetime64[D]")
