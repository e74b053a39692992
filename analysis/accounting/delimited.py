"""Delimited text, a block of lines at a time, with the line number of every row.

A row is a line: a cell with a line break inside quotes is refused, not guessed at, so that one
stray quote never swallows the rows below it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
from numpy.typing import NDArray

from analysis.accounting.opening import LONGEST_LINE, blocks_of_lines, opened
from analysis.accounting.reading import SHOWN, Reading
from analysis.accounting.rows import Rows
from sim.errors import DataError

_MOST_COMMENTS = 1000


@dataclass(frozen=True)
class Layout:
    """How the rows of a format are written.

    Args:
        delimiter: One character; a space stands for any number of blanks and tabs.
        required: Columns that have to be there.
        optional: Columns that are read if they are there.
        others: Whether other columns may be there; they are then not read, which is said.
        quotes: Whether cells may stand in double quotes.
        header: Whether the first line names the columns, in any order; else all of `required` is
            there, in this order.
        comment: First character of lines that are none of the table; none if empty.
        preamble: How many lines may stand before the header.
        aliases: Other names of columns.
    """

    delimiter: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    others: bool = True
    quotes: bool = True
    header: bool = True
    comment: str = ""
    preamble: int = 0
    aliases: Mapping[str, str] = field(default_factory=dict)


def split(
    reading: Reading, path: Path, layout: Layout, comments: list[str] | None = None
) -> Iterator[Rows]:
    """Read the rows of a file, one block of lines at a time.

    Args:
        reading: The import; counts rows, and those that are not rows of this layout are refused.
            Its option `encoding`, if there is one, is that of the text.
        path: The file.
        layout: How it is written.
        comments: Filled with comment lines as they come, the first 1,000.

    Raises:
        DataError: When the file cannot be read or its header is not one of the layout.
    """
    names, line = (None if layout.header else layout.required), 1
    comments = [] if comments is None else comments
    with opened(path) as stream:
        for block, unended in blocks_of_lines(stream):
            if reading.options.get("encoding") == "latin-1":
                block = block.decode("latin-1").encode()
            if names is None:
                names, block, line = _take_header(reading, path, layout, block, line)
            if names is not None and block:
                lines = _Lines(block, line, unended, layout)
                comments += lines.comments()[: _MOST_COMMENTS - len(comments)]
                line += len(lines.end)
                rows = lines.rows(reading, path, names)
                if len(rows):
                    yield rows
        if names is None:
            raise DataError("no header", str(path), "columns " + ", ".join(layout.required))


def header_of(path: Path, delimiter: str) -> tuple[str, ...]:
    """Return the cells of the first line that is not empty; none if there is no such line.

    Raises:
        DataError: When the file cannot be read.
    """
    with opened(path) as stream:
        for block, _ in blocks_of_lines(stream, 1 << 16):
            for line in block.split(b"\n"):
                text = line.decode("utf-8", errors="replace").strip()
                if text:
                    return tuple(c.strip() for c in _cells(text, delimiter) or [text])
    return ()


class _Lines:
    """The lines of a block: where each begins and ends, and what is wrong with it."""

    def __init__(self, block: bytes, line: int, unended: bool, layout: Layout) -> None:
        if layout.delimiter == " ":
            block = b"\n".join(b" ".join(x.split()) for x in block.split(b"\n"))
        self.block, self.unended, self.layout = block, unended, layout
        self.data = np.frombuffer(block, dtype=np.uint8)
        self.end = np.flatnonzero(self.data == ord("\n"))
        self.start = np.concatenate([[0], self.end[:-1] + 1]).astype(np.int64)
        self.line = np.arange(line, line + len(self.end), dtype=np.int64)
        self.good = self.end > self.start
        self.comment = np.zeros(len(self.end), dtype=bool)
        if layout.comment:
            self.comment = self.good & (self.data[self.start] == ord(layout.comment))
            self.good &= ~self.comment

    def text(self, number: int) -> str:
        """Return a line, or the beginning of a long one."""
        cut = self.block[self.start[number] : min(self.end[number], self.start[number] + 4 * SHOWN)]
        return cut.decode("utf-8", errors="replace")

    def comments(self) -> list[str]:
        return [self.text(int(n)) for n in np.flatnonzero(self.comment)[:_MOST_COMMENTS]]

    def rows(self, reading: Reading, path: Path, names: tuple[str, ...]) -> Rows:
        """Return the lines that are rows; what is no row is refused."""
        reading.read(path, int(self.good.sum()))

        def refuse(bad: NDArray[np.bool_], what: str, expected: str) -> None:
            at = np.flatnonzero(bad & self.good)
            given = (self.text(int(n)) for n in at)
            reading.refuse(path, self.line[at], "row", what, expected, given)
            self.good[at] = False

        refuse(self.end - self.start > LONGEST_LINE, "line too long", f"{LONGEST_LINE:,} bytes")
        refuse(self._with_control(), "control character", "text")
        refuse(self._undecodable(), "not UTF-8", "UTF-8 (encoding=latin-1 reads ISO 8859-1)")
        if self.layout.quotes and b'"' in self.block:
            found: list[list[str] | None] = [
                _cells(self._whole(n), self.layout.delimiter) if ok else None
                for n, ok in enumerate(self.good)
            ]
            refuse(np.array([c is None for c in found]), "unbalanced quotes",
                   "cells in double quotes, none with a line break in it")  # fmt: skip
            count = np.array([0 if cells is None else len(cells) for cells in found])
        else:
            found, count = [], self._count()
        expected = f"{len(names)} cells separated by {self.layout.delimiter!r}"
        if self.unended:
            last = np.arange(len(self.good)) == len(self.good) - 1
            refuse(last & (count < len(names)), "last line cut off", expected)
            if self.good[-1:].any() and self.layout.header:
                reading.note("The last line has no line end, but all its cells: it is used", 1)
        refuse(count != len(names), "wrong number of cells", expected)
        if found:
            columns = _transposed([found[n] for n in np.flatnonzero(self.good)], names)
        else:
            columns = self._parsed(names)
        return Rows(reading, path, self.line[self.good], columns)

    def _whole(self, number: int) -> str:
        return self.block[self.start[number] : self.end[number]].decode("utf-8")

    def _of_bytes(self, at: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which lines have one of some bytes in them."""
        bad = np.zeros(len(self.end), dtype=bool)
        bad[np.searchsorted(self.end, at)] = True
        return bad

    def _with_control(self) -> NDArray[np.bool_]:
        control = (self.data < 32) & (self.data != ord("\n")) & (self.data != ord("\t"))
        return self._of_bytes(np.flatnonzero(control))

    def _undecodable(self) -> NDArray[np.bool_]:
        bad = np.zeros(len(self.end), dtype=bool)
        try:
            self.block.decode("utf-8")
        except UnicodeDecodeError:
            for n in np.unique(np.searchsorted(self.end, np.flatnonzero(self.data > 127))):
                try:
                    self._whole(int(n))
                except UnicodeDecodeError:
                    bad[n] = True
        return bad

    def _count(self) -> NDArray[np.int64]:
        """Return the number of cells of each line."""
        at = np.flatnonzero(self.data == ord(self.layout.delimiter))
        return np.searchsorted(at, self.end) - np.searchsorted(at, self.start) + 1

    def _parsed(self, names: tuple[str, ...]) -> dict[str, pa.Array]:
        """Parse lines without quotes, which all have their number of cells."""
        block = self.block
        if not self.good.all():
            block = self.data[np.repeat(self.good, self.end - self.start + 1)].tobytes()
        wanted = [n for n in names if n in (*self.layout.required, *self.layout.optional)]
        if not block:
            return {name: pa.array([], pa.string()) for name in wanted}
        labels = [name if name in wanted else f" {i}" for i, name in enumerate(names)]
        table = pc_csv.read_csv(
            io.BytesIO(block),
            pc_csv.ReadOptions(
                column_names=labels, block_size=len(block) + 1, use_threads=False
            ),
            pc_csv.ParseOptions(
                delimiter=self.layout.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            pc_csv.ConvertOptions(
                column_types={name: pa.string() for name in wanted}, include_columns=wanted,
                strings_can_be_null=False,
            ),
        )  # fmt: skip
        return {n: pc.utf8_trim_whitespace(table[n].combine_chunks()) for n in wanted}


def _cells(text: str, delimiter: str) -> list[str] | None:
    """Split a line into cells; None if its quotes are unbalanced."""
    if text.count('"') % 2:
        return None
    try:
        return next(csv.reader((text,), delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return None


def _transposed(rows: list[list[str] | None], names: tuple[str, ...]) -> dict[str, pa.Array]:
    cells = list(zip(*(row for row in rows if row is not None), strict=True))
    texts = cells or [()] * len(names)
    return {
        name: pc.utf8_trim_whitespace(pa.array(texts[i], pa.string()))
        for i, name in enumerate(names)
    }


def _take_header(
    reading: Reading, path: Path, layout: Layout, block: bytes, line: int
) -> tuple[tuple[str, ...] | None, bytes, int]:
    """Return the columns, what comes after the header, and its line; None if there is none yet."""
    before = layout.preamble
    while block:
        first, _, block = block.partition(b"\n")
        line += 1
        text = first.decode("utf-8", errors="replace")
        cells = [c.strip() for c in _cells(text, layout.delimiter) or [text]] if text else []
        if not any(cells):
            continue
        names = tuple(layout.aliases.get(c, c) for c in cells)
        if before and not set(names) & set(layout.required):
            before -= 1
            continue
        return _checked_header(reading, path, layout, names, line - 1), block, line
    return None, b"", line


def _checked_header(
    reading: Reading, path: Path, layout: Layout, names: tuple[str, ...], line: int
) -> tuple[str, ...]:
    """Refuse a header that lacks a column, has one twice, or one that may not be there."""
    where, known = f"{path}, line {line}", (*layout.required, *layout.optional)
    expected = "columns " + ", ".join(layout.required)
    missing = [name for name in layout.required if name not in names]
    others = [name for name in names if name and name not in known]
    if missing:
        given = layout.delimiter.join(names)[:SHOWN]
        raise DataError(f"no column {missing[0]!r} in the header", where, expected, given)
    if others and not layout.others:
        raise DataError("unknown column", where, ", ".join(known), others[0][:SHOWN], known)
    twice = [name for name in known if names.count(name) > 1]
    if twice:
        raise DataError("column given twice", where, expected, twice[0])
    if others:
        names_ = (name[:SHOWN] if name.isprintable() else repr(name[:SHOWN]) for name in others)
        reading.note("Columns that are not read: " + ", ".join(islice(names_, 20)))
    return names
