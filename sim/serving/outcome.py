"""What can become of a request."""

from __future__ import annotations

from enum import IntEnum


class Outcome(IntEnum):
    """What became of a request."""

    WARM = 0
    COLD = 1
    TIMEOUT = 2
    REJECTED = 3
