"""What happens on a cluster at one instant of the twin, and in which order."""

from __future__ import annotations

from enum import IntEnum

import simpy


class Kind(IntEnum):
    """What comes first at one instant; SimPy's own two priorities (0 and 1) come before."""

    ROOM = 2  # room that was freed goes to who waits
    EXPIRE = 3  # by number of the application
    END = 4  # the first begun is the first
    READY = 5  # by number of the application
    STOP = 6  # the run ends: what comes next at this instant is not played any more
    NODES = 7
    HOST = 8  # by number of the application
    ARRIVAL = 9  # likewise
    CALL = 10  # who begins a chain before who is called; then in order of the chains' beginnings
    PATIENCE = 11  # by number of the application
    REVIEW = 12  # likewise
    EMPTY = 13  # by number of the node


_RANK = {kind: int(kind) << 60 for kind in Kind}


class At(simpy.Event):
    """An event at a time, with its place among what happens then.

    Args:
        env: The SimPy environment.
        time: When, in the environment's unit: ticks, or h.
        kind: What happens.
        number: What is lower comes first among the same kind.
    """

    def __init__(self, env: simpy.Environment, time: float, kind: Kind, number: int = 0) -> None:
        """Schedule it."""
        self.env, self.callbacks = env, []  # what simpy.Timeout does, and as quick
        self._ok, self._value = True, None
        env.schedule(self, priority=_RANK[kind] + number, delay=time - env.now)  # type: ignore
