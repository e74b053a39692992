"""What a reader may be told: named options with types, defaults and units, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sim.errors import ConfigError

REQUIRED = object()  # default of an option that the user has to state


@dataclass(frozen=True)
class Option:
    """One thing a reader may be told, as `name=value` on the command line.

    Args:
        name: Key.
        kind: `text`, `number`, `flag`, `choice`, `zone`, `file` or `list` (of texts).
        default: Value when nothing is said; `REQUIRED` if something has to be.
        unit: Unit of a number, else "-".
        says: What it means, and where a default is an assumption, that it is.
        choices: Valid values of a `choice`.
    """

    name: str
    kind: str
    default: Any
    unit: str
    says: str
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether it has to be stated."""
        return self.default is REQUIRED


SITE = Option("site", "text", "", "-", "name of the site whose accounting it is")
ZONE = Option(
    "time_zone", "zone", "UTC", "-",
    "IANA name of the zone of times that have no offset; UTC is assumed when nothing is said",
)  # fmt: skip
DECIMAL = Option(
    "decimal", "choice", "point", "-",
    "decimal sign of numbers: 1234.5 (point), or 1234,5 and 1.234,5 (comma)", ("point", "comma"),
)  # fmt: skip
ENCODING = Option(
    "encoding", "choice", "utf-8", "-", "encoding of the text", ("utf-8", "latin-1")
)  # fmt: skip


def checked(
    options: Sequence[Option], given: Mapping[str, Any], format_name: str
) -> dict[str, Any]:
    """Return the value of every option of a format.

    Raises:
        ConfigError: For the first key that the format does not have, value of a wrong type, or
            option that has to be stated and is not.
    """
    names = [o.name for o in options]
    for key in given:
        if key not in names:
            expected = f"an option of {format_name}: {', '.join(names) or 'it has none'}"
            raise ConfigError("unknown option", key, expected, key, names)
    return {option.name: _value(option, given) for option in options}


def _value(option: Option, given: Mapping[str, Any]) -> Any:
    value = given.get(option.name)
    if value is None:
        if option.required:
            expected = " or ".join(f"{option.name}={c}" for c in option.choices) or option.kind
            raise ConfigError("has to be stated", option.name, f"{expected} ({option.says})")
        return option.default
    expected, fits = _KINDS[option.kind]
    if not fits(value):
        raise ConfigError("wrong type", option.name, expected, value)
    if option.kind == "choice" and value not in option.choices:
        known = ", ".join(option.choices)
        raise ConfigError("unknown choice", option.name, known, value, option.choices)
    if option.kind == "file" and not Path(str(value)).is_file():
        raise ConfigError("no such file", option.name, expected, str(value))
    return str(value) if option.kind in ("text", "zone", "file", "choice") else value


def _is_zone(value: Any) -> bool:
    try:
        ZoneInfo(str(value))
    except (KeyError, ValueError, OSError):
        return False
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "text": ("a text", _is_text),
    "choice": ("a name", _is_text),
    "number": ("a number", lambda v: _is_text(v) and not isinstance(v, str) and isfinite(v)),
    "flag": ("true or false", lambda v: isinstance(v, bool)),
    "zone": ("an IANA name such as Europe/Madrid", _is_zone),
    "file": ("the path of a file", lambda v: isinstance(v, str)),
    "list": ("a list of texts", lambda v: isinstance(v, list) and all(map(_is_text, v))),
}
