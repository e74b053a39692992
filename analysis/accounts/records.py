"""Jobs of an import as deployment records: durations, idle share and rhythm of GPU jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.accounting.tables import utc
from analysis.accounts.opening import Accounts
from analysis.accounts.totals import edge
from analysis.records.reading import Deployments, Window, cut_to, window_of
from sim.entities import Federation
from sim.timeline import ProjectCalendar
from sim.units import US_PER_H, FloatArray

COLUMNS = ("kind", "start_utc", "end_utc", "gpus", "gpu_util_frac")


@dataclass(frozen=True, eq=False)
class Told:
    """Records and what was done to get them.

    Args:
        deployments: The records of a window.
        serving: GPU jobs of the window that serve (kind `infer`), which are no deployments.
        over_nodes: Jobs over several nodes, each counted once a node.
        shorter: Records of the window that are shorter than the shortest that counts.
    """

    deployments: Deployments
    serving: int
    over_nodes: int
    shorter: int


def largest_node(federation: Federation) -> int:
    """Return the most GPUs that one node has; at least 1."""
    return max([1, *(p.gpus_per_node for p in federation.pools.values())])


def covered_months(accounts: Accounts, calendar: ProjectCalendar, last: int) -> range:
    """Return the project months that jobs cover whole, up to month `last`; may be empty.

    The longest run of months where there are gaps in between, the last of several.
    """
    whole = [
        m
        for m in range(1, last + 1)
        if accounts.cover(edge(calendar, m), edge(calendar, m + 1))
    ]
    best = range(0)
    for month in whole:
        first = month
        while first - 1 in whole:
            first -= 1
        if month - first + 1 >= len(best):
            best = range(first, month + 1)
    return best


def records_of(
    accounts: Accounts, federation: Federation, months: range, clock: str, shortest_h: float
) -> Told:
    """Return the GPU jobs of a window as deployment records.

    A deployment lies on one node, so a job over several nodes becomes as many records.

    Args:
        accounts: The import.
        federation: Says the calendar and the largest node.
        months: Project months of the window.
        clock: IANA name of the zone whose clock tells night from day.
        shortest_h: Records shorter than this are left out, h.
    """
    window = window_of(federation.calendar, months, clock)
    node = largest_node(federation)
    parts, serving, over = [], 0, 0
    for frame in accounts.jobs(*COLUMNS):
        held = frame[frame["start_utc"].notna() & (frame["gpus"] > 0.0)]
        start = _hours(held["start_utc"], window)
        mine = (start >= 0.0) & (start < window.hours)
        serves = (held["kind"] == "infer").to_numpy()
        serving += int((mine & serves).sum())
        held, start = held[mine & ~serves], start[mine & ~serves]
        gpus = held["gpus"].to_numpy(np.float64)
        nodes = np.maximum(np.ceil(gpus / node), 1.0).astype(np.int64)
        over += int((nodes > 1).sum())
        columns = (start, _hours(held["end_utc"], window), gpus / nodes,
                   held["gpu_util_frac"].to_numpy(np.float64))  # fmt: skip
        parts.append([np.repeat(column, nodes) for column in columns])
    start, end, gpus, share = (_joined(parts, at) for at in range(4))
    every = cut_to(window, start, end, gpus, share)
    kept = every.at_least(shortest_h)
    return Told(kept, serving, over, len(every) - len(kept))


def _hours(times: pd.Series, window: Window) -> FloatArray:
    """Return times in h since a window began, nan where there is none."""
    begins = np.datetime64(window.begins.replace(tzinfo=None), "us")
    since = utc(times) - begins
    hours: NDArray[np.float64] = since.astype(np.int64) / US_PER_H
    return np.where(np.isnat(since), np.nan, hours)


def _joined(parts: list[list[FloatArray]], at: int) -> FloatArray:
    return np.concatenate([np.empty(0), *(part[at] for part in parts)])
