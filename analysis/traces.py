"""Reads traces of invocations: the layouts of Azure Functions 2021 and 2019."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sim.applications import Recorded, TraceLayout
from sim.entities import Federation
from sim.errors import ConfigError, DataError

COLUMNS_2021 = ("app", "func", "end_timestamp", "duration")
KEYS_2019 = ("HashOwner", "HashApp", "HashFunction", "Trigger")


def with_traces(federation: Federation, folder: Path) -> Federation:
    """Return the federation with the content of its trace files, which lie in `folder`.

    Raises:
        ConfigError, DataError: When a file is missing or is not what the federation says it is.
    """
    read = {}
    for name, trace in federation.traces.items():
        path = folder / trace.file
        if trace.layout is TraceLayout.AZURE_2021:
            recorded = azure_2021(path, trace.select)
        elif trace.select is None:
            where = f"federation.traces.{name}.select"
            raise ConfigError("no function chosen", where, "a HashFunction of the file")
        else:
            recorded = azure_2019(path, trace.select)
        read[name] = replace(trace, recorded=recorded)
    return replace(federation, traces=read) if read else federation


def azure_2021(path: str | os.PathLike[str], app: str | None = None) -> Recorded:
    """Read invocations with their ends and durations.

    Args:
        path: CSV with columns app, func, end_timestamp (s) and duration (s).
        app: Only this application; None for all of them together.

    Returns:
        The trace, from the first arrival on.

    Raises:
        DataError: When the file is missing or not of this layout, or the application is not there.
    """
    table = _read(path, COLUMNS_2021)
    for column in COLUMNS_2021[2:]:
        table[column] = _numbers(table[column], path, column)
    bad = table["duration"] < 0.0
    if bad.any():
        line = int(bad.idxmax()) + 2
        raise DataError("negative duration", f"{path}, line {line}", "0 s or more")
    if app is not None:
        apps = table["app"].unique()
        table = table[table["app"] == app]
        if not len(table):
            raise DataError("no such application", str(path), "an app of the trace", app, apps)
    arrival = (table["end_timestamp"] - table["duration"]).to_numpy(np.float64)
    order = np.argsort(arrival, kind="stable")
    arrival = arrival[order] - arrival[order[0]]
    service = table["duration"].to_numpy(np.float64)[order]
    length_s = float(arrival[-1]) + 1.0
    return Recorded(tuple(arrival.tolist()), tuple(service.tolist()), (), length_s)


def azure_2019(path: str | os.PathLike[str], function: str) -> Recorded:
    """Read the invocations of a function a minute.

    Args:
        path: CSV with columns HashOwner, HashApp, HashFunction, Trigger and 1, 2, … (minutes).
        function: Its HashFunction.

    Returns:
        The counts.

    Raises:
        DataError: When the file is missing or not of this layout, or the function is not there.
    """
    table = _read(path, (*KEYS_2019, "1"))
    minutes = [name for name in table.columns if name.isdigit()]
    rows = table[table["HashFunction"] == function]
    if not len(rows):
        known = table["HashFunction"].unique()
        raise DataError("no such function", str(path), "a HashFunction of it", function, known)
    counts = np.array([_numbers(rows[m], path, m).sum() for m in minutes])
    if not counts.any():
        raise DataError("no call in it", str(path), "a function that was called", function)
    if (counts < 0.0).any() or (counts != np.rint(counts)).any():
        raise DataError("impossible count", str(path), "whole numbers, not negative")
    return Recorded((), None, tuple(counts.astype(int).tolist()), 60.0 * len(counts))


def _read(path: str | os.PathLike[str], columns: tuple[str, ...]) -> pd.DataFrame:
    if not Path(path).is_file():
        raise DataError("no such file", str(path), "a CSV file")
    try:
        table = pd.read_csv(path, dtype=str)
    except (ValueError, OSError) as error:
        raise DataError("cannot be read", str(path), "a CSV file", str(error)) from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError("missing column", str(path), f"a column {missing[0]!r}")
    if not len(table):
        raise DataError("nothing in it", str(path), "at least one row")
    return table


def _numbers(column: pd.Series, path: str | os.PathLike[str], name: str) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(np.float64))
    if bad.any():
        line = int(column.index[bad][0]) + 2
        raise DataError(
            "not a number", f"{path}, line {line}, column {name}", "a number", column[bad].iloc[0]
        )
    return numbers
