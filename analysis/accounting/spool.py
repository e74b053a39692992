"""Canonical rows on their way to parquet, and what is kept of each to find rows that repeat.

Rows stream to disk. Kept in memory for each: its place in the files, a hash of what identifies it
and one of its content, 25 bytes a job and 40 an aggregate, about twice that while they are sorted
at the end (250 MB for five million jobs). That two of five million keys share a 64-bit hash by
chance has a probability of 7e-7 (n squared / 2**65).
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.accounting.reading import Places, Reading
from analysis.accounting.tables import JOBS, SCHEMAS, utc

_GROUP = 100_000  # rows of a row group, about
_KEYS = {
    "jobs": ("site", "job_id", "start_utc"),
    "aggregates": ("site", "project", "resource", "ledger"),
}
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
        self._waiting: list[pa.Table] = []
        self._kept: list[tuple[NDArray, ...]] = []
        self._rows = 0
        self._queue: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []  # which rows wait

    def add(self, frame: pd.DataFrame, places: Places) -> None:
        """Take over rows."""
        self._waiting.append(pa.Table.from_pandas(frame, self._schema, preserve_index=False))
        if sum(map(len, self._waiting)) >= _GROUP:
            self._write()
        key = _hashes(frame[self._key])
        content = _hashes(frame.drop(columns="source"))
        if self.table == JOBS:
            self._kept.append((places, key, content, frame["end_utc"].notna().to_numpy()))
            waits = ((frame["state"] == "pending") & frame["start_utc"].isna()).to_numpy(bool)
            if waits.any():
                row = self._rows + np.flatnonzero(waits)
                self._queue.append((row, _hashes(frame.loc[waits, _WAITING])))
            self._rows += len(frame)
        else:
            span = (utc(frame[name]) for name in ("period_start", "period_end"))
            self._kept.append((places, key, content, *span))

    def _write(self) -> None:
        if self._waiting:
            whole = pa.concat_tables(self._waiting).combine_chunks()
            self._writer.write_table(whole, row_group_size=2 * _GROUP)
            self._waiting = []

    def close(self) -> None:
        """Finish the file."""
        self._write()
        self._writer.close()

    def settle(self, reading: Reading) -> Places:
        """Let each job count once and each aggregate's time once; returns the places that stay.

        The same row twice is merged. Of jobs with the same site, identifier and start that differ,
        one that ended wins over one that had not, and of several the last, in the order of files
        and lines; a row of when a job still waited counts in that of when it had started. An
        aggregate that overlaps an earlier one of the same site, project, resource
        and ledger is refused.
        """
        self.close()
        if not self._kept:
            return np.array([], dtype=np.int64)
        parts = [list(column) for column in zip(*self._kept, strict=True)]
        self._kept = []
        columns = []
        while parts:  # one after the other: both forms of all of them would be twice the memory
            columns.append(np.concatenate(parts.pop(0)))
        places = columns[0]
        keep = np.ones(len(places), dtype=bool)
        if self.table == JOBS:
            _settle_jobs(reading, columns, keep)
            self._settle_queue(reading, places, keep)
        else:
            _settle_aggregates(reading, columns, keep)
        if not keep.all():
            self._rewrite(keep)
        return places[keep]

    def _settle_queue(self, reading: Reading, places: Places, keep: NDArray[np.bool_]) -> None:
        """Merge rows that show a job waiting which another row shows placed."""
        if not self._queue:
            return
        rows, keys = (np.concatenate(column) for column in zip(*self._queue, strict=True))
        placed = np.zeros(len(rows), dtype=bool)
        for frame in frames(self.path, [*_WAITING, "start_utc"]):
            started = frame.loc[frame["start_utc"].notna(), _WAITING]
            placed |= np.isin(keys, _hashes(started))
        gone = rows[placed & keep[rows]]
        keep[gone] = False
        _merge(reading, places[gone], PLACED)

    def _rewrite(self, keep: NDArray[np.bool_]) -> None:
        """Leave out rows that do not stay."""
        part, at = self.path.with_suffix(".all"), 0
        self.path.rename(part)
        with pq.ParquetWriter(self.path, self._schema) as writer, pq.ParquetFile(part) as whole:
            for batch in whole.iter_batches(_GROUP):
                mine = pa.array(keep[at : at + len(batch)])
                writer.write_batch(batch.filter(mine))
                at += len(batch)
        part.unlink()


def frames(path: Path, columns: list[str] | None = None) -> Iterator[pd.DataFrame]:
    """Yield a table of parquet in pieces."""
    with pq.ParquetFile(path) as whole:
        for batch in whole.iter_batches(_GROUP, columns=columns):
            yield batch.to_pandas()


def _hashes(frame: pd.DataFrame) -> NDArray[np.uint64]:
    return pd.util.hash_pandas_object(frame, index=False).to_numpy(np.uint64)


def _merge(reading: Reading, places: Places, why: str) -> None:
    for path, lines in reading.whence(places):
        reading.merge(path, lines, why)


def _settle_jobs(reading: Reading, columns: list[NDArray], keep: NDArray[np.bool_]) -> None:
    places, key, content, ended = columns
    order = np.argsort(key, kind="stable")
    twin = key[order[:-1]] == key[order[1:]]
    some = np.zeros(len(order), dtype=bool)
    some[:-1] |= twin
    some[1:] |= twin
    rows = order[some]
    rows = rows[np.lexsort((rows, ended[rows], key[rows]))]  # within a key the winner is last
    loses = key[rows[:-1]] == key[rows[1:]]
    loser, winner = rows[:-1][loses], rows[1:][loses]
    keep[loser] = False
    same = content[loser] == content[winner]
    _merge(reading, places[loser[same]], SAME)
    _merge(reading, places[loser[~same]], REPLACED)


def _settle_aggregates(reading: Reading, columns: list[NDArray], keep: NDArray[np.bool_]) -> None:
    places, key, content, start, end = columns
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
    keep[np.array(same + refused, dtype=np.int64)] = False
    _merge(reading, places[np.array(same, dtype=np.int64)], SAME)
    for path, lines in reading.whence(places[np.array(refused, dtype=np.int64)]):
        given = [with_[int(place)] for place in reading.places(path, lines)]
        reading.refuse(
            path, lines, "period_start", "period overlaps one counted before",
            "periods of a site, project, resource and ledger that do not overlap", given,
        )  # fmt: skip
