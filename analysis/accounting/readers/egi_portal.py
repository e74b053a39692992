"""Bulk data of the EGI accounting portal, https://accounting.egi.eu/csv and /json.

A row is a month, stamped at its first midnight UTC, of a site, computing element, infrastructure,
benchmark and virtual organisation; rows of the same month, site and organisation are added up.
raw_wc_time is wall-clock time, which counts as allocated, raw_cpu_time the time that cores
computed, active. Their unit is not stated there, and neither is a number of GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting import json_walk
from analysis.accounting.delimited import Layout, split
from analysis.accounting.json_records import Shape
from analysis.accounting.json_records import rows as rows_of
from analysis.accounting.opening import opened
from analysis.accounting.options import DECIMAL, SITE, Option
from analysis.accounting.reading import SHOWN, Chunk, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.sums import Sums, chunks
from analysis.accounting.tables import MOST
from analysis.accounting.times import iso_times
from sim.errors import DataError
from sim.units import SECONDS_PER_H, YEAR_H

SAYS = "EGI accounting portal: bulk data, https://accounting.egi.eu/csv or /json."
UNIT = Option(
    "time_unit", "choice", "hours", "-",
    "unit of raw_wc_time and raw_cpu_time, which the portal does not state; hours are assumed, as "
    "in its tables",
    ("hours", "seconds"),
)  # fmt: skip
OPTIONS = (SITE, UNIT, DECIMAL)
ROW = "record"
KEYS = ("time", "raw_wc_time", "raw_cpu_time", "number_of_jobs", "site", "vo")
ABOUT = ("benchmark", "ce", "country", "federation", "infrastructure", "ngi", "tier")
LAYOUT = Layout(",", KEYS[:2], (*KEYS[2:], *ABOUT))
SHAPE = "JSON {results: [{series: [{columns: [time, ...], values: [[...], ...]}]}]}"
_SERIES = "results.item.series.item"
_SIGNS = re.compile(rb'"(columns)"\s{0,9}:|"partial"\s{0,9}:\s{0,9}true')
_EPOCH = r"^[0-9]{9,10}(?:[0-9]{3}|[0-9]{6}|[0-9]{9})?$"  # s, ms, µs or ns since 1970


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield CPU-h and jobs by month, site and virtual organisation of all files."""
    unit = reading.options["time_unit"]
    reading.note(f"raw_wc_time and raw_cpu_time are {unit} (time_unit; the portal does not say)")
    reading.note("raw_wc_time is wall-clock time times cores (assumed): allocated CPU-h")
    reading.note("The portal has no GPUs: none are counted")
    json = [_is_json(path) for path in reading.files]
    reading.word = "record" if any(json) else "line"
    names = KEYS[1:4]
    sums = Sums(reading, (*names, *(f"with {name}" for name in names)))
    for path, is_json in zip(reading.files, json, strict=True):
        for rows in _from_json(reading, path) if is_json else split(reading, path, LAYOUT):
            _add(rows, sums)
    table = sums.table()
    per_h = SECONDS_PER_H if unit == "seconds" else 1.0
    for name, resource, ledger, word, scale in (
        ("raw_wc_time", "cpu", "allocated", "CPU-h", per_h),
        ("raw_cpu_time", "cpu", "active", "CPU-h", per_h),
        ("number_of_jobs", "jobs", "allocated", "jobs", 1.0),
    ):
        told = table[table[f"with {name}"] > 0.0]
        quantity = told[name].to_numpy() / scale
        if name == "raw_wc_time":
            crowded = (told["number_of_jobs"] > 0) & (quantity > YEAR_H * told["number_of_jobs"])
            reading.note("Months with more than a year a job: check time_unit", int(crowded.sum()))
        yield from chunks(reading, told, resource, ledger, word, quantity)


def _is_json(path: Path) -> bool:
    with opened(path) as stream:
        return stream.read(1 << 10).lstrip()[:1] in (b"{", b"[")


def _from_json(reading: Reading, path: Path) -> Iterator[Rows]:
    """Return rows of a result of InfluxDB, which names columns once for a series."""
    depth = json_walk.levels(f"{_SERIES}.values.item")
    names = json_walk.values(path, f"{_SERIES}.columns", SHAPE, depth)
    columns = next(names, None)
    if not isinstance(columns, list):
        raise DataError("no columns", str(path), SHAPE)
    signs = [match[1] for match in json_walk.found(path, _SIGNS)]  # columns, or None: partial
    if len(signs) - signs.count(None) > 1 and any(others != columns for others in names):
        raise DataError("series of different columns", str(path), "the same in all series")
    for name in LAYOUT.required:
        if columns.count(name) != 1:
            given = ", ".join(map(str, columns))[:SHOWN]
            raise DataError(f"no column {name!r}", f"{path}, field columns", SHAPE, given)
    if None in signs:
        expected = "all of it, or files of shorter periods"
        raise DataError("a part of the data only", f"{path}, field partial", expected)
    values = json_walk.values(path, f"{_SERIES}.values.item", SHAPE)
    shape = Shape((*KEYS, *ABOUT), f"a list of {len(columns)} values", tuple(map(str, columns)))
    return rows_of(reading, path, values, shape, SHAPE)


def _add(rows: Rows, sums: Sums) -> None:
    month = _months(rows)
    names = KEYS[1:4]
    amounts = {name: rows.numbers(name, 0.0, MOST, missing=np.nan) for name in names}
    rows.refuse(np.all([np.isnan(a) for a in amounts.values()], axis=0), "raw_wc_time",
                "no amount in it", "a number")  # fmt: skip
    with np.errstate(invalid="ignore"):
        more = amounts["raw_cpu_time"] > amounts["raw_wc_time"]
    rows.reading.note("Rows with more raw_cpu_time than raw_wc_time: is that without cores?",
                      (more & rows.keep).sum())  # fmt: skip
    for name in names:
        amounts[f"with {name}"] = np.isfinite(amounts[name]).astype(float)
        amounts[name] = np.nan_to_num(amounts[name])
    keys = {
        "period_start": month.astype("M8[us]"), "period_end": (month + 1).astype("M8[us]"),
        "site": rows.reading.options["site"] or rows.text("site"), "project": rows.text("vo"),
    }  # fmt: skip
    sums.add(rows, keys, amounts, {name: rows.text(name) for name in (*ABOUT, "site")})


def _months(rows: Rows) -> NDArray[np.datetime64]:
    """Return the month of each row; refuses times that are not its beginning."""
    encoded = pc.dictionary_encode(rows.text("time"))
    texts = encoded.dictionary
    digits = pc.match_substring_regex(texts, _EPOCH).to_numpy(zero_copy_only=False)
    times = iso_times(pc.if_else(pa.array(digits), None, texts), "UTC").utc
    for at in np.flatnonzero(digits).tolist():
        text = texts[at].as_py()
        fraction = len(text) - (9 if len(text) % 3 == 0 else 10)
        time_us, rest = divmod(int(text) * 1_000_000, 10**fraction)
        times[at] = np.datetime64("NaT") if rest else np.datetime64(time_us, "us")
    months = times.astype("M8[M]")
    inside = (months >= np.datetime64("1970-01")) & (months < np.datetime64("2200-01"))
    months[(months.astype("M8[us]") != times) | ~inside] = np.datetime64("NaT")
    months = months[encoded.indices.to_numpy()]
    rows.refuse(np.isnat(months), "time", "not the beginning of a month",
                "the first midnight UTC of a month from 1970 to 2199")  # fmt: skip
    return np.where(np.isnat(months), np.datetime64("1970-01"), months)
