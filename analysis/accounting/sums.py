"""Rows that are parts of one aggregate, added up over all files of an import.

What is kept: a sum for each aggregate and, where a row can be told from others by what it is
about, 24 bytes and its amounts for each row, about twice that while they are sorted at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.accounting.reading import Chunk, Places, Reading
from analysis.accounting.rows import Rows
from analysis.accounting.spool import SAME
from analysis.accounting.tables import AGGREGATES, frame_of

ADDED = "added to a row of the same period, site and project"
LATER = "replaced by a later row about the same"
_KEYS = ("period_start", "period_end", "site", "project")
_PIECE = 50_000  # aggregates handed over at a time


class Sums:
    """Sums by period, site and project.

    Args:
        reading: The import; its files are one set from now on.
        amounts: Names of what is added up.
        later: Whether of two different rows about the same the later one is right; if not, it is
            refused.
    """

    def __init__(self, reading: Reading, amounts: Sequence[str], *, later: bool = False) -> None:
        reading.one_set = True
        self._reading, self._amounts, self._later = reading, tuple(amounts), later
        self._number: dict[tuple[Any, ...], int] = {}
        self._sums: list[NDArray[np.float64]] = []  # of rows that are told from no others
        self._first: dict[int, int] = {}
        self._kept: list[tuple[NDArray, ...]] = []

    def add(
        self, rows: Rows, keys: Mapping[str, Any], amounts: Mapping[str, NDArray[np.float64]],
        about: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Add the rows that are kept.

        Args:
            rows: From a file.
            keys: period_start, period_end, site and project: arrays of all rows, or one value.
            amounts: Numbers of all rows, by name.
            about: What a row is about, with its keys: a second row about the same is no further
                amount. None: every row is.
        """
        keep = rows.keep
        if not keep.any():
            return
        number = self._numbers(pd.DataFrame(
            {name: _column(keys[name], len(rows)) for name in _KEYS}
        )[keep])  # fmt: skip
        place = self._reading.places(rows.path, rows.line[keep])
        parts = [np.asarray(amounts[name], dtype=np.float64)[keep] for name in self._amounts]
        if about is None:
            self._sum(number, place, parts)
            return
        told = pd.DataFrame({name: _column(values, len(rows)) for name, values in about.items()})
        told = told[keep].assign(number=number)
        what = pd.util.hash_pandas_object(told, index=False).to_numpy(np.uint64)
        self._kept.append((number, place, what, *parts))

    def _numbers(self, keys: pd.DataFrame) -> NDArray[np.int64]:
        """Return the number of each row's aggregate, a new one for what was not there before."""
        code = keys.groupby(list(keys), sort=False, observed=True).ngroup().to_numpy(np.int64)
        different = keys.drop_duplicates().itertuples(index=False, name=None)
        known = [self._number.setdefault(key, len(self._number)) for key in different]
        return np.array(known, dtype=np.int64)[code]

    def _sum(self, number: NDArray[np.int64], place: Places, parts: list[NDArray]) -> None:
        """Add rows to the sums; the first one of each stands for it."""
        new, first = np.unique(number, return_index=True)
        count = 0
        for one, at in zip(new.tolist(), first.tolist(), strict=True):
            count += self._first.setdefault(one, int(place[at])) == int(place[at])
        self._reading.repeat(len(number) - count, ADDED)
        size = len(self._number)
        self._sums = self._sums or [np.zeros(0) for _ in parts]
        self._sums = [
            np.bincount(number, part, minlength=size) + np.pad(total, (0, size - len(total)))
            for part, total in zip(parts, self._sums, strict=True)
        ]

    def _settle(self) -> None:
        """Let each row about something else count once."""
        if not self._kept:
            return
        number, place, what, *parts = (np.concatenate(c) for c in zip(*self._kept, strict=True))
        self._kept = []
        order = np.lexsort((place, what))
        twin = what[order[:-1]] == what[order[1:]]
        same = np.all([part[order[:-1]] == part[order[1:]] for part in parts], axis=0) & twin
        self._reading.repeat(int(same.sum()), SAME)
        stays = np.concatenate([[True], ~same])  # of a run of the same rows the first
        order = order[stays]
        other = what[order[:-1]] == what[order[1:]]
        if self._later:
            self._reading.repeat(int(other.sum()), LATER)
            order = order[np.concatenate([~other, [True]])]
        else:
            self._refuse(place[order[1:][other]])
            order = order[np.concatenate([[True], ~other])]
        order.sort()
        self._sum(number[order], place[order], [part[order] for part in parts])

    def _refuse(self, places: Places) -> None:
        for path, lines in self._reading.whence(places):
            self._reading.refuse(
                path, lines, "row", "differs from an earlier row about the same",
                "one row for each period, site, project and whatever else a row is about",
                [""] * len(lines),
            )  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Return keys, amounts and `place`, the row that stands for each; ends the adding up."""
        self._settle()
        keys = pd.DataFrame(list(self._number), columns=list(_KEYS))
        for name in _KEYS[:2]:
            keys[name] = keys[name].to_numpy(np.int64).view("M8[us]")
        sums = self._sums or [np.zeros(0) for _ in self._amounts]
        place = np.array([self._first[number] for number in range(len(keys))], dtype=np.int64)
        return keys.assign(place=place, **dict(zip(self._amounts, sums, strict=True)))


def chunks(
    reading: Reading, table: pd.DataFrame, resource: str, ledger: str, unit: str,
    quantity: NDArray[np.float64],
) -> Iterator[Chunk]:  # fmt: skip
    """Yield aggregates of one resource, from a table of sums."""
    for at in range(0, len(table), _PIECE):
        mine, place = table[at : at + _PIECE], table["place"].to_numpy()[at : at + _PIECE]
        columns = {name: mine[name].to_numpy() for name in _KEYS}
        frame = frame_of(
            AGGREGATES,
            {**columns, "resource": resource, "ledger": ledger, "unit": unit,
             "quantity": quantity[at : at + _PIECE], "source": reading.sources(place)},
            len(mine),
        )  # fmt: skip
        yield Chunk(AGGREGATES, frame, None, place)


def _column(values: Any, rows: int) -> Any:
    """Return values as pandas takes them: texts as numbers of different ones, times as µs."""
    if isinstance(values, str):
        return pd.Categorical.from_codes(np.zeros(rows, dtype=np.int8), [values])
    if isinstance(values, pa.Array):
        encoded = pc.dictionary_encode(values)
        texts = encoded.dictionary.to_pylist()
        return pd.Categorical.from_codes(encoded.indices.to_numpy(), texts)
    return values.astype("M8[us]").view(np.int64) if values.dtype.kind == "M" else values
