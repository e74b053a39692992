"""Small tables that the user hands over with an import (`map=`): YAML or CSV, by name.

YAML: `name: {column: value}`; CSV: a header with `name` and the columns. Both in UTF-8.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from sim.errors import DataError

Kind = type | tuple[str, ...]
MOST_BYTES = 10_000_000  # of a table; assumed: a longer one is another file


def user_table(
    path: str | Path, columns: Mapping[str, Kind], defaults: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Read a table of the user.

    Args:
        path: A file that ends with .yaml, .yml or .csv.
        columns: Type of each column, `str` or `float`, or the words that may stand in it; numbers
            are finite and not negative.
        defaults: Values of columns that may be left out, in a row or altogether.

    Returns:
        Values of all columns by name.

    Raises:
        DataError: For the first thing that cannot be used.
    """
    file, columns, defaults = Path(path), dict(columns), dict(defaults or {})
    text = _text(file)
    rows = _of_csv(file, text) if file.suffix.lower() == ".csv" else _of_yaml(file, text)
    if not rows:
        raise DataError("nothing in it", str(file), "at least one name")
    found: dict[str, dict[str, Any]] = {}
    for name, where, values in rows:
        if name in found:
            raise DataError("name given twice", where, "different names", name)
        for key in values:
            if key not in columns:
                raise DataError("unknown column", where, ", ".join(columns), str(key), columns)
        missing = [c for c in columns if values.get(c) in (None, "") and c not in defaults]
        if missing:
            raise DataError("missing value", f"{where}, column {missing[0]}", "a value")
        given = {k: v for k, v in values.items() if v not in (None, "")}
        found[name] = {
            c: _typed(given[c], kind, c, where) if c in given else defaults[c]
            for c, kind in columns.items()
        }
    return found


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            raise DataError("too long", str(path), f"at most {MOST_BYTES:,} bytes", len(data))
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot be read", str(path), "a text in UTF-8", str(error)) from None


def _of_csv(path: Path, text: str) -> list[tuple[str, str, dict[Any, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        if "name" not in (reader.fieldnames or ()):
            raise DataError("no column 'name'", f"{path}, line 1", "a header with name and columns")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise DataError("wrong number of cells", where, "as many as in the header")
            name = str(row.pop("name")).strip()
            rows.append((name, where, {k: str(v).strip() for k, v in row.items()}))
    except csv.Error as error:
        where = f"{path}, line {reader.line_num}"
        raise DataError("not a line of CSV", where, "a row", str(error)) from None
    return rows


def _of_yaml(path: Path, text: str) -> list[tuple[str, str, dict[Any, Any]]]:
    expected = "name: {column: value}, one a name"
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise DataError("not YAML", str(path), expected, what) from None
    if not isinstance(data, dict):
        raise DataError("not a table", str(path), expected)
    for name, values in data.items():
        if not isinstance(values, dict):
            raise DataError("not a row", f"{path}, name {name}", expected, str(values)[:80])
    return [(str(name), f"{path}, name {name}", values) for name, values in data.items()]


def _typed(value: Any, kind: Kind, column: str, where: str) -> Any:
    if isinstance(kind, tuple):
        if value not in kind:
            raise DataError(f"unknown {column}", where, " or ".join(kind), str(value)[:80], kind)
        return value
    where = f"{where}, column {column}"
    if kind is str:
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return str(value)
        raise DataError("not a text", where, "a text", str(value)[:80])
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0.0):
        raise DataError("impossible number", where, "a number of at least 0", str(value)[:80])
    return number
