"""Fingerprints: what a result was made from, as short hashes."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Turn entities into plain data with a stable order, for hashing and JSON.

    A field that says so is left out unless it is set: hashes made before it came stay valid.
    """
    if is_dataclass(value) and not isinstance(value, type):
        told = {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        absent = {f.name for f in fields(value) if f.metadata.get("unset_is_absent")}
        return {k: v for k, v in told.items() if v is not None or k not in absent}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def digest(*values: Any) -> str:
    """Return 16 hexadecimal digits that name the given values."""
    text = json.dumps([plain(v) for v in values], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
