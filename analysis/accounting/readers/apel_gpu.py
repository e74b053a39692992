"""APEL accelerator records v0.1: GPUs attached to machines of EGI, by month.

Source: https://docs.egi.eu/internal/accounting/record-and-message-formats. A record is what one
machine had of one model in one month: GPU-h are Count × AvailableDuration / 3600, which is what
was attached, so allocated. ActiveDuration equals it where nobody measures (the documentation says
so): it counts as use only for a site, project and month in which a record has another value.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting.json_records import Shape
from analysis.accounting.json_records import rows as rows_of
from analysis.accounting.json_walk import values
from analysis.accounting.options import LEDGER, SITE
from analysis.accounting.reading import SHOWN, Chunk, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.sums import Sums, chunks
from analysis.accounting.tables import MOST_GPUS
from sim.errors import DataError
from sim.units import SECONDS_PER_H

SAYS = (
    "APEL accelerator records v0.1: GPUs of EGI's virtual machines by month "
    "(https://docs.egi.eu/internal/accounting/record-and-message-formats)."
)
OPTIONS = (SITE, LEDGER)
ROW = "record"
TYPE, VERSION = "APEL-accelerator-message", "0.1"
SHAPE = f'JSON {{"Type": "{TYPE}", "Version": "{VERSION}", "UsageRecords": [...]}}'
KEYS = (
    "SiteName", "FQAN", "AssociatedRecord", "AssociatedRecordType", "Type", "Model", "Count",
    "AvailableDuration", "ActiveDuration", "MeasurementMonth", "MeasurementYear", "CloudType",
    "CloudComputeService", "GlobalUserName", "Cores", "BenchmarkType", "Benchmark",
)  # fmt: skip
TOLERANCE = 0.01  # by which a duration may exceed its month; assumed
MOST_S = 1.0e10  # of any duration; assumed, months are shorter
SAME_S = 1.0  # durations that differ by less are the same; assumed, they are whole seconds


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield GPU-h by month, site and virtual organisation, summed over machines of all files."""
    reading.note("GPUs of all models are added up; a model is not a column of aggregates")
    sums = Sums(reading, ("held_s", "active_s", "measured"), later=True)
    for path in reading.files:
        _check(path, "Type", TYPE)
        _check(path, "Version", VERSION)
        records = values(path, "UsageRecords.item", SHAPE)
        for rows in rows_of(reading, path, records, Shape(KEYS), SHAPE):
            _add(rows, sums)
    table = sums.table()
    held, active = (table[name].to_numpy() / SECONDS_PER_H for name in ("held_s", "active_s"))
    yield from chunks(reading, table, "gpu", reading.options["ledger"], "GPU-h", held)
    measured = table["measured"].to_numpy() > 0.0
    reading.note("ActiveDuration equals AvailableDuration: nothing is known of use (month, site "
                 "and project)", int((~measured).sum()))  # fmt: skip
    yield from chunks(reading, table[measured], "gpu", "active", "GPU-h", active[measured])


def _check(path: Path, key: str, expected: str) -> None:
    given = next(values(path, key, SHAPE, depth=2), None)
    if str(given) != expected:
        where = f"{path}, field {key}"
        raise DataError("not such a message", where, f"{key} {expected}", str(given)[:SHOWN])


def _add(rows: Rows, sums: Sums) -> None:
    rows.need("AssociatedRecord", "Type")
    gpu = pc.equal(pc.utf8_lower(rows.text("Type")), "gpu").to_numpy(zero_copy_only=False)
    rows.refuse(~gpu, "Type", "not a GPU", "GPU")
    month, month_s = _months(rows)
    count = rows.numbers("Count", 0.0, MOST_GPUS)
    held_s = rows.numbers("AvailableDuration", 0.0, MOST_S)
    active_s = rows.numbers("ActiveDuration", 0.0, MOST_S, missing=np.nan)
    with np.errstate(invalid="ignore"):
        rows.refuse(
            held_s > (1.0 + TOLERANCE) * month_s, "AvailableDuration", "longer than the month",
            "seconds of the month",
        )  # fmt: skip
        rows.refuse(active_s > held_s + SAME_S, "ActiveDuration", "longer than AvailableDuration",
                    "at most AvailableDuration")  # fmt: skip
        measured = np.abs(active_s - held_s) > SAME_S
    active_s = np.where(np.isnan(active_s), held_s, active_s)
    keys = {
        "period_start": month.astype("M8[us]"), "period_end": (month + 1).astype("M8[us]"),
        "site": rows.reading.options["site"] or rows.text("SiteName"), "project": rows.text("FQAN"),
    }  # fmt: skip
    about = {name: rows.text(name) for name in ("AssociatedRecord", "Model")}
    amounts = {"held_s": count * held_s, "active_s": count * active_s, "measured": measured}
    sums.add(rows, keys, amounts, about)


def _months(rows: Rows) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    """Return the month of each record and its length in s."""
    year = rows.numbers("MeasurementYear", 1970, 2199)
    number = rows.numbers("MeasurementMonth", 1, 12)
    for name, numbers in (("MeasurementYear", year), ("MeasurementMonth", number)):
        rows.refuse(numbers != np.rint(numbers), name, "not a whole number", "a whole number")
    fine = rows.keep
    month = np.zeros(len(rows), dtype=np.int64)
    month[fine] = (year[fine] - 1970) * 12 + number[fine] - 1
    begin = month.view("M8[M]")
    length = (begin + 1).astype("M8[s]") - begin.astype("M8[s]")
    return begin, length.astype(np.float64)
