"""Deployment records, read from an operator's file or taken from a simulated run.

A window of whole months decides alike for both what counts. A record belongs to it if its
deployment started in it; what had started before is left out, because of those only the long ones
are still to be seen. What did not end in the window counts as still running at its end, even if
the end is known: no duration may depend on when the records were taken or on a run's horizon. Such
a duration is known only to be longer (censored), and the utilisation of such a deployment is not
used.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from sim.errors import DataError
from sim.ledger import active_bursts
from sim.runner import RunResult
from sim.timeline import ProjectCalendar
from sim.units import SECONDS_PER_H, FloatArray, IntArray

COLUMNS = ("start_utc", "end_utc", "gpus", "utilisation")
OPTIONAL = ("utilisation",)  # may be left out, or empty in any row
SHORTEST_H = 1.0 / 60.0  # h; a duration of nothing counts as a minute, to have a logarithm; assumed

_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII
)


@dataclass(frozen=True)
class Window:
    """The span of time that records are taken from.

    Args:
        begins: Its beginning, UTC.
        hours: Its length in h.
        time_zone: IANA name of the zone whose clock tells night from day.
    """

    begins: datetime
    hours: float
    time_zone: str

    def __post_init__(self) -> None:
        """Refuse a time zone that does not exist."""
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            expected = "an IANA name such as Europe/Madrid"
            raise DataError("unknown time zone", "time_zone", expected, self.time_zone) from error


def window_of(calendar: ProjectCalendar, months: range, time_zone: str) -> Window:
    """Return the window of some project months.

    Args:
        calendar: The project calendar.
        months: Project months, from 1, such as `months_of("M13-M24")`.
        time_zone: IANA name.

    Raises:
        DataError: When the months do not lie in the calendar, or the zone does not exist.
    """
    if not 1 <= months.start < months.stop <= calendar.months + 1 or months.step != 1:
        given = f"M{months.start}-M{months.stop - 1}"
        raise DataError("no such months", "window", f"months from M1 to M{calendar.months}", given)
    first = calendar.month_edges_h[months.start - 1]
    hours = float(calendar.month_edges_h[months.stop - 1] - first)
    return Window(calendar.start_utc + timedelta(hours=float(first)), hours, time_zone)


@dataclass(frozen=True, eq=False)
class Deployments:
    """Deployments with GPUs that started in a window, in order of their start.

    Args:
        start_h: When each started, h since the window began, shape (deployments,).
        end_h: When it ended, h; nan while it still ran when the window ended.
        gpus: GPUs held, above 0.
        utilisation: Share of the held time in which something computed, 0 to 1; nan where it is
            not known and while it still ran.
        window: The window.
    """

    start_h: FloatArray
    end_h: FloatArray
    gpus: FloatArray
    utilisation: FloatArray
    window: Window

    def __len__(self) -> int:
        """Return the number of deployments."""
        return len(self.start_h)

    @property
    def ended(self) -> np.ndarray:
        """Whether each ended in the window, shape (deployments,)."""
        return np.isfinite(self.end_h)

    @property
    def held_h(self) -> FloatArray:
        """How long each was held, or was when the window ended, h."""
        held = np.where(self.ended, self.end_h, self.window.hours) - self.start_h
        return np.maximum(held, SHORTEST_H)

    def at_least(self, hours: float) -> Deployments:
        """Return the deployments that were held so long, or were seen so long in the window."""
        keep = self.held_h >= hours
        columns = (self.start_h, self.end_h, self.gpus, self.utilisation)
        return Deployments(*(column[keep] for column in columns), self.window)

    @cached_property
    def _local(self) -> pd.DatetimeIndex:
        begins = pd.Timestamp(self.window.begins)
        times = begins + pd.to_timedelta(np.rint(self.start_h * SECONDS_PER_H), unit="s")
        return pd.DatetimeIndex(times).tz_convert(self.window.time_zone)

    @property
    def weekday(self) -> IntArray:
        """Local day of the week on which each started, 0 is Monday."""
        return self._local.day_of_week.to_numpy(np.int64)

    @property
    def hour(self) -> IntArray:
        """Local hour of the day in which each started, 0 to 23."""
        return self._local.hour.to_numpy(np.int64)

    @property
    def day(self) -> np.ndarray:
        """Local day on which each started, as datetime64[D]."""
        return self._local.tz_localize(None).to_numpy().astype("datetime64[D]")


def cut_to(
    window: Window,
    start_h: FloatArray,
    end_h: FloatArray,
    gpus: FloatArray,
    utilisation: FloatArray,
) -> Deployments:
    """Return the deployments with GPUs that belong to a window.

    Args:
        window: The window.
        start_h: From the beginning of the window, h.
        end_h: The same; nan while running.
        gpus: GPUs held; those without are left out.
        utilisation: Shares, nan where not known.
    """
    mine = (start_h >= 0.0) & (start_h < window.hours) & (gpus > 0)
    order = np.flatnonzero(mine)[np.argsort(start_h[mine], kind="stable")]
    end = np.where(end_h[order] < window.hours, end_h[order], np.nan)
    share = np.where(np.isfinite(end), utilisation[order], np.nan)
    return Deployments(start_h[order], end, gpus[order], share, window)


def of_run(result: RunResult, months: range, time_zone: str) -> Deployments:
    """Return what the records of a simulated run would be.

    Args:
        result: The run.
        months: Project months, from 1.
        time_zone: IANA name of the zone in which the records to compare with are looked at. Users
            keep their own hours all the same.

    Returns:
        Deployments with GPUs; utilisation is the time in bursts over the time held.
    """
    calendar = result.spec.federation.calendar
    window = window_of(calendar, months, time_zone)
    log = result.logs.deployments
    owner, burst_start, burst_end = active_bursts(result.plan, result.logs)
    active = np.bincount(owner, weights=burst_end - burst_start, minlength=len(log))
    start = np.array([d.started_h for d in log], dtype=np.float64)
    end = np.array([d.released_h for d in log], dtype=np.float64)
    first = calendar.month_edges_h[months.start - 1]
    return cut_to(
        window,
        start - first,
        end - first,
        np.array([d.gpus for d in log], dtype=np.float64),
        np.clip(active / np.maximum(end - start, SHORTEST_H), 0.0, 1.0),
    )


def read_records(
    path: str | os.PathLike[str], calendar: ProjectCalendar, months: range, time_zone: str
) -> Deployments:
    """Read records with the header `start_utc,end_utc,gpus,utilisation`.

    A row is a deployment. Times are ISO 8601, UTC if they do not say otherwise; `end_utc` is empty
    while the deployment runs. `gpus` is a whole number; rows with 0 are left out. `utilisation`, a
    share from 0 to 1, may be empty, and the column may be missing.

    Args:
        path: The CSV file. It must have every deployment that started in the window, and be taken
            after the window's end.
        calendar: The project calendar.
        months: Project months of the window, from 1.
        time_zone: IANA name of the zone whose clock tells night from day.

    Raises:
        DataError: For the first thing that cannot be used, with its line; when no deployment with
            GPUs started in the window.
    """
    window = window_of(calendar, months, time_zone)
    table = _read(Path(path))
    begins = pd.Timestamp(window.begins)
    start, end = (
        np.asarray((_times(table[c], path) - begins) / pd.Timedelta(hours=1), dtype=np.float64)
        for c in ("start_utc", "end_utc")
    )
    _refuse(table["start_utc"] == "", path, "start_utc", "missing", "a time", table)
    _refuse(pd.Series(end < start), path, "end_utc", "ends before it starts", "a later time", table)
    gpus = _numbers(table["gpus"], path)
    bad = ~np.isfinite(gpus) | (gpus < 0.0) | (gpus != np.rint(gpus))
    _refuse(pd.Series(bad), path, "gpus", "impossible number", "0, 1, 2, …", table)
    utilisation = _numbers(table["utilisation"], path)
    bad = (utilisation < 0.0) | (utilisation > 1.0)
    _refuse(pd.Series(bad), path, "utilisation", "no share", "0 to 1 (not percent)", table)
    found = cut_to(window, start, end, gpus, utilisation)
    if not len(found):
        until = window.begins + timedelta(hours=window.hours)
        expected = f"deployments with GPUs from {window.begins:%Y-%m-%d} to {until:%Y-%m-%d}"
        raise DataError("nothing of the window in it", str(path), expected)
    return found


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.csv")] if path.parent.is_dir() else []
        raise DataError("no such file", str(path), "a CSV file of records", path.name, near)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (ValueError, OSError) as error:
        raise DataError("cannot be read", str(path), "a CSV file", str(error)) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas took what is too much for row names
        raise DataError("more cells than columns", f"{path}, line 2", ", ".join(table.columns))
    for name in table.columns:
        if name not in COLUMNS:
            where = f"{path}, line 1"
            raise DataError("unknown column", where, ", ".join(COLUMNS), name, COLUMNS)
    for name in COLUMNS:
        if name not in table.columns and name not in OPTIONAL:
            raise DataError("missing column", f"{path}, line 1", ", ".join(COLUMNS), name)
    whole = table.reindex(columns=list(COLUMNS)).fillna("")
    return pd.DataFrame({name: whole[name].str.strip() for name in COLUMNS})


def _refuse(
    bad: pd.Series, path: object, column: str, what: str, expected: str, table: pd.DataFrame
) -> None:
    if bad.any():
        row = int(np.argmax(bad.to_numpy()))
        where = f"{path}, line {row + 2}, column {column}"
        raise DataError(what, where, expected, table[column].iloc[row])


def _times(column: pd.Series, path: object) -> pd.Series:
    given = column != ""
    shaped = column.str.fullmatch(_TIME)
    times = pd.to_datetime(
        column.where(given & shaped), utc=True, format="ISO8601", errors="coerce"
    )
    expected = "ISO 8601, such as 2024-03-01T09:30:00Z"
    bad = given & times.isna()
    _refuse(bad, path, str(column.name), "not a time", expected, column.to_frame())
    return times


def _numbers(column: pd.Series, path: object) -> FloatArray:
    """Return numbers, nan where the cell is empty."""
    numbers = pd.to_numeric(column.where(column != ""), errors="coerce").to_numpy(np.float64)
    bad = pd.Series((column != "").to_numpy() & ~np.isfinite(numbers))
    _refuse(bad, path, str(column.name), "not a number", "a number", column.to_frame())
    return numbers
