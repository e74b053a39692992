"""The waiting room: first come first served, but nobody blocks whom he could not help."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from sim.engine.loop import Action
from sim.engine.pools import Shape
from sim.policies.base import RequestView, Terms


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
        shape: What it needs; a part of a GPU if it is to share one.
        seen: What admission saw when it was asked last.
        terms: What it said; None to let the request wait.
        timer: The end of its patience.
        setup_h: What its user needs in the deployment before work begins, h.
        slowdown: How many times as long its computing will take.
        gone: Whether it was withdrawn.
    """

    request: int
    first: int
    part: int
    requested_h: float
    user: int
    shape: Shape
    order: int = 0
    seen: RequestView | None = None
    terms: Terms | None = None
    timer: Action | None = None
    setup_h: float = 0.0
    slowdown: float = 1.0
    gone: bool = False


class WaitingRoom:
    """Requests waiting for capacity, by shape; those held back by admission, by user.

    Requests of one shape are served in order of arrival. A request that fits may overtake one of
    another shape that does not (backfilling). Work per release is bounded by the number of shapes.
    No line is empty, and the head of none is gone.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lines: dict[Shape, deque[Waiting]] = {}
        self._held_back: dict[int, list[Waiting]] = {}
        self._arrived = 0

    def __bool__(self) -> bool:
        """Return whether anybody waits for room."""
        return bool(self._lines)

    def join(self, waiting: Waiting) -> None:
        """Put a request at the end of its line."""
        self._arrived += 1
        waiting.order = self._arrived
        self._lines.setdefault(waiting.shape, deque()).append(waiting)

    def hold_back(self, waiting: Waiting) -> None:
        """Keep a request until its user releases something."""
        self._held_back.setdefault(waiting.user, []).append(waiting)

    def released_by(self, user: int) -> list[Waiting]:
        """Take out all requests of `user` that were held back, the oldest first."""
        if user not in self._held_back:
            return []
        held_back = [w for w in self._held_back.pop(user) if not w.gone]
        return sorted(held_back, key=lambda w: (w.requested_h, w.request))

    def in_turn(self) -> Iterator[Waiting]:
        """Yield who waits in order of arrival; of a shape, the next only if the one before left."""
        turns = [(line[0].order, line) for line in self._lines.values()]
        heapify(turns)
        while turns:
            _, line = turns[0]
            waiting = line[0]
            yield waiting
            if line and line[0] is not waiting:
                heapreplace(turns, (line[0].order, line))
            else:
                heappop(turns)

    def leave(self, waiting: Waiting) -> None:
        """Take a head out of its line."""
        self._lines[waiting.shape].popleft()
        self._tidy(waiting.shape)

    def withdraw(self, waiting: Waiting) -> None:
        """Forget a request, wherever it waits."""
        waiting.gone = True
        self._tidy(waiting.shape)

    def _tidy(self, shape: Shape) -> None:
        line = self._lines.get(shape)
        while line and line[0].gone:
            line.popleft()
        if line is not None and not line:
            del self._lines[shape]

    def anybody_waits(self, with_gpus: bool) -> bool:
        """Return whether a request with (or without) GPUs lacks room; who is held back does not."""
        return any((shape[0] > 0) == with_gpus for shape in self._lines)
