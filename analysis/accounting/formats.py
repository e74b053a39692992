"""The formats that can be read: one module of `analysis.accounting.readers` each."""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from analysis.accounting import readers
from analysis.accounting.reading import Reader
from sim.errors import ConfigError


def names() -> list[str]:
    """Return the names of all formats, with a hyphen for an underscore."""
    found = pkgutil.iter_modules(readers.__path__)
    return sorted(m.name.replace("_", "-") for m in found if not m.name.startswith("_"))


def reader_of(name: str) -> Reader:
    """Return the reader of a format.

    Raises:
        ConfigError: When there is none; suggests the nearest name.
    """
    known = names()
    if name.replace("_", "-") not in known:
        raise ConfigError("unknown format", "aiaas import", ", ".join(known), name, known)
    module = f"{readers.__name__}.{name.replace('-', '_')}"
    return cast(Reader, importlib.import_module(module))
