"""Changes single values deep inside frozen entities, by path: for calibration and sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from sim.errors import ConfigError

T = TypeVar("T")


def value_at(entity: Any, path: str) -> Any:
    """Return the value at a dotted path: `demand.hold_h`, `pools.a.outages.0.vms_kept_frac`.

    Raises:
        ConfigError: When a part of the path does not exist.
    """
    for part in path.split("."):
        entity = _child(entity, part, path)
    return entity


def has_path(entity: Any, path: str) -> bool:
    """Return whether a dotted path leads to a value."""
    try:
        value_at(entity, path)
    except ConfigError:
        return False
    return True


def with_value(entity: T, path: str, value: Any) -> T:
    """Return a copy of `entity` with the value at `path` replaced; the original stays.

    Raises:
        ConfigError: When a part of the path does not exist.
    """
    part, _, rest = path.partition(".")
    old = _child(entity, part, path)
    new = with_value(old, rest, value) if rest else value
    if isinstance(entity, Mapping):
        return {**entity, part: new}  # type: ignore[return-value]
    if isinstance(entity, tuple):
        return (*entity[: int(part)], new, *entity[int(part) + 1 :])  # type: ignore[return-value]
    return replace(entity, **{part: new})  # type: ignore[type-var]


def _child(entity: Any, part: str, path: str) -> Any:
    if isinstance(entity, Mapping):
        if part in entity:
            return entity[part]
        names = [str(k) for k in entity]
    elif is_dataclass(entity):
        names = [f.name for f in fields(entity)]
        if part in names:
            return getattr(entity, part)
    elif isinstance(entity, tuple):
        names = [str(i) for i in range(len(entity))]
        if part in names:
            return entity[int(part)]
    else:
        names = []
    raise ConfigError("no such entry", path, "a path into the federation", part, names)
