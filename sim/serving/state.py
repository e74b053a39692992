"""What a kernel remembers between windows: its replicas, counters, and the nodes it may use.

Arrays in named tuples, because that is what numba takes. Replicas live in places; `heap`, `ring`
and `free` hold numbers of places.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from sim.plan.calls import Calls
from sim.serving.compiled import compiled
from sim.ticks import NEVER
from sim.units import IntArray


class Counter(IntEnum):
    """Positions in `State.counters`."""

    NEXT = 0  # the next request to arrive, as a position in the window's requests
    FIRST = 1  # the request that has waited longest, likewise
    WAITING = 2  # how many wait
    BUSY = 3  # replicas with a request, whether starting or computing
    IDLE = 4  # replicas without
    HEAD = 5  # where in `ring` the replica stands that has been idle longest
    FREE = 6  # unused places
    BEGUN = 7  # requests that got a replica so far
    ROWS = 8  # rows written in this window
    ALLOCATED = 9  # replica ticks of this window
    ACTIVE = 10  # computing ticks of this window
    SINCE = 11  # begin of this window, ticks
    UNTIL = 12  # end of this window, ticks


NEXT, FIRST, WAITING, BUSY, IDLE, HEAD = (int(c) for c in list(Counter)[:6])
FREE, BEGUN, ROWS, ALLOCATED, ACTIVE, SINCE, UNTIL = (int(c) for c in list(Counter)[6:])


class State(NamedTuple):
    """Replicas of one application; shape (places,), times in ticks.

    Args:
        end: Busy: when its request ends.
        order: Busy: how many requests had begun before this one; settles ties of `end`.
        begin: Busy: when it begins to compute.
        node: Where it is.
        since: Idle: since when.
        heap: Busy places, the first to end on top.
        ring: Idle places, from `HEAD` on, the longest idle first.
        free: Unused places, a stack.
        counters: See `Counter`.
    """

    end: IntArray
    order: IntArray
    begin: IntArray
    node: IntArray
    since: IntArray
    heap: IntArray
    ring: IntArray
    free: IntArray
    counters: IntArray


class Nodes(NamedTuple):
    """Nodes of a cluster as one application sees them in a window; shape (nodes,).

    Args:
        room: How many of its replicas may be there.
        replicas: How many are.
        peak: The most there were in this window.
        boot_at: When the node was told to boot; `NEVER` if it is off.
        up_at: When it is or was up.
        cached_at: When the image is or was on it; `NEVER` if it is not.
        used_at: When a replica was last there, as far as replicas have gone.
        by_preference: Nodes in the order in which they are tried.
    """

    room: IntArray
    replicas: IntArray
    peak: IntArray
    boot_at: IntArray
    up_at: IntArray
    cached_at: IntArray
    used_at: IntArray
    by_preference: IntArray


class Rows(NamedTuple):
    """What became of requests in a window, in that order; shape (rows,).

    Args:
        request: Position in the window's requests.
        begin: When it began to compute, or was given up.
        end: When it ended, or was given up.
        outcome: See `Outcome`.
        rejected: 1 for a request of the window that was turned away, else 0; shape (requests,).
    """

    request: IntArray
    begin: IntArray
    end: IntArray
    outcome: IntArray
    rejected: IntArray


def fresh_state(places: int = 64) -> State:
    """Return a state without replicas."""
    columns = [np.zeros(places, np.int64) for _ in range(7)]
    counters = np.zeros(len(Counter), np.int64)
    counters[FREE] = places
    free = np.arange(places, dtype=np.int64)[::-1].copy()
    return State._make([*columns, free, counters])


def grown(state: State) -> State:
    """Return the same state with twice the places."""
    old = len(state.end)
    bigger = fresh_state(2 * old)
    for name in ("end", "order", "begin", "node", "since", "heap"):
        getattr(bigger, name)[:old] = getattr(state, name)
    idle = state.counters[IDLE]
    bigger.ring[:idle] = np.roll(state.ring, -state.counters[HEAD])[:idle]
    free = state.counters[FREE]
    bigger.free[:old] = np.arange(old, 2 * old)[::-1]
    bigger.free[old : old + free] = state.free[:free]
    bigger.counters[:] = state.counters
    bigger.counters[HEAD], bigger.counters[FREE] = 0, old + free
    return bigger


def ample_nodes(room: int = NEVER) -> Nodes:
    """Return one node that is up, has the image and takes `room` replicas."""
    columns = [np.zeros(1, np.int64) for _ in Nodes._fields]
    columns[0][0] = room
    return Nodes(*columns)


@compiled
def push_busy(
    heap: IntArray, end: IntArray, order: IntArray, counters: IntArray, place: int
) -> None:
    """Add a busy place to the heap, ordered by `end`, then `order`."""
    child = counters[BUSY]
    counters[BUSY] += 1
    while child > 0:
        parent = (child - 1) >> 1
        other = heap[parent]
        if end[other] < end[place] or (end[other] == end[place] and order[other] < order[place]):
            break
        heap[child] = other
        child = parent
    heap[child] = place


@compiled
def pop_busy(heap: IntArray, end: IntArray, order: IntArray, counters: IntArray) -> int:
    """Take the busy place that ends first from the heap."""
    top = heap[0]
    counters[BUSY] -= 1
    size = counters[BUSY]
    if size == 0:
        return top
    last = heap[size]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (
            end[heap[right]] < end[heap[child]]
            or (end[heap[right]] == end[heap[child]] and order[heap[right]] < order[heap[child]])
        ):
            child = right
        other = heap[child]
        if end[last] < end[other] or (end[last] == end[other] and order[last] < order[other]):
            break
        heap[parent] = other
        parent = child
    heap[parent] = last
    return top


@compiled
def push_idle(state: State, place: int, now: int) -> None:
    """Let a place be idle from now on."""
    counters = state.counters
    tail = counters[HEAD] + counters[IDLE]
    if tail >= len(state.ring):
        tail -= len(state.ring)
    state.ring[tail] = place
    state.since[place] = now
    counters[IDLE] += 1


@compiled
def pop_oldest(state: State) -> int:
    """Take the place that has been idle longest."""
    counters = state.counters
    place = state.ring[counters[HEAD]]
    counters[HEAD] += 1
    if counters[HEAD] == len(state.ring):
        counters[HEAD] = 0
    counters[IDLE] -= 1
    return place


@compiled
def pop_newest(state: State) -> int:
    """Take the place that fell idle last."""
    counters = state.counters
    counters[IDLE] -= 1
    tail = counters[HEAD] + counters[IDLE]
    if tail >= len(state.ring):
        tail -= len(state.ring)
    return state.ring[tail]


@compiled
def open_window(state: State, now: int, until: int) -> None:
    """Begin to count for a window [now, until] in which those stay who are there."""
    counters = state.counters
    counters[SINCE], counters[UNTIL], counters[ROWS] = now, until, 0
    counters[ALLOCATED] = (counters[BUSY] + counters[IDLE]) * (until - now)
    counters[ACTIVE] = 0
    for position in range(counters[BUSY]):
        begin = max(state.begin[state.heap[position]], now)
        if begin < until:
            counters[ACTIVE] += until - begin


@compiled
def node_with_room(nodes: Nodes) -> int:
    """Return the first node by preference on which one more replica may be, or -1."""
    for position in range(len(nodes.by_preference)):
        node = nodes.by_preference[position]
        if nodes.replicas[node] < nodes.room[node]:
            return node
    return -1


@compiled
def prepare_node(nodes: Nodes, node: int, now: int, boot: int, pull: int) -> int:
    """Count a replica on a node and return when the node is up and has the image, in ticks."""
    nodes.replicas[node] += 1
    nodes.peak[node] = max(nodes.peak[node], nodes.replicas[node])
    if now < nodes.boot_at[node]:  # off, or booted only later by what was played before
        nodes.boot_at[node], nodes.up_at[node] = now, now + boot
    ready = max(now, nodes.up_at[node])
    if nodes.cached_at[node] == NEVER:
        nodes.cached_at[node] = ready + pull
    return max(ready, nodes.cached_at[node])


@compiled
def leave_node(nodes: Nodes, node: int, now: int) -> None:
    """Count a replica no longer on a node."""
    nodes.replicas[node] -= 1
    nodes.used_at[node] = max(nodes.used_at[node], now)


@compiled
def leave_line(counters: IntArray, rows: Rows) -> int:
    """Take the request that has waited longest out of the line."""
    request = counters[FIRST]
    counters[WAITING] -= 1
    counters[FIRST] += 1
    if counters[WAITING] > 0:
        while rows.rejected[counters[FIRST]]:
            counters[FIRST] += 1
    return request


@compiled
def start_replica(
    state: State, nodes: Nodes, requests: Calls, request: int, now: int
) -> tuple[int, int]:
    """Start a replica for a request where there is room.

    Returns:
        Its place and when it is ready, in ticks; (-1, -1) if there is no room.
    """
    node = node_with_room(nodes)
    if node < 0:
        return -1, -1
    boot, pull = requests.boot[request], requests.pull[request]
    ready = prepare_node(nodes, node, now, boot, pull) + requests.start[request]
    state.counters[FREE] -= 1
    place = state.free[state.counters[FREE]]
    state.node[place] = node
    state.counters[ALLOCATED] += state.counters[UNTIL] - now
    return place, ready


@compiled
def remove_replica(state: State, nodes: Nodes, place: int, now: int) -> None:
    """Let a replica go that is neither busy nor idle any more."""
    counters = state.counters
    state.free[counters[FREE]] = place
    counters[FREE] += 1
    counters[ALLOCATED] -= counters[UNTIL] - now
    leave_node(nodes, state.node[place], now)


@compiled
def compute(
    state: State, rows: Rows, requests: Calls, request: int, place: int, ready: int, outcome: int
) -> None:
    """Give a replica, ready at a time, to a request, and write its row."""
    counters = state.counters
    end = ready + requests.service[request]
    state.begin[place], state.end[place] = ready, end
    state.order[place] = counters[BEGUN]
    counters[BEGUN] += 1
    push_busy(state.heap, state.end, state.order, counters, place)
    counters[ACTIVE] += max(counters[UNTIL] - ready, 0)
    write_row(counters, rows, request, ready, end, outcome)


@compiled
def write_row(
    counters: IntArray, rows: Rows, request: int, begin: int, end: int, outcome: int
) -> None:
    """Write what became of a request."""
    row = counters[ROWS]
    rows.request[row], rows.begin[row] = request, begin
    rows.end[row], rows.outcome[row] = end, outcome
    counters[ROWS] += 1
