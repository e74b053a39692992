"""What an autoscaled application remembers between windows, and what happens to its replicas.

Unlike in a keep-alive pool a replica is not started for one request: requests wait until a ready
replica has room, and replicas come and go as the autoscaler says.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from sim.serving.state import FREE, Counter
from sim.ticks import NEVER
from sim.units import IntArray


class Scaling(IntEnum):
    """Positions in `ScaledState.scaling`; times in ticks, -1 for not."""

    LIVING = 0  # replicas that take requests, or will when they are ready
    LEAVING = 1  # replicas that only finish what they have
    UNUSED = 2  # places without a replica
    STARTED = 3  # replicas started so far
    GIVEN = 4  # how many starts were drawn before those in `Starts`
    READY_AT = 5  # when the next replica is ready; `NEVER` if none is starting
    WORKING = 6  # replicas with a request
    REVIEW_AT = 7  # when the autoscaler looks next
    LOAD_SINCE = 8  # until when the load of this interval is summed up
    LOAD = 9  # the sum
    BUCKET = 10  # where the next bucket goes
    STABLE = 11  # sum of all buckets
    PANIC = 12  # sum of the newest few
    ACTIVE_SINCE = 13  # begin of the first bucket with load, after a stable window without
    PANIC_SINCE = 14  # when load was last above the panic threshold
    PANIC_REPLICAS = 15  # the most wanted since panic began
    IDLE_SINCE = 16  # since when no replica has been wanted
    TO_START = 17  # replicas still to be started,
    START_AT = 18  # and when


LIVING, LEAVING, UNUSED, STARTED, GIVEN, READY_AT = (int(c) for c in list(Scaling)[:6])
WORKING, REVIEW_AT, LOAD_SINCE, LOAD, BUCKET, STABLE = (int(c) for c in list(Scaling)[6:12])
PANIC, ACTIVE_SINCE, PANIC_SINCE, PANIC_REPLICAS, IDLE_SINCE = (
    int(c) for c in list(Scaling)[12:17]
)
TO_START, START_AT = (int(c) for c in list(Scaling)[17:])


class Starts(NamedTuple):
    """How long replicas take to start, in the order in which they are; shape (starts,), ticks.

    Args:
        start: Container and model.
        pull: Image, if the node does not have it.
        boot: Node, if it is off.
    """

    start: IntArray
    pull: IntArray
    boot: IntArray


class ScaledState(NamedTuple):
    """Calls that compute and replicas; times in ticks.

    Args:
        end: When a computing request ends; shape (slots,), as the next four. There are as many
            slots as all places can compute at once.
        order: How many requests had begun before it.
        replica: Where it computes: a place.
        heap: Slots in use, the first to end on top.
        free: Unused slots, a stack.
        ready: When a replica is ready; shape (places,), as the next five.
        load: How many requests it computes.
        leaving: 1 if it only finishes what it has.
        node: Where it is.
        living: Places of living replicas by birth, the oldest first.
        unused: Places without a replica, a stack.
        buckets: Load of the last reviews, a ring; the unit is the autoscaler's.
        counters: See `Counter`.
        scaling: See `Scaling`.
    """

    end: IntArray
    order: IntArray
    replica: IntArray
    heap: IntArray
    free: IntArray
    ready: IntArray
    load: IntArray
    leaving: IntArray
    node: IntArray
    living: IntArray
    unused: IntArray
    buckets: IntArray
    counters: IntArray
    scaling: IntArray


def fresh_scaled_state(buckets: int, concurrency: int, places: int = 16) -> ScaledState:
    """Return a state without replicas.

    Args:
        buckets: Intervals the autoscaler looks back.
        concurrency: Calls a replica takes at once.
        places: Replicas there may be.
    """
    slots = [np.zeros(places * concurrency, np.int64) for _ in range(5)]
    columns = [np.zeros(places, np.int64) for _ in range(6)]
    slots[-1][:], columns[-1][:] = np.arange(len(slots[-1]))[::-1], np.arange(places)[::-1]
    counters, scaling = np.zeros(len(Counter), np.int64), np.zeros(len(Scaling), np.int64)
    counters[FREE], scaling[UNUSED] = len(slots[-1]), places
    scaling[READY_AT] = NEVER
    scaling[[ACTIVE_SINCE, PANIC_SINCE, IDLE_SINCE]] = -1
    ring = np.zeros(buckets, np.int64)
    return ScaledState._make([*slots, *columns, ring, counters, scaling])


def grown_scaled(state: ScaledState) -> ScaledState:
    """Return the same state with twice the places."""
    places, slots = len(state.ready), len(state.end)
    bigger = fresh_scaled_state(len(state.buckets), slots // places, 2 * places)
    for name in ("end", "order", "replica", "heap", "ready", "load", "leaving", "node", "living"):
        getattr(bigger, name)[: len(getattr(state, name))] = getattr(state, name)
    bigger.counters[:], bigger.scaling[:] = state.counters, state.scaling
    bigger.buckets[:] = state.buckets
    for stack, old, size, counts, count in (
        (bigger.free, state.free, slots, bigger.counters, FREE),
        (bigger.unused, state.unused, places, bigger.scaling, UNUSED),
    ):
        stack[:size] = np.arange(size, 2 * size)[::-1]
        stack[size : size + counts[count]] = old[: counts[count]]
        counts[count] += size
    return bigger
