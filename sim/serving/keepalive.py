"""Keep-alive pool: one request a replica, which stays warm for a while afterwards.

A request takes an idle replica (the one that fell idle last, or the one idle longest); else a new
one is started (a cold start) if the pool's maximum and the nodes allow; else it waits, first come
first served, for at most `timeout`, or is rejected where `queue` wait already. A replica that has
been idle for `idle_window` goes, unless no more than `min_scale` are there. This is how function
platforms with one request a replica behave (N. Mahmoudi and H. Khazaei, SimFaaS, CLOSER 2021).

At one instant: ends of requests (first begun, first served) and of idle windows; then changes of
capacity; then arrivals; then ends of patience. A window [now, until] takes what ends at `until`
and leaves what arrives then to the next one, so that cutting a run anywhere changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.plan.calls import Calls
from sim.serving.compiled import compiled
from sim.serving.outcome import Outcome
from sim.serving.state import (
    ACTIVE,
    BUSY,
    FIRST,
    FREE,
    HEAD,
    IDLE,
    NEXT,
    SINCE,
    UNTIL,
    WAITING,
    Nodes,
    Rows,
    State,
    compute,
    leave_line,
    open_window,
    pop_busy,
    pop_newest,
    pop_oldest,
    push_idle,
    remove_replica,
    start_replica,
    write_row,
)
from sim.ticks import NEVER

WARM, COLD = int(Outcome.WARM), int(Outcome.COLD)
TIMEOUT, REJECTED = int(Outcome.TIMEOUT), int(Outcome.REJECTED)


class KeepAlive(NamedTuple):
    """Parameters of a keep-alive pool.

    Args:
        idle_window: How long an idle replica is kept, ticks.
        min_scale: Replicas that are kept for ever.
        max_scale: Most replicas.
        newest_first: Whether the replica that fell idle last is taken first, else the oldest.
        timeout: How long a request waits, ticks.
        queue: How many may wait.
    """

    idle_window: int
    min_scale: int = 0
    max_scale: int = NEVER
    newest_first: bool = True
    timeout: int = NEVER
    queue: int = NEVER


@compiled
def begin_window(state: State, nodes: Nodes, pool: KeepAlive, now: int, until: int) -> None:
    """Open a window and let idle replicas go for which there is no room any more."""
    open_window(state, now, until)
    _expire(state, nodes, pool, now)
    for _ in range(state.counters[IDLE]):
        place = pop_oldest(state)
        since = state.since[place]
        push_idle(state, place, since)
        if _in_excess(state, nodes, pool, place):
            pop_newest(state)
            remove_replica(state, nodes, place, now)


@compiled
def serve_waiting(
    state: State, nodes: Nodes, requests: Calls, rows: Rows, pool: KeepAlive, now: int
) -> bool:
    """Serve whoever waits, as far as there is room; False if it stopped for want of places."""
    while state.counters[WAITING] > 0:
        if state.counters[FREE] == 0:
            return False
        if not _serve_first(state, nodes, requests, rows, pool, now):
            break
    return True


@compiled
def play_window(
    state: State, nodes: Nodes, requests: Calls, rows: Rows, pool: KeepAlive
) -> bool:
    """Play on until the window ends; False if it stopped for want of places."""
    counters, until = state.counters, state.counters[UNTIL]
    while True:
        arrival = patience = release = NEVER
        if counters[NEXT] < len(requests.arrival):
            arrival = requests.arrival[counters[NEXT]]
        if counters[WAITING] > 0:
            patience = requests.arrival[counters[FIRST]] + pool.timeout
        if counters[BUSY] > 0:
            release = state.end[state.heap[0]]
        if release <= arrival and release <= patience and release <= until:
            _release(state, nodes, requests, rows, pool, release)
        elif min(arrival, patience) >= until:
            _expire(state, nodes, pool, until)
            return True
        elif counters[FREE] == 0:
            return False
        elif arrival <= patience:
            _arrive(state, nodes, requests, rows, pool, arrival)
        else:
            request = leave_line(counters, rows)
            write_row(counters, rows, request, patience, patience, TIMEOUT)


@compiled
def _arrive(
    state: State, nodes: Nodes, requests: Calls, rows: Rows, pool: KeepAlive, now: int
) -> None:
    counters = state.counters
    _expire(state, nodes, pool, now)
    request = counters[NEXT]
    counters[NEXT] += 1
    if counters[WAITING] == 0:
        counters[FIRST], counters[WAITING] = request, 1
        if _serve_first(state, nodes, requests, rows, pool, now):
            return
        counters[WAITING] = 0
    if counters[WAITING] < pool.queue:
        counters[WAITING] += 1
    else:
        rows.rejected[request] = 1
        write_row(counters, rows, request, now, now, REJECTED)


@compiled
def _serve_first(
    state: State, nodes: Nodes, requests: Calls, rows: Rows, pool: KeepAlive, now: int
) -> bool:
    counters = state.counters
    if counters[IDLE] > 0:
        place = pop_newest(state) if pool.newest_first else pop_oldest(state)
        ready, outcome = now, WARM
    elif counters[BUSY] < pool.max_scale:
        place, ready = start_replica(state, nodes, requests, counters[FIRST], now)
        outcome = COLD
    else:
        return False
    if place < 0:
        return False
    request = leave_line(counters, rows)
    compute(state, rows, requests, request, place, ready, outcome)
    return True


@compiled
def _release(
    state: State, nodes: Nodes, requests: Calls, rows: Rows, pool: KeepAlive, now: int
) -> None:
    _expire(state, nodes, pool, now)
    place = pop_busy(state.heap, state.end, state.order, state.counters)
    state.counters[ACTIVE] -= state.counters[UNTIL] - now
    push_idle(state, place, now)
    surplus = state.counters[BUSY] + state.counters[IDLE] > pool.min_scale
    if _in_excess(state, nodes, pool, place) or (pool.idle_window == 0 and surplus):
        pop_newest(state)
        remove_replica(state, nodes, place, now)
    if state.counters[WAITING] > 0:
        _serve_first(state, nodes, requests, rows, pool, now)


@compiled
def _expire(state: State, nodes: Nodes, pool: KeepAlive, now: int) -> None:
    counters = state.counters
    while counters[IDLE] > 0 and counters[BUSY] + counters[IDLE] > pool.min_scale:
        since = state.since[state.ring[counters[HEAD]]]
        if since + pool.idle_window > now:
            break
        place = pop_oldest(state)
        remove_replica(state, nodes, place, max(since + pool.idle_window, counters[SINCE]))


@compiled
def _in_excess(state: State, nodes: Nodes, pool: KeepAlive, place: int) -> bool:
    counters, node = state.counters, state.node[place]
    return (
        counters[BUSY] + counters[IDLE] > pool.max_scale or nodes.replicas[node] > nodes.room[node]
    )
