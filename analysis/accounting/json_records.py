"""Records of JSON files, one by one, however long the file is.

`ijson` walks the file; what it may not be handed is stopped before: nesting without end, and a
record that is no record but a heap of data. So memory holds some thousand records of bounded size.
A JSON file that is cut off or damaged is refused as a whole: nothing in it tells how much is
missing, as the end of a line does in a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.accounting.opening import opened
from analysis.accounting.reading import SHOWN, Reading
from analysis.accounting.rows import Rows
from sim.errors import DataError

MOST_DEEP = 64  # levels of nesting; assumed: no accounting has more
LONGEST = 1_000_000  # bytes of a record; assumed likewise
BATCH = 25_000  # records that are held at a time
_BLOCK = 1 << 18  # bytes read at a time
_QUOTE = 2
_KIND = bytes(
    {b"[": 1, b"{": 1, b"]": 255, b"}": 255, b'"': _QUOTE}.get(bytes([byte]), 0)
    for byte in range(256)
)  # int8 of each byte: 1 opens a level, -1 closes one


def values(path: Path, prefix: str, shape: str, depth: int | None = None) -> Iterator[Any]:
    """Return the values at a place of a JSON file; several documents may follow each other.

    Args:
        path: The file, plain or gzip.
        prefix: The place, as in ijson (`data.item` is each element of the list `data`).
        shape: What the file should look like, for messages.
        depth: Levels of nesting that records are within; told by the prefix when None.

    Raises:
        DataError: When the file cannot be read, is not JSON, or is nested or a record long beyond
            reason.
    """
    depth = levels(prefix) if depth is None else depth
    return _walked(path, ijson.items, prefix, shape, depth)


def members(path: Path, prefix: str, shape: str) -> Iterator[tuple[str, Any]]:
    """Return names and values of the objects at a place of a JSON file, as `values` does."""
    return _walked(path, ijson.kvitems, prefix, shape, levels(prefix) + 1)


def levels(prefix: str) -> int:
    """Return within how many levels of nesting the values at a place are."""
    return prefix.count(".") + 1


def _walked(path: Path, walk: Any, prefix: str, shape: str, depth: int) -> Iterator[Any]:
    count = 0
    with opened(path) as stream:
        guarded = _Guarded(stream, path, depth)
        try:
            for value in walk(
                guarded, prefix, use_float=True, multiple_values=True, buf_size=_BLOCK
            ):
                count += 1
                yield value
        except (ijson.JSONError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).replace("\\n", "\n").removeprefix("b'").split("\n")[:1])
            where = f"{path}, after record {count:,}"
            raise DataError("not JSON, or cut off", where, shape, reason[:SHOWN]) from None


class _Guarded:
    """A stream of JSON that refuses to be nested, or to have records, beyond reason.

    Args:
        stream: The file.
        path: Its name.
        depth: Levels of nesting that records are within.
    """

    def __init__(self, stream: BinaryIO, path: Path, depth: int) -> None:
        self.stream, self.path, self.depth = stream, path, depth
        self.level, self.quoted, self.escaped, self.held = 0, 0, False, 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, after a look at them."""
        data = self.stream.read(size)
        if data:
            self._look(data)
        return data

    def _look(self, data: bytes) -> None:
        if self.escaped or b"\\" in data:
            data = b"_" + data[1:] if self.escaped else data
            data = data.replace(b"\\\\", b"__").replace(b'\\"', b"__")
            self.escaped = data.endswith(b"\\")
        kinds = np.frombuffer(data.translate(_KIND), dtype=np.int8)
        at = np.flatnonzero(kinds)
        kind = kinds[at]
        quote = kind == _QUOTE
        inside = (np.cumsum(quote) + self.quoted) & 1  # of a string, after this sign
        level = self.level + np.cumsum(np.where(quote | (inside == 1), 0, kind))
        if (level > MOST_DEEP).any():
            raise DataError("nested beyond reason", str(self.path), f"at most {MOST_DEEP} levels")
        free = np.concatenate([[-self.held], at[level <= self.depth], [len(data)]])
        if (np.diff(free) > LONGEST).any():
            raise DataError("record too long", str(self.path), f"at most {LONGEST:,} bytes")
        self.held = int(free[-1] - free[-2])
        if len(at):
            self.level, self.quoted = int(level[-1]), int(inside[-1])


def rows(
    reading: Reading, path: Path, records: Iterable[Any], names: tuple[str, ...], shape: str,
    record: str = "an object",
) -> Iterator[Rows]:  # fmt: skip
    """Turn records into columns of text, some thousand at a time; `line` is their number from 1.

    Numbers, true and false become the text that JSON has for them, null and what is missing become
    empty. What is no object, or has an object or a list in the place of a value, is refused.

    Args:
        reading: The import; counts the records.
        path: The file.
        records: Objects.
        names: Keys that are read; that there are others is said.
        shape: What the file should look like, for messages.
        record: What a record should look like, likewise; one that is no object is refused with
            what is there instead.

    Raises:
        DataError: When there is no record.
    """
    records, first, known = iter(records), 1, set(names)
    while batch := list(islice(records, BATCH)):
        reading.read(path, len(batch))
        fine = np.array([isinstance(record, dict) for record in batch])
        if not fine.all():
            reading.refuse(
                path, first + np.flatnonzero(~fine), "record", "not a record", record,
                (_text(r) for r in batch if not isinstance(r, dict)),
            )  # fmt: skip
        objects = [record for record in batch if isinstance(record, dict)]
        _say_others(reading, objects, known)
        yield _rows(reading, path, first + np.flatnonzero(fine), objects, names)
        first += len(batch)
    if first == 1:
        raise DataError("no records in it", str(path), shape)


def _say_others(reading: Reading, objects: list[dict[str, Any]], known: set[str]) -> None:
    """Say which keys are not read, each once; `known` grows by them."""
    others = sorted(set().union(*objects) - known)
    if others:
        known.update(others)
        shown = ", ".join(ascii(key)[1:-1][:SHOWN] for key in others[:20])
        reading.note(f"Keys that are not read: {shown}")


def _rows(
    reading: Reading, path: Path, line: np.ndarray, objects: list[dict[str, Any]],
    names: tuple[str, ...],
) -> Rows:  # fmt: skip
    found = {name: [record.get(name) for record in objects] for name in names}
    columns = {
        name: pc.utf8_trim_whitespace(pa.array(_texts(cells), pa.string()))
        for name, cells in found.items()
    }
    made = Rows(reading, path, line, columns)
    for name, cells in found.items():
        if {dict, list} & set(map(type, cells)):
            nested = np.array([isinstance(cell, dict | list) for cell in cells], dtype=bool)
            made.refuse(nested, name, "not a value", "a text or a number")
        control = pc.match_substring_regex(columns[name], "[\x00-\x1f\x7f]")
        made.refuse(
            control.to_numpy(zero_copy_only=False), name, "control character", "a text without"
        )
    return made


def _texts(cells: list[Any]) -> list[str]:
    kinds = set(map(type, cells))
    if kinds == {str}:
        return cells
    if kinds <= {int, float}:
        return list(map(repr, cells))
    return list(map(_text, cells))


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)[:SHOWN]
