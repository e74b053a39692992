"""Deployment records as figures: their statistics are fitted like anything else that was reported.

Wood's synthetic likelihood (Nature 466, 2010, 1102): the statistics of the log are held against
those of simulated runs, and how these vary between replicates is their covariance.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.observations import COLUMNS
from analysis.records.reading import Deployments, of_run, read_records
from analysis.records.summary import STATISTICS, statistics
from sim.runner import RunResult
from sim.timeline import ProjectCalendar, months_of

METRIC = "records"
PREFIX = "records_"
CLOCK = "UTC"  # of what is a night: the log and the runs are looked at by the same clock
_SHORTEST = re.compile(rf"{PREFIX}from_(\d+)min_", re.ASCII)


def record_rows(path: Path, calendar: ProjectCalendar, period: str) -> pd.DataFrame:
    """Return the statistics of a log as rows of observations.

    Args:
        path: CSV file as `reading.read_records` takes it.
        calendar: The project calendar.
        period: Window of the log, such as M13-M24.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    return rows_of(read_records(path, calendar, months_of(period), CLOCK), period, path.name)


def rows_of(
    deployments: Deployments, period: str, source: str, shortest_min: int = 0
) -> pd.DataFrame:
    """Return the statistics of records as rows of observations.

    Args:
        deployments: The records, none shorter than `shortest_min`.
        period: Their window.
        source: Where they are from.
        shortest_min: Stands in the id of each figure, so that runs are looked at in the same way.
    """
    found = statistics(deployments)
    units = {s.name: s.unit for s in STATISTICS}
    place = ("-", "-", "all", METRIC, "-", "-", period)
    from_ = f"from_{shortest_min}min_" if shortest_min else ""
    rows = [
        (f"{PREFIX}{from_}{name}", *place, value, units[name], source)
        for name, value in found.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def shortest_min(figure: str) -> int:
    """Return the shortest duration that counts for a figure, min.

    >>> shortest_min("records_from_30min_duration_p50"), shortest_min("records_duration_p50")
    (30, 0)
    """
    found = _SHORTEST.match(figure)
    return int(found[1]) if found else 0


def words_of(figure: str) -> str:
    """Name a figure in words.

    >>> words_of("records_from_30min_duration_p50"), words_of("records_starts_at_night")
    ('duration p50, from 30 min', 'starts at night')
    """
    shortest = shortest_min(figure)
    name = _SHORTEST.sub("", figure).removeprefix(PREFIX)
    return name.replace("_", " ") + (f", from {shortest} min" if shortest else "")


def record_values(
    result: RunResult, figures: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], float]:
    """Return the statistics of a run's own deployments, by period and id of the figure.

    Args:
        result: The run.
        figures: Period and id of the figures that are wanted; those of their windows are returned.
    """
    found: dict[tuple[str, str], float] = {}
    for period, shortest in dict.fromkeys((p, shortest_min(figure)) for p, figure in figures):
        mine = of_run(result, months_of(period), CLOCK).at_least(shortest / 60.0)
        rows = rows_of(mine, period, "", shortest)
        found |= {(period, i): v for i, v in zip(rows["id"], rows["value"], strict=True)}
    return found
