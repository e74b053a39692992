"""The reported figures of a federation: read from CSV, checked cell by cell, and subtracted.

Blank is not zero: a blank cell becomes NaN and stays NaN. Contradictions between the tables of a
report are kept and can be listed, never repaired.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sim.errors import DataError
from sim.units import LEDGERS, RESOURCES, UNIT_OF

COLUMNS = (
    "id",
    "table",
    "installation",
    "site",
    "metric",
    "resource",
    "ledger",
    "period",
    "value",
    "unit",
    "note",
)
NOTHING = "-"
ALL = "all"
BY_HYPOTHESIS = "by_hypothesis"
BASELINE = "baseline_"
SUMMARY = ("cumulative", "budget")  # of a resource, over all sites
QUANTITIES = ("usage", *SUMMARY)  # of one resource, in its unit
MIXED = ("training_cycles", "application_usage")  # CPU-h and GPU-h added together
COUNTS = (
    "users",
    "countries",
    "models_developed",
    "models_trained",
    "applications_hosted",
)
MIXED_UNIT = "CPU-h+GPU-h"
COUNT_UNIT = "count"
METRICS = (
    *QUANTITIES,
    *MIXED,
    *COUNTS,
    *(BASELINE + name for name in ("usage", *MIXED, *COUNTS)),
)
UNITS = (*UNIT_OF.values(), MIXED_UNIT, COUNT_UNIT)

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_PERIOD = re.compile(r"M([1-9][0-9]*)-M([1-9][0-9]*)")
_SLUG = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


@dataclass(frozen=True)
class _Row:
    """One line of the file: its cells by column and where it stands."""

    cells: dict[str, str]
    path: str
    line: int

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def at(self, column: str) -> str:
        return f"{self.path}, line {self.line}, column {column}"


def load_observations(
    path: str | os.PathLike[str], *more: str | os.PathLike[str]
) -> pd.DataFrame:
    """Read and check the reported figures of a federation.

    Args:
        path: A CSV file in UTF-8 whose header has exactly the names in `COLUMNS`, in any order.
        more: Further such files, with figures that came later; all are checked together.

    Returns:
        One row per figure in the order of the files, columns `COLUMNS`; `value` is float in the
        row's `unit`, at least 0, NaN where the report's cell is blank; the others are text.

    Raises:
        DataError: When the file or a cell cannot be used; names file, line and column, and what
            was expected.
    """
    rows = [row for file in (path, *more) for row in _read(Path(file))]
    for row in rows:
        _check_names(row)
        _check_unit(row)
        _check_ledger(row)
        _check_period(row)
    values = [_value(row) for row in rows]
    _check_unique(rows)
    _check_overlap(rows)
    _check_rising(rows, values)
    frame = pd.DataFrame([row.cells for row in rows], columns=list(COLUMNS), dtype=object)
    return frame.assign(value=pd.Series(values, dtype="float64"))


def increments(observations: pd.DataFrame) -> pd.DataFrame:
    """Return what each period added to the cumulative figures.

    Args:
        observations: From `load_observations`; rows with metric `cumulative` are used, a blank one
            as if it were not there: the next increment then covers the longer period.

    Returns:
        Columns period (`Mi-Mj`), resource, quantity, unit (of the resource); resources in order
        of appearance, periods in order of time, the first one being the first cumulative itself.

    >>> columns = ["metric", "resource", "period", "value", "unit"]
    >>> rows = [("cumulative", "gpu", "M1-M6", 10.0, "GPU-h"),
    ...         ("cumulative", "gpu", "M1-M12", 25.0, "GPU-h")]
    >>> increments(pd.DataFrame(rows, columns=columns))["quantity"].tolist()
    [10.0, 15.0]
    """
    told = observations[observations["metric"] == "cumulative"].dropna(subset=["value"])
    rows = []
    for resource in told["resource"].unique():
        mine = told[told["resource"] == resource]
        ends = [_months(period)[1] for period in mine["period"]]
        used, month = 0.0, 0
        for end, value, unit in sorted(zip(ends, mine["value"], mine["unit"], strict=True)):
            rows.append((f"M{month + 1}-M{end}", resource, value - used, unit))
            used, month = value, end
    return _frame(rows, {"period": object, "resource": object, "quantity": float, "unit": object})


def contradictions(observations: pd.DataFrame) -> pd.DataFrame:
    """Compare what the cumulative table adds with what the sites' tables add up to.

    Args:
        observations: From `load_observations`.

    Returns:
        Columns resource, period, cumulative_increment, site_sum, difference (the first less the
        second, 0 where the tables agree; all three in `unit`), blank_sites (names of the sites
        whose cell is blank, joined by ", "), unit. One row per resource and period for which
        both an increment and at least one figure of a site exist.

    >>> columns = ["site", "metric", "resource", "period", "value", "unit"]
    >>> rows = [("all", "cumulative", "gpu", "M1-M6", 10.0, "GPU-h"),
    ...         ("North", "usage", "gpu", "M1-M6", 7.0, "GPU-h"),
    ...         ("South", "usage", "gpu", "M1-M6", float("nan"), "GPU-h")]
    >>> found = contradictions(pd.DataFrame(rows, columns=columns))
    >>> found[["difference", "blank_sites"]].values.tolist()
    [[3.0, 'South']]
    """
    usage = observations[(observations["metric"] == "usage") & (observations["site"] != ALL)]
    rows = []
    steps = increments(observations)
    for period, resource, added, unit in zip(*(steps[name] for name in steps), strict=True):
        mine = usage[(usage["resource"] == resource) & (usage["period"] == period)]
        blank = mine["value"].isna()
        if not blank.all():
            total = float(mine["value"].sum())
            names = ", ".join(dict.fromkeys(mine.loc[blank, "site"]))
            gap = round(added - total, 6)  # below any printed digit: floating point
            rows.append((resource, period, added, total, gap, names, unit))
    return _frame(
        rows,
        {
            "resource": object,
            "period": object,
            "cumulative_increment": float,
            "site_sum": float,
            "difference": float,
            "blank_sites": object,
            "unit": object,
        },
    )


def _frame(rows: Sequence[tuple[object, ...]], dtypes: dict[str, type]) -> pd.DataFrame:
    """Make a table of declared types, which it keeps when it is empty."""
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def _months(period: str) -> tuple[int, int]:
    """Return the first and last month of a label that was checked before."""
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise DataError("malformed period", "observations", "Mi-Mj such as M13-M18", period)
    return int(found[1]), int(found[2])


def _read(path: Path) -> list[_Row]:
    """Read the file as text into rows, refusing what is not a table with the right columns."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        near = [found.name for found in path.parent.glob("*.csv")]
        expected = "a CSV file of observations"
        raise DataError("no such file", str(path), expected, path.name, near) from error
    except UnicodeDecodeError as error:
        raise DataError("not a text file", str(path), "CSV in UTF-8") from error
    except OSError as error:
        what = f"cannot be read, {error.strerror or error}"
        raise DataError(what, str(path), "a readable CSV file of observations") from error
    if not text.strip():
        raise DataError("the file is empty", str(path), "a header with " + ", ".join(COLUMNS))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[_Row] = []
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if any(stripped) and not header:
                header = _header(stripped, path, line)
            elif any(stripped):
                rows.append(_row(stripped, header, path, line))
            line = reader.line_num + 1
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise DataError(f"not a line of CSV, {error}", where, "balanced double quotes") from error
    if not rows:
        raise DataError("no figures", str(path), "at least one row under the header")
    return rows


