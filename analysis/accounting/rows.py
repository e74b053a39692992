"""Rows of a file as columns of text, from which a reader makes canonical ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting.numerals import EXPECTED, to_numbers
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.tables import EARLIEST, LATEST, frame_of
from analysis.accounting.times import iso_times

Mask = NDArray[np.bool_]
_EARLIEST, _LATEST = (np.datetime64(t.tz_localize(None), "us") for t in (EARLIEST, LATEST))
TIMES_EXPECTED = "ISO 8601 from 1970 to 2199, such as 2026-09-01T08:00:00"


@dataclass(eq=False)
class Rows:
    """Some rows of a file.

    Args:
        reading: The import they belong to.
        path: The file.
        line: Line of each, shape (rows,).
        columns: Texts without blanks around them, by name; a column that the file lacks is not
            there.
        keep: Which have not been refused or merged.
        second: Other reading of local times that came twice, by column, once it was read.
    """

    reading: Reading
    path: Path
    line: NDArray[np.int64]
    columns: Mapping[str, pa.Array]
    keep: Mask = field(init=False)
    second: dict[str, NDArray[np.datetime64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Keep all at first."""
        self.keep = np.ones(len(self.line), dtype=bool)

    def __len__(self) -> int:
        """Return the number of rows, refused ones among them."""
        return len(self.line)

    def refuse(
        self, bad: Mask, name: str, what: str, expected: str,
        given: Callable[[int], object] | None = None,
    ) -> None:  # fmt: skip
        """Refuse the rows of a mask that were not refused before.

        Args:
            bad: Which, shape (rows,).
            name: The field that is wrong.
            what: What is wrong; a fixed text.
            expected: What would have been accepted; a fixed text.
            given: Returns what was found in a row; the field's text when left out.
        """
        at = np.flatnonzero(bad & self.keep)
        if len(at):
            found = given or (lambda row: self.columns[name][row].as_py())
            told = (found(int(row)) for row in at)
            self.reading.refuse(self.path, self.line[at], name, what, expected, told)
            self.keep[at] = False

    def merge(self, which: Mask, why: str) -> None:
        """Let rows be counted in others; `why` is a fixed text."""
        mine = which & self.keep
        self.reading.merge(self.path, self.line[mine], why)
        self.keep &= ~mine

    def text(self, name: str) -> pa.Array:
        """Return the texts of a column; empty ones if the file lacks it."""
        found = self.columns.get(name)
        return pa.array([""] * len(self), pa.string()) if found is None else found

    def instead(self, name: str, texts: pa.Array) -> Rows:
        """Return the same rows with other texts in a column; both refuse and keep together."""
        other = Rows(self.reading, self.path, self.line, {name: texts})
        other.keep = self.keep
        return other

    def is_in(self, name: str, *words: str) -> Mask:
        """Return in which rows a column is one of some words."""
        found = pc.is_in(self.text(name), value_set=pa.array(words, pa.string()))
        return found.to_numpy(zero_copy_only=False)

    def need(self, *names: str) -> None:
        """Refuse rows in which one of some columns is empty."""
        for name in names:
            self.refuse(self.is_in(name, ""), name, "empty", "a text", lambda _: "")

    def numbers(
        self, name: str, low: float, high: float, missing: float | None = None
    ) -> NDArray[np.float64]:
        """Read a column of numbers, refusing rows in which it is none or out of bounds.

        Args:
            name: The column.
            low: Least value that can be.
            high: Greatest.
            missing: Value of an empty cell; empty cells are refused when None.

        Returns:
            The numbers, nan in rows that were refused for them.
        """
        decimal = self.reading.options.get("decimal", "point")
        texts, empty = self.text(name), self.is_in(name, "")
        numbers = to_numbers(texts, decimal)
        bad = ~np.isfinite(numbers)
        if missing is not None:
            numbers, bad = np.where(empty, missing, numbers), bad & ~empty
        self.refuse(bad, name, "not a number", EXPECTED[decimal], lambda r: texts[r].as_py())
        out = (numbers < low) | (numbers > high)
        self.refuse(out, name, "out of bounds", f"{low:,g} to {high:,g}")
        return np.where(out, np.nan, numbers)

    def times(
        self, name: str, zone: str, missing: tuple[str, ...] = ("",)
    ) -> NDArray[np.datetime64]:
        """Read a column of ISO 8601 times to UTC, refusing rows in which it is none.

        Args:
            name: The column.
            zone: IANA name of the zone of times without an offset.
            missing: Texts that stand for no time; they become NaT. Empty: there has to be one.

        Returns:
            datetime64[us].
        """
        texts, absent = self.text(name), self.is_in(name, *missing)
        found = iso_times(pc.if_else(pa.array(absent), None, texts), zone)
        with np.errstate(invalid="ignore"):
            inside = (found.utc >= _EARLIEST) & (found.utc < _LATEST)
        self.refuse(~inside & ~absent, name, "not a time", TIMES_EXPECTED, lambda r: texts[r])
        self.second[name] = found.second
        for count, sentence in (
            (found.twice, "came twice when clocks were set back: the first, if nothing else tells"),
            (found.skipped, "do not exist, clocks skipped them: read with the offset from before"),
        ):
            self.reading.note(f"Times of {zone} that {sentence}", count)
        return found.utc

    def chunk(self, table: str, **columns: Any) -> Chunk:
        """Return the rows that are kept as canonical ones.

        Args:
            table: `jobs` or `aggregates`.
            columns: Values by column: an array of all rows, refused ones among them, or one value
                for all. `source` is filled in.
        """
        some = None if self.keep.all() else self.keep
        kept = {name: _some(values, some) for name, values in columns.items()}
        line = self.line if some is None else self.line[some]
        kept["source"] = self.reading.source(self.path)
        return Chunk(table, frame_of(table, kept, len(line)), self.path, line)


def _some(values: Any, keep: Mask | None) -> Any:
    if keep is None or not isinstance(values, np.ndarray | pa.Array):
        return values
    return values.filter(pa.array(keep)) if isinstance(values, pa.Array) else values[keep]


def words(texts: pa.Array, otherwise: pa.Array | NDArray) -> pa.Array:
    """Return texts, with what is in `otherwise` where they are empty."""
    default = otherwise
    if not isinstance(default, pa.Array):
        default = pa.array(np.broadcast_to(otherwise, (len(texts),)).tolist(), pa.string())
    return pc.if_else(pc.equal(texts, ""), default, texts)


def by_unique(texts: pa.Array, function: Callable[[str], Any]) -> tuple[list[Any], NDArray]:
    """Work out something of a column of texts that repeat.

    Returns:
        What the function makes of each different text, and which of them each row has.
    """
    encoded = pc.dictionary_encode(texts)
    return [function(text) for text in encoded.dictionary.to_pylist()], encoded.indices.to_numpy()
