"""The two canonical tables of accounting, declared once: columns, types, units and meaning.

All times are UTC with microseconds, all periods end before `period_end`. A schema refuses what no
accounting can mean (bounds are generous and assumed), so that nothing later overflows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from sim.units import LEDGERS, UNIT_OF

JOBS, AGGREGATES = "jobs", "aggregates"
KINDS = ("train", "infer", "cpu")
STATES = (
    "pending", "running", "suspended", "completed", "failed", "cancelled", "timeout", "preempted",
    "unknown",
)  # fmt: skip
UNITS = {**UNIT_OF, "memory": "GB-h", "jobs": "jobs", "invocations": "invocations"}  # by resource

TEXT = pd.StringDtype("pyarrow")
TIME = pd.DatetimeTZDtype("us", "UTC")
EARLIEST, LATEST = pd.Timestamp("1970-01-01", tz="UTC"), pd.Timestamp("2200-01-01", tz="UTC")
LONGEST = 512  # characters of a name
MOST_GPUS, MOST_CPUS, MOST_GB = 1.0e6, 1.0e8, 1.0e10  # of one job
MOST = 1.0e15  # of an aggregate, in its unit


def _text(meaning: str, *, empty: bool = True, among: tuple[str, ...] = ()) -> pa.Column:
    """Declare a text; it may be empty where the source does not tell, but never null."""
    if among:
        checks = [pa.Check.isin(among, error="one of " + ", ".join(among))]
    else:
        least = 0 if empty else 1
        checks = [pa.Check.str_length(least, LONGEST, error=f"{least} to {LONGEST} characters")]
    return pa.Column(TEXT, checks, description=meaning, metadata={"unit": "-"})


def _time(meaning: str, *, nullable: bool = True) -> pa.Column:
    said = f"a time from {EARLIEST:%Y-%m-%d} to {LATEST:%Y-%m-%d}"
    check = pa.Check(lambda column: column.between(EARLIEST, LATEST), error=said)
    return pa.Column(TIME, check, nullable=nullable, description=meaning, metadata={"unit": "UTC"})


def _number(meaning: str, unit: str, most: float, *, nullable: bool = False) -> pa.Column:
    check = pa.Check.in_range(0.0, most, error=f"a number from 0 to {most:,.0f}")
    return pa.Column(
        "float64", check, nullable=nullable, description=meaning, metadata={"unit": unit}
    )


def _ordered(first: str, last: str, strictly: bool) -> pa.Check:
    def check(frame: pd.DataFrame) -> pd.Series:
        later = frame[last] > frame[first] if strictly else frame[last] >= frame[first]
        return later | frame[last].isna() | frame[first].isna()

    than = "later than" if strictly else "not before"
    return pa.Check(check, error=f"{last} {than} {first}", name=last)


def _unit_fits(frame: pd.DataFrame) -> pd.Series:
    return frame["unit"] == frame["resource"].map(UNITS)


JOB_SCHEMA = pa.DataFrameSchema(
    {
        "job_id": _text("identifier of the job at its site", empty=False),
        "user": _text("who it belongs to; empty where not told"),
        "project": _text("account, group or namespace it is charged to; empty where not told"),
        "site": _text("resource provider; empty where not told"),
        "kind": _text("train or infer for a job with GPUs, cpu without", among=KINDS),
        "submit_utc": _time("when it was asked for; null where not told"),
        "start_utc": _time("when it began to hold its resources; null while or if never placed"),
        "end_utc": _time("when it let go of them, or was withdrawn unplaced; null while running"),
        "state": _text("what became of it", among=STATES),
        "gpus": _number("GPUs held from start to end (asked for if never placed)", "GPU",
                        MOST_GPUS),
        "gpu_model": _text("model of its GPUs; empty where not told or without GPUs"),
        "cpus": _number("cores held likewise", "core", MOST_CPUS),
        "mem_gb": _number("memory held likewise; null where not told", "GB (10**9 bytes)", MOST_GB,
                          nullable=True),
        "gpu_util_frac": _number("share of the held time in which the GPUs computed; null where "
                                 "not told", "share", 1.0, nullable=True),
        "source": _text("format and file it was read from", empty=False),
    },
    checks=_ordered("start_utc", "end_utc", strictly=False),
    strict=True,
    name=JOBS,
    description="one job, deployment or machine that held resources, or waited for them",
)  # fmt: skip

AGGREGATE_SCHEMA = pa.DataFrameSchema(
    {
        "period_start": _time("beginning of the period, included", nullable=False),
        "period_end": _time("end of the period, not included", nullable=False),
        "site": _text("resource provider; empty where not told"),
        "project": _text("account, group, namespace or virtual organisation; empty for all"),
        "resource": _text("what was counted", among=tuple(UNITS)),
        "ledger": _text("level it was counted at: " + " >= ".join(LEDGERS), among=LEDGERS),
        "quantity": _number("how much in the period", "see unit", MOST),
        "unit": _text("unit of the quantity", among=tuple(dict.fromkeys(UNITS.values()))),
        "source": _text("format and file it was read from", empty=False),
    },
    checks=[
        _ordered("period_start", "period_end", strictly=True),
        pa.Check(_unit_fits, error="the unit of the resource", name="unit"),
    ],
    strict=True,
    name=AGGREGATES,
    description="one quantity of one resource, ledger, project and period",
)

SCHEMAS: dict[str, pa.DataFrameSchema] = {JOBS: JOB_SCHEMA, AGGREGATES: AGGREGATE_SCHEMA}
_DEFAULTS: dict[str, Any] = {"mem_gb": np.nan, "gpu_util_frac": np.nan, "gpus": 0.0, "cpus": 0.0}


def frame_of(table: str, columns: Mapping[str, Any], rows: int) -> pd.DataFrame:
    """Build a canonical table from what a reader knows; nothing is checked yet.

    Args:
        table: `jobs` or `aggregates`.
        columns: Values by column, each an array of `rows` values or one value for all. What is
            left out is empty, null or 0.
        rows: Number of rows.

    Returns:
        All columns in their order and of their types.
    """
    index = pd.RangeIndex(rows)
    known = {**_DEFAULTS, **columns}
    return pd.DataFrame(
        {name: _series(known.get(name), str(column.dtype), index)
         for name, column in SCHEMAS[table].columns.items()}
    )  # fmt: skip


def _series(values: Any, dtype: str, index: pd.RangeIndex) -> pd.Series:
    if dtype == str(TIME):
        if isinstance(values, np.ndarray | pd.Series | pd.Index):
            values = pd.DatetimeIndex(values).as_unit("us")
            values = values.tz_localize("UTC") if values.tz is None else values.tz_convert("UTC")
            return pd.Series(values, index=index)
        return pd.Series(values, index=index, dtype=TIME)
    if dtype.startswith("string"):
        values = "" if values is None else values
        return pd.Series(values if isinstance(values, str) else pd.array(values, dtype=TEXT),
                         index=index, dtype=TEXT)  # fmt: skip
    return pd.Series(values, index=index, dtype=dtype)


def utc(times: pd.Series) -> NDArray[np.datetime64]:
    """Return a column of times as datetime64[us] of UTC."""
    return times.dt.tz_convert(None).to_numpy().astype("datetime64[us]")


def utc_us(time: pd.Timestamp) -> int:
    """Return a time as microseconds since 1970 UTC.

    >>> utc_us(pd.Timestamp("1970-01-01T00:00:01Z"))
    1000000
    """
    return (time - EARLIEST) // pd.Timedelta(microseconds=1)
