"""Writing files so that an interruption never leaves half of one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path` and move it there when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet."""
    write_atomically(path, lambda p: frame.to_parquet(p, index=False))


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = "%.6g") -> None:
    """Write a table as CSV, numbers with six significant digits, no text a formula."""
    safe = inert_frame(frame)
    write_atomically(path, lambda p: safe.to_csv(p, index=False, float_format=float_format))


def read_csv(path: Path) -> pd.DataFrame:
    """Read what `write_csv` wrote; texts are again what they were before they were `inert`."""
    frame = pd.read_csv(path).rename(columns=_as_it_was)
    for name, kind in frame.dtypes.items():
        if not pd.api.types.is_numeric_dtype(kind):
            frame[name] = [_as_it_was(cell) for cell in frame[name]]
    return frame


def _as_it_was(cell: Any) -> Any:
    inside = cell[1:] if isinstance(cell, str) and cell[:1] == "'" else ""
    return inside if inside and inert(inside) == cell else cell


def writable(text: str) -> str:
    r"""Return a text that UTF-8 can hold: what it cannot, such as half a surrogate pair, is a ?.

    >>> writable("caf\u00e9 \udcff")
    'café ?'
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def inert(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula; all is `writable`.

    That is a text of several characters that begins with = + - @, a tab or a line break, and is no
    number.

    >>> inert("=cmd()"), inert("-"), inert("-1.5"), inert("IFCA-CSIC")
    ("'=cmd()", '-', '-1.5', 'IFCA-CSIC')
    """
    text = writable(text)
    if len(text) < 2 or text[0] not in "=+-@\t\r\n" or _NUMBER.fullmatch(text):
        return text.replace("\r", " ")  # which would begin a row
    return "'" + text.replace("\r", " ")


def inert_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts and column names are all `inert`."""
    safe = frame.rename(columns=lambda name: inert(name) if isinstance(name, str) else name)
    for at, kind in enumerate(frame.dtypes):
        if kind.kind == "O":  # texts, and what else is no number or time
            values = frame.iloc[:, at].tolist()
            texts = [inert(value) if isinstance(value, str) else value for value in values]
            if any(a is not b for a, b in zip(texts, values, strict=True)):
                safe.isetitem(at, pd.Series(texts, frame.index, dtype=object))
    return safe


def write_json(data: Any, path: Path) -> None:
    """Write plain data as indented JSON."""
    text = json.dumps(data, indent=2, default=str, sort_keys=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_text(text: str, path: Path) -> None:
    """Write a text file."""
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
