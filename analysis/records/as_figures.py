"""Deployment records as figures: their statistics are fitted like anything else that was reported.

Wood's synthetic likelihood (Nature 466, 2010, 1102): the statistics of the log are held against
those of simulated runs, and how these vary between replicates is their covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.observations import COLUMNS
from analysis.records.reading import of_run, read_records
from analysis.records.summary import STATISTICS, statistics
from sim.runner import RunResult
from sim.timeline import ProjectCalendar, months_of

METRIC = "records"
PREFIX = "records_"
CLOCK = "UTC"  # of what is a night: the log and the runs are looked at by the same clock


def record_rows(path: Path, calendar: ProjectCalendar, period: str) -> pd.DataFrame:
    """Return the statistics of a log as rows of observations.

    Args:
        path: CSV file as `reading.read_records` takes it.
        calendar: The project calendar.
        period: Window of the log, such as M13-M24.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    found = statistics(read_records(path, calendar, months_of(period), CLOCK))
    units = {s.name: s.unit for s in STATISTICS}
    place = ("-", "-", "all", METRIC, "-", "-", period)
    rows = [
        (f"{PREFIX}{name}", *place, value, units[name], path.name) for name, value in found.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def record_values(result: RunResult, periods: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return the statistics of a run's own deployments, by period and id of the figure.

    Args:
        result: The run.
        periods: Windows.
    """
    found = {}
    for period in periods:
        values = statistics(of_run(result, months_of(period), CLOCK))
        found |= {(period, f"{PREFIX}{name}"): value for name, value in values.items()}
    return found
