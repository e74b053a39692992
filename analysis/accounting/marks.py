"""What is kept of each row to find those that repeat: on disk, looked at a part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 500_000  # looked at together, about


class Marks:
    """Records of rows in a file, in their order.

    Args:
        path: The file, which is written anew.
        columns: Name and type of each column; `key` is one of them, a hash (uint64).
    """

    def __init__(self, path: Path, columns: list[tuple[str, str]]) -> None:
        """Begin the file."""
        self._path, self._type, self._rows = path, np.dtype(columns), 0
        self._file = path.open("wb")

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def add(self, *columns: NDArray[Any]) -> None:
        """Add rows; the columns are in the order of the types."""
        records = np.empty(len(columns[0]), dtype=self._type)
        for name, values in zip(self._type.names or (), columns, strict=True):
            records[name] = values
        self._file.write(records.tobytes())
        self._rows += len(records)

    def close(self) -> None:
        """Finish the file; no more rows can be added."""
        self._file.close()

    def remove(self) -> None:
        """Finish the file, if that was not done, and delete it."""
        self.close()
        self._path.unlink(missing_ok=True)

    def pieces(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the rows in order, and the number of the first of each piece."""
        at = 0
        with self._path.open("rb") as file:
            while len(piece := np.fromfile(file, dtype=self._type, count=_ROWS)):
                yield at, piece
                at += len(piece)

    def groups(self) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Yield all rows with their numbers, in order, those of one key in one group."""
        count = np.uint64(len(self) // _ROWS + 1)
        for number in range(int(count)):
            rows, records = [], []
            for at, piece in self.pieces():
                mine = np.flatnonzero(piece["key"] % count == number)
                rows.append(at + mine)
                records.append(piece[mine])
            if rows:
                yield np.concatenate(rows), np.concatenate(records)
