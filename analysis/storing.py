"""Writing files so that an interruption never leaves half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd


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


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV with six significant digits."""
    write_atomically(path, lambda p: frame.to_csv(p, index=False, float_format="%.6g"))


def write_json(data: Any, path: Path) -> None:
    """Write plain data as indented JSON."""
    text = json.dumps(data, indent=2, default=str, sort_keys=False) + "\n"
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_text(text: str, path: Path) -> None:
    """Write a text file."""
    write_atomically(path, lambda p: p.write_text(text, encoding="utf-8"))
