"""Canonical rows on their way to parquet, and what is kept of each to find rows that repeat.

Rows stream to disk, and so does what is kept of each (`marks`): its place in the files, a hash of
what identifies it and one of its content. In memory there is a byte a row, and what is merged or
refused. That two of five million keys share a 64-bit hash by chance has a probability of 7e-7
(n squared / 2**65).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.accounting.marks import Marks
from analysis.accounting.reading import Places, Reading
from analysis.accounting.tables import JOBS, SCHEMAS, utc

_GROUP = 100_000  # rows of a row group, about
_KEYS = {
    "jobs": ("site", "job_id", "start_utc"),
    "aggregates": ("site", "project", "resource", "ledger"),
}
_MARKS = {
    "jobs": [("place", "i8"), ("key", "u8"), ("content", "u8"), ("ended", "?")],
    "aggregates": [("place", "i8"), ("key", "u8"), ("content", "u8"), ("start", "M8[us]"),
                   ("end", "M8[us]")],
}  # fmt: skip
SAME = "the same row once more"
REPLACED = "replaced by a row of the same site, job and start that ended, or came later"
PLACED = "a waiting job that another row of the same site, job and submit time shows placed"
_WAITING = ["site", "job_id", "submit_utc"]  # what Slurm's own database tells jobs apart by


def arrow_schema(table: str) -> pa.Schema:
    """Return the types a table has in parquet."""
    types = {"string": pa.string(), "float64": pa.float64()}
    columns = SCHEMAS[table].columns.items()
    return pa.schema(
        [(n, types.get(str(c.dtype).partition("[")[0], pa.timestamp("us", "UTC")))
         for n, c in columns]
    )  # fmt: skip


class Spool:
    """One canonical table on its way to a parquet file.

    Args:
        table: `jobs` or `aggregates`.
        path: The file.
        key: Columns that identify a row; those of the table when None.
    """

    def __init__(self, table: str, path: Path, key: Sequence[str] | None = None) -> None:
        self.table, self.path = table, path
        self._key = list(_KEYS[table] if key is None else key)
        self._schema = arrow_schema(table)
        self._writer = pq.ParquetWriter(path, self._schema)
        self._marks = Marks(path.with_suffix(".marks"), _MARKS[table])
        self._waiting: list[pa.Table] = []
        self._queue: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []  # which jobs wait
        self._keep: NDArray[np.bool_] = np.array([], dtype=bool)

    def __len__(self) -> int:
        """Return the number of rows that stay, once that is settled."""
        return int(self._keep.sum())

    def add(self, frame: pd.DataFrame, places: Places) -> None:
        """Take over rows."""
        self._waiting.append(pa.Table.from_pandas(frame, self._schema, preserve_index=False))
        if sum(map(len, self._waiting)) >= _GROUP:
            self._write()
        key = _hashes(frame[self._key])
        content = _hashes(frame.drop(columns="source"))
        if self.table == JOBS:
            waits = ((frame["state"] == "pending") & frame["start_utc"].isna()).to_numpy(bool)
            if waits.any():
                row = len(self._marks) + np.flatnonzero(waits)
                self._queue.append((row, _hashes(frame.loc[waits, _WAITING])))
            self._marks.add(places, key, content, frame["end_utc"].notna().to_numpy())
        else:
            span = (utc(frame[name]) for name in ("period_start", "period_end"))
            self._marks.add(places, key, content, *span)

    def _write(self) -> None:
        if self._waiting:
            whole = pa.concat_tables(self._waiting).combine_chunks()
            self._writer.write_table(whole, row_group_size=2 * _GROUP)
            self._waiting = []

    def close(self) -> None:
        """Finish the file."""
        self._write()
        self._writer.close()
        self._marks.close()

    def clear(self) -> None:
        """Finish the file, if that was not done, and forget what was kept of its rows."""
        self.close()
        self._marks.remove()

    def places(self) -> Iterator[Places]:
        """Yield the places of the rows that stay, in the order of the file."""
        for at, piece in self._marks.pieces():
            yield piece["place"][self._keep[at : at + len(piece)]]

    def settle(self, reading: Reading) -> None:
        """Let each job count once and each aggregate's time once.

        The same row twice is merged. Of jobs with the same site, identifier and start that differ,
        one that ended wins over one that had not, and of several the last, in the order of files
        and lines; a row of when a job still waited counts in that of when it had started. An
        aggregate that overlaps an earlier one of the same site, project, resource and ledger is
        refused.
        """
        self.close()
        self._keep = np.ones(len(self._marks), dtype=bool)
        settle = _settle_jobs if self.table == JOBS else _settle_aggregates
        for rows, marks in self._marks.groups():
            self._keep[rows[settle(reading, marks)]] = False
        if self._queue:
            self._settle_queue(reading)
        if not self._keep.all():
            self._rewrite(self._keep)

    def _settle_queue(self, reading: Reading) -> None:
        """Merge rows that show a job waiting which another row shows placed."""
        rows, keys = (np.concatenate(column) for column in zip(*self._queue, strict=True))
        placed = np.zeros(len(rows), dtype=bool)
        for frame in frames(self.path, [*_WAITING, "start_utc"]):
            started = frame.loc[frame["start_utc"].notna(), _WAITING]
            placed |= np.isin(keys, _hashes(started))
        gone = np.zeros(len(self._keep), dtype=bool)
        gone[rows[placed]] = True
        gone &= self._keep
        for at, piece in self._marks.pieces():
            _merge(reading, piece["place"][gone[at : at + len(piece)]], PLACED)
        self._keep &= ~gone

    def _rewrite(self, keep: NDArray[np.bool_]) -> None:
        """Leave out rows that do not stay."""
        part, at = self.path.with_suffix(".all"), 0
        self.path.rename(part)
        with pq.ParquetWriter(self.path, self._schema) as writer:
            for table in _tables(part):
                writer.write_table(table.filter(pa.array(keep[at : at + len(table)])))
                at += len(table)
        part.unlink()


def frames(path: Path, columns: list[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield a table of parquet in pieces."""
    for table in _tables(path, columns):
        yield table.to_pandas()


