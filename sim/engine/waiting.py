"""The waiting room: first come first served, but nobody blocks whom he could not help."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import simpy

Shape = tuple[int, int, int]  # GPUs, cores, GB of memory


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits.

    Args:
        request: Index of the request in the plan.
        first: First burst that is left.
        part: 0 for the request itself, then its continuations after a kill.
        requested_h: When it was asked for, h.
        order: Running number in the waiting room.
        user: Index of the user.
        shape: What it needs.
        timer: The end of its patience.
    """

    request: int
    first: int
    part: int
    requested_h: float
    user: int
    shape: Shape
    order: int = 0
    timer: simpy.Event | None = None
    gone: bool = False


class WaitingRoom:
    """Requests waiting for capacity, by shape; those held back by admission, by user.

    Requests of one shape are served in order of arrival. A request that fits may overtake one of
    another shape that does not (backfilling). Work per release is bounded by the number of shapes.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lines: dict[Shape, deque[Waiting]] = {}
        self._held_back: dict[int, deque[Waiting]] = {}
        self._arrived = 0

    def join(self, waiting: Waiting) -> None:
        """Put a request at the end of its line."""
        self._arrived += 1
        waiting.order = self._arrived
        self._lines.setdefault(waiting.shape, deque()).append(waiting)

    def hold_back(self, waiting: Waiting) -> None:
        """Keep a request until its user releases something."""
        self._held_back.setdefault(waiting.user, deque()).append(waiting)

    def released_by(self, user: int) -> list[Waiting]:
        """Take out all requests of `user` that were held back."""
        return [w for w in self._held_back.pop(user, ()) if not w.gone]

    def heads(self) -> list[Waiting]:
        """Return the first of every line, in order of arrival."""
        found = []
        for shape in list(self._lines):
            line = self._lines[shape]
            while line and line[0].gone:
                line.popleft()
            if line:
                found.append(line[0])
            else:
                del self._lines[shape]
        found.sort(key=lambda w: w.order)
        return found

    def leave(self, waiting: Waiting) -> None:
        """Take a head out of its line."""
        self._lines[waiting.shape].popleft()

    def anybody_waits(self, with_gpus: bool) -> bool:
        """Return whether a request with (or without) GPUs lacks room; who is held back does not."""
        return any(
            (shape[0] > 0) == with_gpus and any(not w.gone for w in line)
            for shape, line in self._lines.items()
        )