def _header(names: list[str], path: Path, line: int) -> list[str]:
    """Refuse a header with an unknown, repeated or missing column."""
    where, expected = f"{path}, line {line}", "columns " + ",".join(COLUMNS)
    missing = [name for name in COLUMNS if name not in names]
    for name in names:
        if name not in COLUMNS:
            raise DataError("unknown column", where, expected, name, missing or COLUMNS)
        if names.count(name) > 1:
            raise DataError("column given twice", where, expected, name)
    if missing:
        raise DataError(f"column {missing[0]!r} is missing", where, expected)
    return names


def _row(cells: list[str], header: list[str], path: Path, line: int) -> _Row:
    """Pair the cells of a line with the header."""
    if len(cells) != len(header):
        raise DataError(
            "wrong number of cells",
            f"{path}, line {line}",
            f"{len(header)} cells, texts with a comma in double quotes",
            len(cells),
        )
    return _Row(dict(zip(header, cells, strict=True)), str(path), line)


def _check_names(row: _Row) -> None:
    """Refuse missing names and words that are not in the vocabulary."""
    for column in ("id", "table", "installation", "site"):
        if not row[column]:
            raise DataError("empty name", row.at(column), "a text")
    if not _SLUG.fullmatch(row["id"]):
        expected = "small letters, digits and single underscores"
        raise DataError("malformed id", row.at("id"), expected, row["id"])
    words = {
        "metric": METRICS,
        "resource": (*RESOURCES, NOTHING),
        "ledger": (*LEDGERS, BY_HYPOTHESIS, NOTHING),
        "unit": UNITS,
    }
    for column, known in words.items():
        if row[column] not in known:
            expected = "one of " + ", ".join(known)
            raise DataError(f"unknown {column}", row.at(column), expected, row[column], known)
    if row["metric"] in SUMMARY:
        for column in ("installation", "site"):
            if row[column] != ALL:
                what = f"{row['metric']} of a part"
                raise DataError(what, row.at(column), f"'{ALL}'", row[column])


