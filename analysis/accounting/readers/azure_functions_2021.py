"""Azure Functions 2021: one line an invocation (AzurePublicDataset, two weeks of January 2021).

Lines are added up to invocations by application and day: the trace tells neither GPUs nor cores,
so an invocation is no job that holds something, and what is planned from are rates. Each arrival
and duration is for the replay in serving, which reads the file as it is (`analysis.traces`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.accounting.delimited import Layout, split
from analysis.accounting.options import SITE, Option
from analysis.accounting.readers.azure_functions_2019 import first_day
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.sums import Sums, chunks
from analysis.traces import COLUMNS_2021

SAYS = (
    "Azure Functions 2021: app,func,end_timestamp,duration (https://github.com/Azure/"
    "AzurePublicDataset, AzureFunctionsInvocationTrace2021.md), invocations by application and day."
)
FIRST_DAY = Option(
    "first_day", "text", "2021-01-31", "-",
    "date on which end_timestamp is 0 s: 31 January 2021; days are of UTC (both assumed: from "
    "memory of its page)",
)  # fmt: skip
OPTIONS = (FIRST_DAY, SITE)
ROW = "line"
LAYOUT = Layout(",", COLUMNS_2021)
MOST_S = 1.0e9  # of a time or a duration; assumed
_DAY_S = 86_400


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield invocations by application and day, summed over all files."""
    begin = first_day(reading)
    reading.note("An invocation is of the day on which it ended")
    sums = Sums(reading, ("invocations",))
    for path in reading.files:
        for rows in split(reading, path, LAYOUT):
            _add(rows, begin, sums)
    table = sums.table()
    quantity = table["invocations"].to_numpy()
    yield from chunks(reading, table, "invocations", "active", "invocations", quantity)


def _add(rows: Rows, begin: np.datetime64, sums: Sums) -> None:
    rows.need("app")
    end_s = rows.numbers("end_timestamp", 0.0, MOST_S)
    rows.numbers("duration", 0.0, MOST_S)
    day = np.zeros(len(rows), dtype=np.int64)
    day[rows.keep] = end_s[rows.keep] // _DAY_S
    start = begin + day.astype("m8[D]")
    keys = {
        "period_start": start, "period_end": start + np.timedelta64(1, "D"),
        "site": rows.reading.options["site"], "project": rows.text("app"),
    }  # fmt: skip
    sums.add(rows, keys, {"invocations": np.ones(len(rows))})
