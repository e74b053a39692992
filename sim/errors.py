"""What can go wrong, and how it is said: one line, what, where, what was expected.

AiaasError
 ├── ConfigError       a key, type or value of the configuration (exit code 2)
 ├── DataError         a file or table handed to the product (exit code 2)
 └── EngineError       a policy or plan broke the engine's rules, or a worker died
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AiaasError(Exception):
    """Base of all errors the product raises on purpose; survives pickling between workers.

    Args:
        what: The problem in a few words.
        where: File, line, key or entity it was found at.
        expected: What would have been accepted.
        given: What was found instead; left out of the line when None.
        candidates: Valid names, of which the nearest one is suggested.
    """

    def __init__(
        self,
        what: str,
        where: str,
        expected: str,
        given: object = None,
        candidates: Iterable[str] = (),
    ) -> None:
        names = tuple(candidates)
        super().__init__(what, where, expected, given, names)
        self.what = what
        self.where = where
        self.expected = expected
        self.given = given
        self.candidates = names

    def __str__(self) -> str:
        """Give the error as one line."""
        line = f"{self.where}: {self.what} (expected {self.expected}"
        if self.given is not None:
            line += f", got {self.given!r}"
        near = nearest(str(self.given), self.candidates)
        if near is not None:
            line += f"; did you mean {near!r}?"
        return " ".join((line + ")").split())


class ConfigError(AiaasError):
    """A key, type or value of the configuration cannot be used."""


class DataError(AiaasError):
    """A file or table handed to the product cannot be used."""


class EngineError(AiaasError):
    """A policy or plan broke the rules of the engine, or a worker died; no user's mistake."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate most like `name`, or None when nothing is alike.

    >>> nearest("polcy", ["policy", "sites"])
    'policy'
    """
    names = list(candidates)
    lowered = {c.lower(): c for c in names}
    found = get_close_matches(name.lower(), lowered, n=1, cutoff=0.5)
    if not found and len(name) >= 3:
        found = [c for c in lowered if name.lower() in c]
    return lowered[found[0]] if found else None
