"""From files of a format to the two canonical tables, with an account of every row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandera.errors import SchemaErrors

from analysis.accounting.formats import reader_of
from analysis.accounting.options import checked
from analysis.accounting.reading import Chunk, Places, Reader, Reading
from analysis.accounting.spool import Spool, frames
from analysis.accounting.tables import AGGREGATES, JOBS, SCHEMAS, utc
from analysis.accounting.totals import COLUMNS, monthly
from sim.errors import DataError, EngineError

_TIMES = ("submit_utc", "start_utc", "end_utc")


@dataclass(frozen=True, eq=False)
class Imported:
    """What an import made: `jobs.parquet`, `aggregates.parquet` and `refused.csv` in a folder.

    Args:
        reading: What was said while reading.
        rows: Rows read, used, refused and merged; read is the sum of the others.
        tables: Rows of each canonical table.
        until: Jobs that still run are counted up to then.
        totals: Columns month, table, resource, ledger, quantity, unit.
        states: Jobs by what became of them, and how long: counts by words.
    """

    reading: Reading
    rows: dict[str, int]
    tables: dict[str, int]
    until: pd.Timestamp | None
    totals: pd.DataFrame
    states: dict[str, int]


def import_as(
    name: str, files: Sequence[Path], options: Mapping[str, Any], folder: Path,
    until: pd.Timestamp | None = None,
) -> Imported:  # fmt: skip
    """Read files of a format, by its name and what it is told, into an empty folder.

    Raises:
        ConfigError, DataError: As `formats.reader_of`, `options.checked` and `import_files`.
    """
    reader = reader_of(name)
    told = checked(reader.OPTIONS, options, name)
    reading = Reading(tuple(files), told, name, folder / "refused.csv", word=reader.ROW)
    return import_files(reader, reading, folder, until)


def import_files(
    reader: Reader, reading: Reading, folder: Path, until: pd.Timestamp | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Imported:  # fmt: skip
    """Read all files into a folder, which must be empty but for the file of refused rows.

    Args:
        reader: Of their format.
        reading: The files and options.
        folder: Where the tables are written.
        until: Up to when running jobs are counted; None: the latest time that the files know.
        advance: Called with the number of canonical rows since the last call.

    Raises:
        DataError: When a file cannot be used at all; `folder` is then of no use.
    """
    keys = {JOBS: getattr(reader, "JOB_KEY", None)}
    spools = {t: Spool(t, folder / f"{t}.parquet", keys.get(t)) for t in SCHEMAS}
    try:
        for chunk in reader.read(reading):
            fine = _validated(reading, chunk)
            if len(fine.frame):
                spools[fine.table].add(fine.frame, _places(reading, fine))
                for name in _TIMES if fine.table == JOBS else ():
                    reading.saw(utc(fine.frame[name]))
            advance(len(chunk.line))
        _refuse_useless(reading)
        for spool in spools.values():
            spool.settle(reading)
        rows = _rows(reading, spools)
    finally:
        for spool in spools.values():
            spool.clear()
        reading.close()
    until = until or reading.until_utc or reading.seen_utc
    states: dict[str, int] = {}
    return Imported(
        reading, rows, {table: len(spool) for table, spool in spools.items()}, until,
        _totals(folder, until, states), states,
    )  # fmt: skip


def _validated(reading: Reading, chunk: Chunk) -> Chunk:
    """Refuse the rows that the schema of the table refuses."""
    schema = SCHEMAS[chunk.table]
    try:
        schema.validate(chunk.frame, lazy=True)
        return chunk
    except SchemaErrors as error:
        cases = error.failure_cases
    if cases["index"].isna().any():
        wrong = cases[cases["index"].isna()].iloc[0]
        raise EngineError("a reader made a wrong table", chunk.table, str(wrong["check"]),
                          str(wrong["failure_case"]))  # fmt: skip
    across = {check.error: check.name for check in schema.checks}
    cases = cases.assign(name=[across.get(c, n) for c, n in zip(cases["check"], cases["column"],
                                                                strict=True)])  # fmt: skip
    cases = cases.drop_duplicates("index").sort_values("index")
    for (name, check), mine in cases.groupby(["name", "check"], sort=False):
        at = mine["index"].to_numpy(np.int64)
        places = _places(reading, chunk)[at]
        told = dict(zip(places.tolist(), _told(chunk.frame, name, check, at), strict=True))
        for path, line in reading.whence(places):
            given = [told[place] for place in reading.places(path, line).tolist()]
            what = "a value that cannot be"
            reading.refuse(path, line, str(name), what, str(check), given)
    lines = np.unique(chunk.line[cases["index"].to_numpy(np.int64)])
    keep = ~np.isin(chunk.line, lines)
    frame = chunk.frame[keep].reset_index(drop=True)
    return Chunk(chunk.table, frame, chunk.path, chunk.line[keep])


def _places(reading: Reading, chunk: Chunk) -> Places:
    return chunk.line if chunk.path is None else reading.places(chunk.path, chunk.line)


def _told(frame: pd.DataFrame, name: str, check: str, at: np.ndarray) -> list[str]:
    """Return what was found in rows that were refused; both times where two have to agree."""
    texts = frame[name].iloc[at].astype(str)
    other = [word for word in check.split() if word in frame.columns and word != name]
    if not other:
        return texts.tolist()
    return [f"{a}, {b}" for a, b in zip(texts, frame[other[0]].iloc[at].astype(str), strict=True)]


def _looked_at(jobs: Iterable[pd.DataFrame], states: dict[str, int]) -> Iterator[pd.DataFrame]:
    """Pass jobs on, counting those that a reader of the report should know of."""
    for frame in jobs:
        placed, ended = frame["start_utc"].notna(), frame["end_utc"].notna()
        for word, which in {
            "never placed": ~placed,
            "still running": placed & ~ended,
            "of no duration": placed & (frame["end_utc"] == frame["start_utc"]),
            "started before they were submitted": frame["start_utc"] < frame["submit_utc"],
        }.items():
            states[word] = states.get(word, 0) + int(which.sum())
        yield frame


def _refuse_useless(reading: Reading) -> None:
    """Refuse a file without any row, or without any that can be used.

    Files of one set are only refused if none of them has such a row.
    """
    useless = dict.fromkeys(reading.files, 0)
    for path, lines in reading.whence(_unique([*reading.refused, *reading.merged])):
        useless[path] = len(lines)
    if reading.one_set and sum(useless.values()) < sum(reading.rows_read.values()):
        return
    for path in reading.files:
        read = reading.rows_read[path]
        if not read and (not reading.one_set or not sum(reading.rows_read.values())):
            raise DataError("no rows in it", str(path), "at least one row of accounting")
        if read and useless[path] == read:
            first = next((r for r in reading.first if r.file == str(path)), None)
            what = f"none of its {read:,} rows can be used"
            expected = "rows of this format"
            if first is not None:
                expected = f"at {reading.word} {first.row}, field {first.field}: {first.expected}"
            raise DataError(what, str(path), expected, first and first.given)


def _rows(reading: Reading, spools: Mapping[str, Spool]) -> dict[str, int]:
    """Count what became of the rows that were read.

    A row that became several is used if any of them is; merged and refused if that is all that
    became of it.

    Raises:
        EngineError: When they do not add up: a reader lost rows, or counted some twice.
    """
    merged, refused = _unique(reading.merged), _unique(reading.refused)
    used, (merged_too, refused_too) = _used(spools, merged, refused)
    merged = merged[~merged_too]
    refused = refused[~(refused_too | _among(refused, merged))]
    read = sum(reading.rows_read.values())
    again = len(merged) + reading.repeated
    rows = {"read": read, "used": used, "refused": len(refused), "merged": again}
    if read != used + len(refused) + again:
        expected = "rows read = used + refused + merged"
        raise EngineError("rows do not add up", reading.format_name, expected, str(rows))
    return rows


def _used(spools: Mapping[str, Spool], *others: Places) -> tuple[int, list[np.ndarray]]:
    """Return how many places are used, and which of others (in order) are among them.

    Places mostly come in order; all of them are only held in memory where they do not.
    """
    found, last, used, ordered = [np.zeros(len(o), dtype=bool) for o in others], -1, 0, True

    def parts() -> Iterator[Places]:
        return (part for spool in spools.values() for part in spool.places() if len(part))

    for part in parts():
        ordered = ordered and part[0] >= last and bool((part[1:] >= part[:-1]).all())
        used += int((part[1:] > part[:-1]).sum()) + int(part[0] > last)
        last = int(part[-1])
        for other, mine in zip(others, found, strict=True):
            if len(other):
                at = np.minimum(np.searchsorted(other, part), len(other) - 1)
                mine[at[other[at] == part]] = True
    return used if ordered else len(_unique(list(parts()))), found


def _unique(parts: Sequence[Places]) -> Places:
    """Return all places once, in order; much faster than numpy's unique, which hashes."""
    places = np.concatenate([np.array([], dtype=np.int64), *parts])
    places.sort()
    return places[np.concatenate([[True], places[1:] != places[:-1]])[: len(places)]]


