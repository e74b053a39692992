"""Azure Functions 2019: invocations a minute (AzurePublicDataset, AzureFunctionsDataset2019.md).

A file `invocations_per_function_md.anon.dNN.csv` is a day, a row a function with 1,440 minutes.
It becomes the invocations of each function on that day; the minutes themselves are for the replay
in serving, which reads the file as it is (`analysis.traces`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.accounting.amounts import Amount, aggregates
from analysis.accounting.delimited import Layout, header_of, split
from analysis.accounting.numerals import to_numbers
from analysis.accounting.options import SITE, Option
from analysis.accounting.reading import SHOWN, Chunk, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.tables import MOST
from analysis.accounting.times import iso_times
from analysis.traces import KEYS_2019
from sim.errors import ConfigError, DataError

SAYS = (
    "Azure Functions 2019: invocations_per_function_md.anon.dNN.csv (https://github.com/Azure/"
    "AzurePublicDataset, AzureFunctionsDataset2019.md), invocations by function and day."
)
FIRST_DAY = Option(
    "first_day", "text", "2019-07-15", "-",
    "date of day d01: 15 July 2019; days are of UTC (both assumed: from memory of its page)",
)  # fmt: skip
DAY = Option("day", "number", None, "d", "day (1, 2, …) of a file whose name has no d01, d02, …")
OPTIONS = (FIRST_DAY, DAY, SITE)
ROW = "line"
MINUTES = tuple(str(minute) for minute in range(1, 1441))
LAYOUT = Layout(",", KEYS_2019, MINUTES)
MOST_DAYS = 10_000  # assumed
_NAMED = re.compile(r"\bd(\d{2})\b", re.ASCII)


def first_day(reading: Reading) -> np.datetime64:
    """Return the day that a trace begins on.

    Raises:
        ConfigError: When the option is no date.
    """
    text = reading.options["first_day"]
    day = iso_times(pa.array([text]), "UTC").utc[0]
    if np.isnat(day) or len(text) != len("2019-07-15"):
        raise ConfigError("not a date", "first_day", "a date such as 2019-07-15", text)
    reading.note(f"The first day is {text}, and days are of UTC (first_day)")
    return day


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield invocations by function and day of all files."""
    begin = first_day(reading)
    for path in reading.files:
        columns = header_of(path, ",")
        missing = [minute for minute in MINUTES if minute not in columns]
        if missing and columns:
            expected = "columns " + ", ".join(KEYS_2019) + ", 1, 2, … 1440"
            raise DataError(f"no column {missing[0]}", f"{path}, line 1", expected,
                            ",".join(columns)[:SHOWN])  # fmt: skip
        day = begin + np.timedelta64(_day(reading, path) - 1, "D")
        for rows in split(reading, path, LAYOUT):
            yield _invocations(rows, day)


def _day(reading: Reading, path: Path) -> int:
    """Return the number of a file's day, from 1."""
    named, stated = _NAMED.search(path.name), reading.options["day"]
    day = int(named[1]) if named else stated
    if day is None or day != int(day) or not 1 <= day <= MOST_DAYS:
        expected = "a name with d01, d02, …, or day=1 and so on"
        raise DataError("day not told", str(path), expected, path.name if day is None else day)
    return int(day)


def _invocations(rows: Rows, day: np.datetime64) -> Chunk:
    rows.need("HashApp", "HashFunction")
    texts = pa.concat_arrays([rows.columns[minute] for minute in MINUTES])
    counts = to_numbers(texts).reshape(len(MINUTES), len(rows))
    with np.errstate(invalid="ignore"):
        bad = ~((counts >= 0.0) & (counts <= MOST) & (counts == np.floor(counts)))
    first = np.argmax(bad, axis=0)
    rows.refuse(
        bad.any(axis=0), "1 to 1440", "not a count", "a whole number of at least 0 a minute",
        lambda row: f"{rows.columns[MINUTES[first[row]]][row].as_py()} in {MINUTES[first[row]]}",
    )  # fmt: skip
    function = pc.binary_join_element_wise(rows.text("HashApp"), rows.text("HashFunction"), "/")
    return aggregates(
        rows, [Amount("invocations", "active", counts.sum(axis=0))],
        period_start=np.full(len(rows), day),
        period_end=np.full(len(rows), day + np.timedelta64(1, "D")),
        site=rows.reading.options["site"], project=function,
    )  # fmt: skip
