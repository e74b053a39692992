"""What can become of a request."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """What became of a request."""

    WARM = 0
    COLD = 1
    TIMEOUT = 2
    REJECTED = 3
    FAILED = 4  # every attempt it was allowed
    NOT_CALLED = 5  # because the request before it in a chain had no result
