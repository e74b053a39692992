"""The three summaries of ai4-accounting, computed from snapshots.

Their rules: what jobs with status running have is added up in each snapshot, the mean over the
day's snapshots (UTC) is the day's, resource-days are the sum of days. So a job counts by the
snapshots that show it, not by its times; this is what those tables say, not what was used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.accounting.ai4.jobs import cores
from analysis.accounting.ai4.snapshots import QUANTITIES, Refused, Sighting, Snapshot, sighting
from sim.units import US_PER_H

COUNTED = ("queued", "running")
TIMESERIES = ("date", *QUANTITIES, *COUNTED)
USERS = ("owner", *QUANTITIES)
_DAY_US = 24 * US_PER_H


class Summary(NamedTuple):
    """Summaries of a namespace; MHz, MB, cores and GPUs, means of the day or resource-days.

    Args:
        timeseries: Columns `TIMESERIES`, a row a day with a snapshot.
        users: Columns `USERS`, a row an owner, also of those whose jobs never ran.
        full: Columns `QUANTITIES`, one row.
    """

    timeseries: pd.DataFrame
    users: pd.DataFrame
    full: pd.DataFrame

    def rounded(self) -> Summary:
        """Return them in whole numbers, as they are written."""
        return Summary(*(t.round().astype(dict.fromkeys(t.select_dtypes("number"), np.int64))
                         for t in self))  # fmt: skip


def summaries(snapshots: Iterable[Snapshot], mhz_per_core: float = 2000.0) -> dict[str, Summary]:
    """Sum up snapshots by namespace; what is kept grows with days and owners, not with snapshots.

    Args:
        snapshots: In any order.
        mhz_per_core: MHz that make a core, for jobs that were asked for in MHz; assumed.
    """
    taken: Counter[tuple[str, int]] = Counter()
    days: dict[tuple[str, int], np.ndarray] = {}
    users: dict[tuple[str, str, int], np.ndarray] = {}
    for snapshot in snapshots:
        day = snapshot.time_us // _DAY_US
        for namespace, records in snapshot.records.items():
            taken[namespace, day] += 1
            sum_ = days.setdefault((namespace, day), np.zeros(len(QUANTITIES) + len(COUNTED)))
            for record in records:
                seen = sighting(namespace, record)
                if isinstance(seen, Refused):
                    continue
                held = _held(seen, mhz_per_core)
                sum_ += [*held, *(seen.status == word for word in COUNTED)]
                key = (namespace, seen.owner, day)
                users[key] = users.get(key, np.zeros(len(QUANTITIES))) + held
    return {name: _summary(name, taken, days, users) for name in dict.fromkeys(n for n, _ in taken)}


def _held(seen: Sighting, mhz_per_core: float) -> np.ndarray:
    if seen.status != "running":
        return np.zeros(len(QUANTITIES))
    return np.nan_to_num([cores(seen.amounts, mhz_per_core), *seen.amounts[1:]])


def _summary(name: str, taken: Counter, days: dict, users: dict) -> Summary:
    rows: list[tuple[Any, ...]] = []
    for (namespace, day), amounts in sorted(days.items(), key=lambda item: item[0]):
        if namespace == name:
            date = str(np.datetime64(day, "D"))
            rows.append((date, *(amounts / taken[name, day])))
    of_user: dict[str, np.ndarray] = {}
    for (namespace, owner, day), amounts in users.items():
        if namespace == name:
            of_user[owner] = of_user.get(owner, 0.0) + amounts / taken[name, day]
    owners = [(owner, *of_user[owner]) for owner in sorted(of_user)]
    table = pd.DataFrame(rows, columns=list(TIMESERIES))
    full = table[list(QUANTITIES)].sum().to_frame().T
    return Summary(table, pd.DataFrame(owners, columns=list(USERS)), full)