def _among(places: Places, others: Places) -> np.ndarray:
    """Return which places are among others, which are in order."""
    if not len(others):
        return np.zeros(len(places), dtype=bool)
    return others[np.minimum(np.searchsorted(others, places), len(others) - 1)] == places


def _totals(folder: Path, until: pd.Timestamp | None, states: dict[str, int]) -> pd.DataFrame:
    """Return totals by month, from the files that were written; counts jobs in `states`."""
    names = ["month", "table", "resource", "ledger", "unit"]
    written = frames(folder / f"{JOBS}.parquet", ["submit_utc", *COLUMNS])
    jobs = monthly(_looked_at(written, states), until)
    parts = [jobs.assign(table=JOBS, ledger="allocated")[[*names, "quantity"]]]
    for frame in frames(folder / f"{AGGREGATES}.parquet", ["period_start", *names[2:], "quantity"]):
        month = utc(frame["period_start"]).astype("M8[M]").astype(np.int64)
        mine = frame.assign(month=month, table=AGGREGATES).groupby(names, as_index=False)
        sums = mine["quantity"].sum()
        parts.append(sums.assign(month=sums["month"].to_numpy().astype("M8[M]").astype(str)))
    whole = pd.concat([part for part in parts if len(part)] or parts)
    return whole.groupby(names, as_index=False)["quantity"].sum()
