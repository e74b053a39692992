"""Hours per calendar month from jobs, exact across the edges of months, in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.accounting.tables import utc
from sim.units import UNIT_OF, US_PER_H

COLUMNS = ("start_utc", "end_utc", "gpus", "cpus")  # what totals need of jobs
_RATES = {"gpu": "gpus", "cpu": "cpus"}


def monthly(
    jobs: Iterable[pd.DataFrame], until: pd.Timestamp | None = None, by: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Integrate what jobs hold over calendar months of UTC.

    Sums are of whole microseconds times GPUs or cores, so exact for whole ones up to 2**53.

    Args:
        jobs: The canonical table, in pieces with `COLUMNS` and `by`.
        until: Jobs that still run are counted up to then; not at all when None.
        by: Columns to tell apart.

    Returns:
        Columns month (`2026-09`), `by`, resource (gpu or cpu), quantity, unit (GPU-h or CPU-h);
        without months of nothing.
    """
    sums: pd.Series | None = None
    for frame in jobs:
        piece = _piece(frame, until, by)
        if len(piece):
            both = piece if sums is None else pd.concat([sums, piece])
            sums = both.groupby(level=both.index.names).sum()
    names = ["month", *by, "resource", "quantity", "unit"]
    if sums is None:
        return pd.DataFrame(columns=names)
    table = _levels(sums.reset_index(), [*by, "resource"])
    table["unit"] = table["resource"].map(UNIT_OF)
    table["month"] = table["month"].to_numpy().astype("M8[M]").astype(str)
    return table.sort_values(["month", *by, "resource"], ignore_index=True)[names]


def _piece(frame: pd.DataFrame, until: pd.Timestamp | None, by: tuple[str, ...]) -> pd.Series:
    """Return sums by kind (whole or part), resource, month and `by`, in µs or as changes of rate.

    Months that lie within a job are kept as what changes at their edges, so that a job costs the
    same however long it is.
    """
    held = frame[frame["start_utc"].notna() & (frame["end_utc"].notna() | (until is not None))]
    start = utc(held["start_utc"])
    ends = held["end_utc"] if until is None else held["end_utc"].fillna(until)
    end = np.maximum(utc(ends), start)
    first, last = start.astype("M8[M]"), end.astype("M8[M]")
    same = first == last
    head = np.where(same, end - start, (first + 1).astype("M8[us]") - start).astype(np.int64)
    tail = np.where(same, 0, end - last.astype("M8[us]")).astype(np.int64)
    groups = {name: held[name].to_numpy() for name in by}
    parts = []
    for resource, column in _RATES.items():
        rate = held[column].to_numpy(np.float64)
        for kind, month, amount in (
            ("part", first, head * rate), ("part", last, tail * rate),
            ("rate", first + 1, rate * ~same), ("rate", last, -rate * ~same),
        ):  # fmt: skip
            some: NDArray[np.bool_] = amount != 0.0
            parts.append(pd.DataFrame(
                {"kind": kind, "month": month[some].astype(np.int64), "resource": resource,
                 **{name: values[some] for name, values in groups.items()},
                 "amount": amount[some]}
            ))  # fmt: skip
    whole = pd.concat(parts, ignore_index=True)
    return whole.groupby(["kind", "month", "resource", *by])["amount"].sum()


def _levels(sums: pd.DataFrame, group: list[str]) -> pd.DataFrame:
    """Turn changes of rate into whole months, and add the parts of months."""
    rows = [sums.loc[sums["kind"] == "part", [*group, "month", "amount"]]]
    changes = sums[sums["kind"] == "rate"].sort_values("month")
    for key, mine in changes.groupby(group, sort=False):
        months = mine["month"].to_numpy()
        span = np.arange(months[0], months[-1])
        level = np.zeros(len(span) + 1)
        level[months - months[0]] = mine["amount"]
        level = np.cumsum(level)[:-1]
        edges = np.arange(months[0], months[-1] + 1).astype("M8[M]").astype("M8[us]")
        amount = level * np.diff(edges).astype(np.int64)
        names = dict(zip(group, key, strict=True))
        rows.append(pd.DataFrame({**names, "month": span, "amount": amount})[np.abs(level) > 1e-9])
    table = pd.concat(rows).groupby([*group, "month"], as_index=False)["amount"].sum()
    return table.assign(quantity=table["amount"] / US_PER_H).drop(columns="amount")