def _tables(path: Path, columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield row groups one by one; batches of them would all be held until the file is closed."""
    with pq.ParquetFile(path) as whole:
        for number in range(whole.num_row_groups):
            yield whole.read_row_group(number, columns=columns)


def _hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    return pd.util.hash_pandas_object(frame, index=False).to_numpy(np.uint64)


def _merge(reading: Reading, places: Places, why: str) -> None:
    for path, lines in reading.whence(places):
        reading.merge(path, lines, why)


def _settle_jobs(reading: Reading, marks: NDArray[Any]) -> NDArray[np.int64]:
    """Return which rows of a group do not stay, having said so."""
    key, content, ended = marks["key"], marks["content"], marks["ended"]
    order = np.argsort(key, kind="stable")
    twin = key[order[:-1]] == key[order[1:]]
    some = np.zeros(len(order), dtype=bool)
    some[:-1] |= twin
    some[1:] |= twin
    rows = order[some]
    rows = rows[np.lexsort((rows, ended[rows], key[rows]))]  # within a key the winner is last
    loses = key[rows[:-1]] == key[rows[1:]]
    loser, winner = rows[:-1][loses], rows[1:][loses]
    same = content[loser] == content[winner]
    _merge(reading, marks["place"][loser[same]], SAME)
    _merge(reading, marks["place"][loser[~same]], REPLACED)
    return loser


def _settle_aggregates(reading: Reading, marks: NDArray[Any]) -> NDArray[np.int64]:
    """Return which rows of a group do not stay, having said so."""
    places, key, content, start, end = (marks[name] for name in marks.dtype.names or ())
    order = np.lexsort((start, key))
    a, b = order[:-1], order[1:]
    crowded = np.unique(key[a][(key[a] == key[b]) & (start[b] < end[a])])
    first, after = (np.searchsorted(key[order], crowded, side) for side in ("left", "right"))
    same, refused, with_ = [], [], {}
    for low, high in zip(first, after, strict=True):
        taken: list[tuple[int, int, int]] = []  # disjoint, in order of time: start, end, row
        for row in np.sort(order[low:high]):
            span = (int(start[row].astype(np.int64)), int(end[row].astype(np.int64)), int(row))
            at = bisect.bisect_left(taken, span)
            near = [t for t in taken[max(at - 1, 0) : at + 1] if t[0] < span[1] and span[0] < t[1]]
            if not near:
                taken.insert(at, span)
            elif content[near[0][2]] == content[row]:
                same.append(row)
            else:
                refused.append(row)
                with_[int(places[row])] = f"{start[row]} to {end[row]}"
    _merge(reading, places[np.array(same, dtype=np.int64)], SAME)
    for path, lines in reading.whence(places[np.array(refused, dtype=np.int64)]):
        given = [with_[int(place)] for place in reading.places(path, lines)]
        reading.refuse(
            path, lines, "period_start", "period overlaps one counted before",
            "periods of a site, project, resource and ledger that do not overlap", given,
        )  # fmt: skip
    return np.array(same + refused, dtype=np.int64)
