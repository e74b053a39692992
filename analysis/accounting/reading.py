"""What a reader is given and what it gives back; how rows that it cannot use are collected.

A reader is a module of `analysis.accounting.readers` whose file name is the format's name:

- `SAYS`: the format in one sentence, with its source.
- `OPTIONS`: a tuple of `Option`, what it may be told.
- `ROW`: what a row is counted as, `line` or `record`.
- `JOB_KEY`, if it is there: columns that identify a job, where they are not site, job_id and start.
- `read(reading)`: yields chunks of canonical rows, some thousand at a time, from all files.

Each row that is read is told to `reading.read`, and is then used (it is in a chunk), refused
(`reading.refuse`) or merged into another (`reading.merge`). A file that is not of the format
raises DataError. What a schema refuses is refused by whoever asked for the chunks.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.accounting.options import Option
from analysis.storing import inert, writable
from sim.errors import DataError

FIRST = 10  # refusals that a report shows
MOST_REFUSED = 1_000_000  # rows; assumed: whoever has more hands over another format, or garbage
SHOWN = 80  # characters of what was given that are kept
_LINE_BITS = 40  # a place is file << 40 | line: a trillion lines a file
REFUSED_COLUMNS = ("file", "row", "field", "what", "expected", "given")
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Canonical rows and where each came from.

    Args:
        table: `jobs` or `aggregates`.
        frame: From `frame_of`, with an index from 0.
        path: The file; None if rows come from several.
        line: Line or number of record of each row, from 1; a row of the file may become several.
            Without a path the places of rows (`Reading.places`).
    """

    table: str
    frame: pd.DataFrame
    path: Path | None
    line: Places


class Reader(Protocol):
    """A module of `analysis.accounting.readers`."""

    SAYS: str
    OPTIONS: tuple[Option, ...]
    ROW: str

    def read(self, reading: Reading) -> Iterator[Chunk]:
        """Yield the canonical rows of all files."""


@dataclass(frozen=True)
class Refusal:
    """One row that was refused, for people."""

    file: str
    row: int
    field: str
    what: str
    expected: str
    given: str

    def error(self, word: str) -> DataError:
        """Return it as an error."""
        where = f"{self.file}, {word} {self.row}, field {self.field}"
        return DataError(self.what, where, self.expected, self.given)


@dataclass(eq=False)
class Reading:
    """One import: what is read, with which options, and all that is to be said about it.

    Args:
        files: What to read, in this order.
        options: Value of every option of the reader.
        format_name: Name of the format.
        refused_csv: Where refused rows are written, one by one.
        word: `line` or `record`.
        one_set: Whether the files are parts of one thing, so that single ones may be empty or of
            no use; a reader says so.
        until_utc: Up to when running jobs are counted; None: the latest moment that was seen. For
            readers that know better.
        lacking: Spans of days that are known to lack something, such as `2024-11-13..2025-05-22`.
    """

    files: Sequence[Path]
    options: dict[str, Any]
    format_name: str
    refused_csv: Path
    word: str = "line"
    rows_read: Counter[Path] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    first: list[Refusal] = field(default_factory=list)
    notes: dict[str, int] = field(default_factory=dict)
    seen_utc: pd.Timestamp | None = None
    refused: list[Places] = field(default_factory=list)
    merged: list[Places] = field(default_factory=list)
    merged_why: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    one_set: bool = False
    until_utc: pd.Timestamp | None = None
    lacking: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin the file of refused rows."""
        self._number = {path: number for number, path in enumerate(self.files)}
        self._file = self.refused_csv.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(REFUSED_COLUMNS)

    def close(self) -> None:
        """Finish the file of refused rows."""
        self._file.close()

    def places(self, path: Path, line: Any) -> Places:
        """Return the places of rows of a file; unique over all files."""
        lines: Places = np.asarray(line, dtype=np.int64)
        return lines + (self._number[path] << _LINE_BITS)

    def whence(self, places: Places) -> Iterator[tuple[Path, Places]]:
        """Return the file and lines of places, file by file."""
        for number in np.unique(places >> _LINE_BITS):
            mine = places[places >> _LINE_BITS == number]
            yield self.files[int(number)], mine & ((1 << _LINE_BITS) - 1)

    def source(self, path: Path) -> str:
        """Return what the column `source` says of rows of a file."""
        return writable(f"{self.format_name}:{path.name}"[:SHOWN])

    def sources(self, places: Places) -> list[str]:
        """Return the column `source` of rows of several files."""
        return [self.source(self.files[number]) for number in (places >> _LINE_BITS).tolist()]

    def read(self, path: Path, rows: int) -> None:
        """Count rows of a file, whatever becomes of them."""
        self.rows_read[path] += rows

    def refuse(
        self, path: Path, lines: Iterable[int], name: str, what: str, expected: str,
        given: Iterable[object],
    ) -> None:  # fmt: skip
        """Refuse rows of a file.

        Args:
            path: The file.
            lines: Their lines.
            name: The field that is wrong.
            what: What is wrong with it; a fixed text.
            expected: What would have been accepted; a fixed text.
            given: What was found, one a row.

        Raises:
            DataError: When more than `MOST_REFUSED` rows have been refused.
        """
        numbers = np.fromiter(lines, dtype=np.int64)
        if not len(numbers):
            return
        if self.reasons.total() + len(numbers) > MOST_REFUSED:
            limit = f"at most {MOST_REFUSED:,}; {self.word} {numbers[0]}: {name}: {expected}"
            raise DataError("too many rows that cannot be used", str(path), limit)
        self.refused.append(self.places(path, numbers))
        self.reasons[name, what, expected] += len(numbers)
        cells = [str(path), name, what, expected]
        file, name, what, expected = (inert(cell) for cell in cells)
        for row, found in zip(numbers.tolist(), given, strict=True):
            shown = str(found)[:SHOWN]
            self._writer.writerow((file, row, name, what, expected, inert(shown)))
            if len(self.first) < FIRST:
                self.first.append(Refusal(str(path), row, cells[1], cells[2], cells[3], shown))

    def merge(self, path: Path, lines: Any, why: str) -> None:
        """Count rows whose content is in other rows.

        Args:
            path: The file.
            lines: Their lines.
            why: What became of them; a fixed text.
        """
        if len(lines):
            self.merged.append(self.places(path, lines))
            self.merged_why[why] += len(lines)

    def repeat(self, rows: int, why: str) -> None:
        """Count rows that only say once more what others say: merged, without their places.

        For formats in which most rows do, so that nothing is kept of each. None of these rows may
        be used, refused or merged as well.
        """
        if rows:
            self.repeated += rows
            self.merged_why[why] += rows

    def note(self, sentence: str, rows: int | None = None) -> None:
        """Say what was assumed or done; nothing if it concerned no row.

        Args:
            sentence: A fixed text.
            rows: How many rows it concerned, which is added up; None if it is said anyway.
        """
        if rows is None or rows > 0:
            self.notes[sentence] = self.notes.get(sentence, 0) + int(rows or 0)

    def saw(self, times: NDArray[np.datetime64]) -> None:
        """Remember the latest moment that the source knows about, from UTC times."""
        known = times[~np.isnat(times)]
        if len(known):
            latest = pd.Timestamp(known.max()).tz_localize("UTC")
            self.seen_utc = max(self.seen_utc or latest, latest)
