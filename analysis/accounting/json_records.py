"""Records of JSON as columns of text, some thousand at a time, whatever is in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.accounting.reading import SHOWN, Reading
from analysis.accounting.rows import Rows
from sim.errors import DataError

BATCH = 25_000  # records that are handed over at a time
_PIECE = 1_000  # records that are held as objects


@dataclass(frozen=True)
class Shape:
    """What records look like.

    Args:
        names: Keys that are read; that there are others is said.
        record: One in words, for messages.
        columns: Names of the values of a record that is a list; None: records are objects.
    """

    names: tuple[str, ...]
    record: str = "an object"
    columns: tuple[str, ...] | None = None

    def fits(self, record: Any) -> bool:
        """Return whether something is such a record."""
        if self.columns is None:
            return isinstance(record, dict)
        return isinstance(record, list) and len(record) == len(self.columns)

    def cells(self, records: list[Any]) -> dict[str, Sequence[Any]]:
        """Return the values by key; None where a key is missing."""
        if self.columns is None:
            return {name: [record.get(name) for record in records] for name in self.names}
        by_name = dict(zip(self.columns, zip(*records, strict=True), strict=False))
        return {name: by_name.get(name, (None,) * len(records)) for name in self.names}


def rows(
    reading: Reading, path: Path, records: Iterable[Any], shape: Shape, whole: str
) -> Iterator[Rows]:
    """Turn records into columns of text; `line` is their number from 1.

    Numbers, true and false become the text that JSON has for them, null and what is missing become
    empty. What is no record, or has an object or a list in the place of a value, is refused.

    Args:
        reading: The import; counts the records.
        path: The file.
        records: One after the other; what is none is refused with what is there instead.
        shape: What a record looks like.
        whole: What the file should look like, for messages.

    Raises:
        DataError: When there is no record.
    """
    pieces = _pieces(reading, path, iter(records), shape)
    empty = True
    while some := list(islice(pieces, BATCH // _PIECE)):
        empty = False
        line = np.concatenate([line for line, _ in some])
        columns = {
            name: pc.utf8_trim_whitespace(pa.concat_arrays([texts[name] for _, texts in some]))
            for name in shape.names
        }
        made = Rows(reading, path, line, columns)
        for name, texts in columns.items():
            control = pc.match_substring_regex(texts, "[\x00-\x1f\x7f]")
            control = control.to_numpy(zero_copy_only=False)
            made.refuse(control, name, "control character", "a text without")
        yield made
    if empty:
        raise DataError("no records in it", str(path), whole)


def _pieces(
    reading: Reading, path: Path, records: Iterator[Any], shape: Shape
) -> Iterator[tuple[np.ndarray, dict[str, pa.Array]]]:
    """Yield the numbers of some records, and their texts by key."""
    first, known = 1, set(shape.names)
    while piece := list(islice(records, _PIECE)):
        reading.read(path, len(piece))
        line = np.arange(first, first + len(piece))
        first += len(piece)
        fine = np.array([shape.fits(record) for record in piece])
        wrong = np.flatnonzero(~fine)
        reading.refuse(path, line[wrong], "record", "not a record", shape.record,
                       (_text(piece[at]) for at in wrong))  # fmt: skip
        good = piece if fine.all() else [piece[at] for at in np.flatnonzero(fine)]
        _say_others(reading, set(shape.columns or ()).union(*good if not shape.columns else ()),
                    known)  # fmt: skip
        yield _texts_of(reading, path, line[fine], shape.cells(good))


def _say_others(reading: Reading, names: set[str], known: set[str]) -> None:
    """Say which keys are not read, each once; `known` grows by them."""
    others = sorted(names - known)
    if others:
        known.update(others)
        shown = ", ".join(ascii(key)[1:-1][:SHOWN] for key in others[:20])
        reading.note(f"Keys that are not read: {shown}")


def _texts_of(
    reading: Reading, path: Path, line: np.ndarray, cells: dict[str, Sequence[Any]]
) -> tuple[np.ndarray, dict[str, pa.Array]]:
    """Turn values into texts; refuses records with something nested in the place of a value."""
    texts, keep = {}, np.ones(len(line), dtype=bool)
    for name, mine in cells.items():
        kinds = set(map(type, mine))
        if kinds & {dict, list}:
            wrong = keep & np.array([isinstance(cell, dict | list) for cell in mine])
            at = np.flatnonzero(wrong)
            reading.refuse(path, line[at], name, "not a value", "a text or a number",
                           (_text(mine[int(n)]) for n in at))  # fmt: skip
            keep &= ~wrong
        texts[name] = pa.array(
            mine if kinds <= {str} else list(map(repr if kinds <= {int, float} else _text, mine)),
            pa.string(),
        )
    if not keep.all():
        texts = {name: column.filter(pa.array(keep)) for name, column in texts.items()}
    return line[keep], texts


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else repr(cell)[:SHOWN]
