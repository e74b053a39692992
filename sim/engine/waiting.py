"""The waiting room: first come first served, but nobody blocks whom he could not help."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from sim.engine.loop import Action
from sim.engine.pools import Shape


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
    timer: Action | None = None
    gone: bool = False


class WaitingRoom:
    """Requests waiting for capacity, by shape; those held back by admission, by user.

    Requests of one shape are served in order of arrival. A request that fits may overtake one of
    another shape that does not (backfilling). Work per release is bounded by the number of shapes.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._lines: dict[Shape, deque[Waiting]] = {}
        self._held_back: dict[int, list[Waiting]] = {}
        self._arrived = 0

    def __bool__(self) -> bool:
        """Return whether anybody may be waiting for room."""
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
        held_back = [w for w in self._held_back.pop(user, ()) if not w.gone]
        held_back.sort(key=lambda w: (w.requested_h, w.request))
        return held_back

    def in_turn(self) -> Iterator[Waiting]:
        """Yield who waits in order of arrival; of a shape, the next only if the one before left."""
        heads = [w for shape in list(self._lines) if (w := self._head(shape))]
        turns = [(w.order, w) for w in heads]
        heapify(turns)
        while turns:
            _, waiting = heappop(turns)
            yield waiting
            following = self._head(waiting.shape)
            if following is not None and following is not waiting:
                heappush(turns, (following.order, following))

    def _head(self, shape: Shape) -> Waiting | None:
        line = self._lines.get(shape)
        while line and line[0].gone:
            line.popleft()
        if line:
            return line[0]
        self._lines.pop(shape, None)
        return None

    def leave(self, waiting: Waiting) -> None:
        """Take a head out of its line."""
        self._lines[waiting.shape].popleft()

    def anybody_waits(self, with_gpus: bool) -> bool:
        """Return whether a request with (or without) GPUs lacks room; who is held back does not."""
        return any(
            (shape[0] > 0) == with_gpus and any(not w.gone for w in line)
            for shape, line in self._lines.items()
        )