def _check_unit(row: _Row) -> None:
    """Refuse a resource that the metric does not have and a unit other than the resource's."""
    metric, resource = row["metric"].removeprefix(BASELINE), row["resource"]
    if metric in QUANTITIES:
        if resource not in RESOURCES:
            expected = "one of " + ", ".join(RESOURCES)
            raise DataError(f"{metric} of no resource", row.at("resource"), expected, resource)
        unit = UNIT_OF[resource]
    elif resource != NOTHING:
        what = f"{metric} has no resource of its own"
        raise DataError(what, row.at("resource"), f"'{NOTHING}'", resource)
    else:
        unit = MIXED_UNIT if metric in MIXED else COUNT_UNIT
    if row["unit"] != unit:
        thing = metric if resource == NOTHING else f"{metric} of {resource}"
        raise DataError(f"unit does not match {thing}", row.at("unit"), f"'{unit}'", row["unit"])


def _check_ledger(row: _Row) -> None:
    """Refuse measured hours without a ledger, and a ledger where nothing is measured."""
    metric = row["metric"]
    measured = metric in MIXED or metric in ("usage", "cumulative")
    allowed: tuple[str, ...] = (NOTHING,)
    if measured:
        held = [name for name in LEDGERS if row["resource"] != "storage" or name != "active"]
        allowed = (*held, BY_HYPOTHESIS)
    if row["ledger"] not in allowed:
        thing = metric if row["resource"] == NOTHING else f"{metric} of {row['resource']}"
        expected = "one of " + ", ".join(allowed) if measured else f"'{NOTHING}'"
        raise DataError(f"wrong ledger for {thing}", row.at("ledger"), expected, row["ledger"])


def _check_period(row: _Row) -> None:
    """Refuse periods that are not `Mi-Mj`, and baselines that have one."""
    period = row["period"]
    if row["metric"].startswith(BASELINE):
        if period != NOTHING:
            raise DataError("a baseline has no period", row.at("period"), f"'{NOTHING}'", period)
        return
    found = _PERIOD.fullmatch(period)
    if found is None or int(found[1]) > int(found[2]):
        expected = "Mi-Mj such as M13-M18, months ascending, from 1"
        raise DataError("malformed period", row.at("period"), expected, period)
    if row["metric"] == "cumulative" and int(found[1]) != 1:
        expected = f"'M1-M{found[2]}'"
        raise DataError("a cumulative figure counts from M1", row.at("period"), expected, period)


def _value(row: _Row) -> float:
    """Return the number of a row, NaN when its cell is blank."""
    text = row["value"]
    if not text:
        if row["metric"] == "budget" or row["metric"].startswith(BASELINE):
            expected = "a number; leave out the row when the report gives none"
            raise DataError(f"blank {row['metric']}", row.at("value"), expected)
        return math.nan
    expected = "a number of at least 0 without thousands separators, or an empty cell for a blank"
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise DataError("not a number", row.at("value"), expected, text)
    if float(text) < 0:
        raise DataError("negative value", row.at("value"), expected, text)
    return float(text)


def _check_unique(rows: list[_Row]) -> None:
    """Refuse an id, or a figure of the same thing and period, that was there before."""
    for keys in (("id",), ("installation", "metric", "resource", "period")):
        seen: dict[tuple[str, ...], int] = {}
        for row in rows:
            key = tuple(row[column] for column in keys)
            first = seen.setdefault(key, row.line)
            if first != row.line:
                expected = f"a {' + '.join(keys)} other than that of line {first}"
                where = f"{row.path}, line {row.line}"
                raise DataError(f"duplicate {' + '.join(keys)}", where, expected, ", ".join(key))


def _check_overlap(rows: list[_Row]) -> None:
    """Refuse hours that count a month twice: two periods of one thing that overlap."""
    seen: dict[tuple[str, str, str], list[_Row]] = {}
    for row in rows:
        if row["metric"] == "usage" or row["metric"] in MIXED:
            others = seen.setdefault((row["installation"], row["metric"], row["resource"]), [])
            first, last = _months(row["period"])
            for other in others:
                start, end = _months(other["period"])
                if first <= end and start <= last:
                    expected = f"no month of {other['period']} in line {other.line}"
                    what = "overlapping periods"
                    raise DataError(what, row.at("period"), expected, row["period"])
            others.append(row)


def _check_rising(rows: list[_Row], values: list[float]) -> None:
    """Refuse a cumulative figure below an earlier one: nothing is used a negative amount."""
    told = [
        (_months(row["period"])[1], value, row)
        for row, value in zip(rows, values, strict=True)
        if row["metric"] == "cumulative" and not math.isnan(value)
    ]
    for resource in RESOURCES:
        before, since = 0.0, "M1"
        mine = [entry for entry in told if entry[2]["resource"] == resource]
        for end, value, row in sorted(mine, key=lambda entry: entry[0]):
            if value < before:
                expected = f"at least {before:.12g}, the figure to {since}"
                what = "a cumulative figure falls"
                raise DataError(what, row.at("value"), expected, row["value"])
            before, since = value, f"M{end}"
