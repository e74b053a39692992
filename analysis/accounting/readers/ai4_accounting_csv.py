"""The summaries of ai4os/ai4-accounting: daily means, and resource-days of users and of all.

They are computed from snapshots: a day is 24 h times the mean of its snapshots. The README of
ai4-accounting says that this overestimates what its usage_stats integrate; where there are
snapshots, format `ai4-accounting` is exact. What each file holds is told by its header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.accounting.delimited import Layout, header_of, split
from analysis.accounting.options import SITE, Option
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.tables import AGGREGATES, MOST, UNITS, frame_of
from analysis.accounting.times import iso_times
from sim.errors import ConfigError, DataError

SAYS = (
    "Summaries of ai4os/ai4-accounting (https://github.com/ai4os/ai4-accounting): "
    "NAMESPACE-timeseries.csv, -users-agg.csv or -full-agg.csv."
)
NAMESPACE = Option(
    "namespace", "text", "", "-", "namespace of all files; that of each file's name if not stated"
)
BEGIN = Option(
    "period_start", "text", "", "-",
    "first moment (UTC) of the period of resource-days, which such files do not say",
)  # fmt: skip
END = Option("period_end", "text", "", "-", "end of it (UTC), not included")
OPTIONS = (SITE, NAMESPACE, BEGIN, END)
ROW = "line"

SUMMED = "an owner whose resource-days are in the sum of the namespace"
_AMOUNTS = ("cpu_num", "cpu_MHz", "memory_MB", "disk_MB", "gpu_num")
_H_PER_DAY = 24.0
_PER_DAY = {"gpu": ("gpu_num", 1.0), "cpu": ("cpu_num", 1.0), "memory": ("memory_MB", 1.0e-3)}
_NAME = re.compile(r"(.+)-(timeseries|users-agg|full-agg)\.csv(\.gz)?")


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield aggregates: days of a time series, or one period of resource-days."""
    period = _period(reading.options)
    reading.note("A resource-day is 24 h, a mean of snapshots; ai4-accounting's README says that "
                 "this overestimates what its usage_stats integrate")  # fmt: skip
    reading.note("cpu_MHz, disk_MB, queued and running are not read; memory_MB are 10**6 bytes")
    for path in reading.files:
        header = header_of(path, ";")
        if "date" in header:
            layout = Layout(";", ("date", *_AMOUNTS), ("queued", "running"))
            for rows in split(reading, path, layout):
                yield from _days(rows, _namespace(reading, path))
            continue
        if period is None:
            expected = "period_start= and period_end= of its resource-days"
            raise DataError("no period", str(path), expected, ";".join(header)[:80])
        names = ("owner", *_AMOUNTS) if "owner" in header else _AMOUNTS
        yield from _sums(reading, path, Layout(";", names), period)


def _period(options: dict) -> NDArray[np.datetime64] | None:
    texts = [str(options[name]) for name in ("period_start", "period_end")]
    if not any(texts):
        return None
    found = iso_times(pa.array(texts, pa.string()), "UTC").utc
    if np.isnat(found).any() or found[1] <= found[0]:
        expected = "period_start before period_end, such as 2024-09-01 and 2024-10-01"
        raise ConfigError("not a period", "period_start", expected, ", ".join(texts))
    return found


def _namespace(reading: Reading, path: Path) -> str:
    found = _NAME.fullmatch(path.name)
    name = reading.options["namespace"] or (found[1] if found else "")
    if not name:
        expected = "a file named NAMESPACE-timeseries.csv and the like, or namespace="
        raise DataError("no namespace", str(path), expected, path.name)
    return str(name)


def _per_day(rows: Rows) -> dict[str, NDArray[np.float64]]:
    """Return hours a day by resource; rows without such numbers are refused."""
    found = {name: rows.numbers(name, 0.0, MOST) for name in _AMOUNTS}
    rows.reading.note("cpu_num is 0 while cpu_MHz is not: the cores of old jobs may be missing",
                      int((rows.keep & (found["cpu_num"] == 0) & (found["cpu_MHz"] > 0)).sum())
                      )  # fmt: skip
    return {r: found[name] * per * _H_PER_DAY for r, (name, per) in _PER_DAY.items()}


def _days(rows: Rows, namespace: str) -> Iterator[Chunk]:
    start, hours = rows.times("date", "UTC", missing=()), _per_day(rows)
    off = start != start.astype("datetime64[D]")
    rows.refuse(off & ~np.isnat(start), "date", "not a day", "a date such as 2024-09-02")
    for resource, quantity in hours.items():
        yield rows.chunk(
            AGGREGATES, period_start=start, period_end=start + np.timedelta64(1, "D"),
            site=rows.reading.options["site"], project=namespace, resource=resource,
            ledger="allocated", quantity=quantity, unit=UNITS[resource],
        )  # fmt: skip


def _sums(
    reading: Reading, path: Path, layout: Layout, period: NDArray[np.datetime64]
) -> Iterator[Chunk]:
    """Yield the sum over a file's rows: one period has one figure for a namespace."""
    namespace, lines = _namespace(reading, path), np.array([], dtype=np.int64)
    total = dict.fromkeys(_PER_DAY, 0.0)
    for rows in split(reading, path, layout):
        for resource, hours in _per_day(rows).items():
            total[resource] += float(hours[rows.keep].sum())
        lines = np.concatenate([lines, rows.line[rows.keep]])
    if not len(lines):
        return
    if "owner" not in layout.required and len(lines) > 1:
        where = f"{path}, line {lines[1]}"
        raise DataError("several rows", where, "one row of resource-days of all users")
    reading.merge(path, lines[1:], SUMMED)
    columns = {
        "period_start": np.repeat(period[:1], len(total)),
        "period_end": np.repeat(period[1:], len(total)),
        "site": reading.options["site"], "project": namespace, "resource": list(total),
        "ledger": "allocated", "quantity": list(total.values()),
        "unit": [UNITS[resource] for resource in total], "source": reading.source(path),
    }  # fmt: skip
    line = np.repeat(lines[:1], len(total))
    yield Chunk(AGGREGATES, frame_of(AGGREGATES, columns, len(total)), path, line)
