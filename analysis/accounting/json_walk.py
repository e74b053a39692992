"""A walk through a JSON file, value by value, however long the file is.

`ijson` walks the file; what it may not be handed is stopped before: nesting without end, and a
record that is no record but a heap of data. So what is held at a time is bounded.
A JSON file that is cut off or damaged is refused as a whole: nothing in it tells how much is
missing, as the end of a line does in a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import numpy as np

from analysis.accounting.opening import opened
from analysis.accounting.reading import SHOWN
from sim.errors import DataError

MOST_DEEP = 64  # levels of nesting; assumed: no accounting has more
LONGEST = 1_000_000  # bytes of a record; assumed likewise
MATCH = 200  # bytes of what is searched for
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


def found(path: Path, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    r"""Yield what matches in the bytes of a file, without parsing it; some matches may come twice.

    For keys whose name is enough to tell them, wherever they stand: in a text of JSON quotes are
    escaped, so that `"name"\s*:` can only be a key.

    Args:
        path: The file.
        pattern: Of at most `MATCH` bytes.
    """
    tail = b""
    with opened(path) as stream:
        while block := stream.read(_BLOCK):
            yield from pattern.finditer(tail + block)
            tail = block[-MATCH:]


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
