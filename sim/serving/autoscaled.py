"""Autoscaled replicas: requests wait for a ready replica, an autoscaler decides how many there are.

Calls wait in one line (Knative's activator), first come first served, and go to the oldest ready
replica with room. The first request to an application without replicas has one started at once;
all else the autoscaler decides at whole multiples of its interval. Fewer replicas: the youngest go
first, those with requests finish them. A request is cold if its replica was not ready when it came.

At one instant: ends of requests, replicas that become ready; then changes of capacity; then
arrivals; then ends of patience; then the autoscaler. A window [now, until] takes what ends or
becomes ready at `until` and leaves the rest of that instant to the next one.
"""

from __future__ import annotations

from sim.plan.calls import Calls
from sim.serving.compiled import compiled
from sim.serving.outcome import Outcome
from sim.serving.scaled_state import (
    GIVEN,
    LEAVING,
    LIVING,
    LOAD,
    LOAD_SINCE,
    PANIC_SINCE,
    READY_AT,
    REVIEW_AT,
    STABLE,
    START_AT,
    STARTED,
    TO_START,
    UNUSED,
    WORKING,
    ScaledState,
    Starts,
)
from sim.serving.scaling import Autoscaler, add_load, wanted
from sim.serving.state import (
    ACTIVE,
    ALLOCATED,
    BEGUN,
    BUSY,
    FIRST,
    FREE,
    NEXT,
    ROWS,
    SINCE,
    UNTIL,
    WAITING,
    Nodes,
    Rows,
    leave_line,
    leave_node,
    node_with_room,
    pop_busy,
    prepare_node,
    push_busy,
    write_row,
)
from sim.ticks import NEVER

WARM, COLD = int(Outcome.WARM), int(Outcome.COLD)
TIMEOUT, REJECTED = int(Outcome.TIMEOUT), int(Outcome.REJECTED)


@compiled
def host(state: ScaledState, scaler: Autoscaler, now: int) -> None:
    """Have the first replicas started and the autoscaler look at its next tick."""
    scaling = state.scaling
    scaling[REVIEW_AT], scaling[LOAD_SINCE] = _tick(scaler, now), now
    _have_started(state, min(max(scaler.initial_scale, scaler.min_scale), scaler.max_scale), now)


@compiled
def begin_window(
    state: ScaledState, nodes: Nodes, scaler: Autoscaler, now: int, until: int
) -> None:
    """Open a window; replicas for which there is no room any more go, the youngest first."""
    counters, scaling = state.counters, state.scaling
    counters[SINCE], counters[UNTIL], counters[ROWS] = now, until, 0
    counters[ALLOCATED] = (scaling[LIVING] + scaling[LEAVING]) * (until - now)
    counters[ACTIVE] = scaling[WORKING] * (until - now)
    for position in range(scaling[LIVING] - 1, -1, -1):
        node = state.node[state.living[position]]
        if scaling[LIVING] > scaler.max_scale or nodes.replicas[node] > nodes.room[node]:
            _dismiss(state, nodes, position, now)
    _start_first(state, scaler, now)


@compiled
def play_window(
    state: ScaledState,
    nodes: Nodes,
    requests: Calls,
    rows: Rows,
    starts: Starts,
    scaler: Autoscaler,
) -> bool:
    """Play on until the window ends; False if it stopped for want of places or drawn starts."""
    counters, scaling, until = state.counters, state.scaling, state.counters[UNTIL]
    while True:
        while scaling[TO_START] > 0:
            if scaling[UNUSED] == 0 or scaling[STARTED] - scaling[GIVEN] == len(starts.start):
                return False
            _start(state, nodes, starts)
        arrival = patience = release = NEVER
        if counters[NEXT] < len(requests.arrival):
            arrival = requests.arrival[counters[NEXT]]
        if counters[WAITING] > 0:
            patience = requests.arrival[counters[FIRST]] + scaler.timeout
        if counters[BUSY] > 0:
            release = state.end[state.heap[0]]
        review = NEVER if at_rest(state, scaler) else scaling[REVIEW_AT]
        ends, others = min(release, scaling[READY_AT]), min(arrival, patience, review)
        if ends <= others and ends <= until:
            add_load(state, scaler, ends)
            if release <= scaling[READY_AT]:
                _release(state, nodes, scaler, release)
            else:
                _find_next_ready(state, ends)
            _assign(state, requests, rows, scaler, ends)
        elif others >= until:
            return True
        elif arrival <= patience and arrival <= review:
            _arrive(state, requests, rows, scaler, arrival)
        elif patience <= review:
            add_load(state, scaler, patience)
            request = leave_line(counters, rows)
            write_row(counters, rows, request, patience, patience, TIMEOUT)
        else:
            _review(state, nodes, scaler, review)


@compiled
def at_rest(state: ScaledState, scaler: Autoscaler) -> bool:
    """Return whether the autoscaler would find nothing to do until the next request."""
    scaling, counters = state.scaling, state.counters
    return (
        scaling[LIVING] == 0
        and counters[WAITING] + counters[BUSY] == 0
        and scaling[STABLE] == 0
        and scaling[LOAD] == 0
        and scaling[PANIC_SINCE] < 0
        and scaler.min_scale == 0
        and not scaler.exposed
    )


@compiled
def _tick(scaler: Autoscaler, now: int) -> int:
    """Return the first time from now on at which the autoscaler looks."""
    return -(-now // scaler.tick_interval) * scaler.tick_interval


@compiled
def _arrive(
    state: ScaledState, requests: Calls, rows: Rows, scaler: Autoscaler, now: int
) -> None:
    counters, scaling = state.counters, state.scaling
    if at_rest(state, scaler):
        scaling[REVIEW_AT] = _tick(scaler, now)
    add_load(state, scaler, now)
    request = counters[NEXT]
    counters[NEXT] += 1
    if counters[WAITING] == 0:
        counters[FIRST], counters[WAITING] = request, 1
        _assign(state, requests, rows, scaler, now)
        if counters[WAITING] == 0:
            return
        counters[WAITING] = 0
    if counters[WAITING] >= scaler.queue:
        rows.rejected[request] = 1
        write_row(counters, rows, request, now, now, REJECTED)
        return
    counters[WAITING] += 1
    _start_first(state, scaler, now)


@compiled
def _assign(
    state: ScaledState, requests: Calls, rows: Rows, scaler: Autoscaler, now: int
) -> None:
    """Give requests that wait to the oldest ready replicas with room."""
    counters, scaling = state.counters, state.scaling
    position = 0
    while counters[WAITING] > 0 and position < scaling[LIVING]:
        place = state.living[position]
        if state.ready[place] > now or state.load[place] >= scaler.container_concurrency:
            position += 1
            continue
        request = leave_line(counters, rows)
        counters[FREE] -= 1
        slot = state.free[counters[FREE]]
        state.replica[slot], state.order[slot] = place, counters[BEGUN]
        state.end[slot] = now + requests.service[request]
        counters[BEGUN] += 1
        push_busy(state.heap, state.end, state.order, counters, slot)
        state.load[place] += 1
        if state.load[place] == 1:
            scaling[WORKING] += 1
            counters[ACTIVE] += counters[UNTIL] - now
        outcome = COLD if state.ready[place] > requests.arrival[request] else WARM
        write_row(counters, rows, request, now, state.end[slot], outcome)


@compiled
def _release(state: ScaledState, nodes: Nodes, scaler: Autoscaler, now: int) -> None:
    counters, scaling = state.counters, state.scaling
    slot = pop_busy(state.heap, state.end, state.order, counters)
    state.free[counters[FREE]] = slot
    counters[FREE] += 1
    place = state.replica[slot]
    state.load[place] -= 1
    if state.load[place] == 0:
        scaling[WORKING] -= 1
        counters[ACTIVE] -= counters[UNTIL] - now
        if state.leaving[place]:
            scaling[LEAVING] -= 1
            _remove(state, nodes, place, now)
            _start_first(state, scaler, now)


@compiled
def _review(state: ScaledState, nodes: Nodes, scaler: Autoscaler, now: int) -> None:
    scaling = state.scaling
    ready = 0
    for position in range(scaling[LIVING]):
        ready += state.ready[state.living[position]] <= now
    replicas = wanted(state, scaler, now, ready)
    scaling[REVIEW_AT] += scaler.tick_interval
    _have_started(state, replicas - scaling[LIVING], now)
    while scaling[LIVING] > replicas:
        _dismiss(state, nodes, scaling[LIVING] - 1, now)


@compiled
def _start_first(state: ScaledState, scaler: Autoscaler, now: int) -> None:
    """Have a replica started if somebody waits and there is none."""
    if state.counters[WAITING] > 0 and state.scaling[LIVING] == 0:
        _have_started(state, min(1, scaler.max_scale), now)


@compiled
def _have_started(state: ScaledState, count: int, now: int) -> None:
    state.scaling[TO_START], state.scaling[START_AT] = max(count, 0), now


@compiled
def _start(state: ScaledState, nodes: Nodes, starts: Starts) -> None:
    """Start one of the replicas that are to be started; none of them if there is no room."""
    counters, scaling = state.counters, state.scaling
    now, node = scaling[START_AT], node_with_room(nodes)
    if node < 0:
        scaling[TO_START] = 0
        return
    drawn = scaling[STARTED] - scaling[GIVEN]
    up = prepare_node(nodes, node, now, starts.boot[drawn], starts.pull[drawn])
    scaling[UNUSED] -= 1
    place = state.unused[scaling[UNUSED]]
    state.ready[place] = up + starts.start[drawn]
    state.node[place], state.load[place], state.leaving[place] = node, 0, 0
    state.living[scaling[LIVING]] = place
    scaling[LIVING] += 1
    scaling[STARTED] += 1
    scaling[TO_START] -= 1
    scaling[READY_AT] = min(scaling[READY_AT], state.ready[place])
    counters[ALLOCATED] += counters[UNTIL] - now


@compiled
def _find_next_ready(state: ScaledState, now: int) -> None:
    state.scaling[READY_AT] = NEVER
    for position in range(state.scaling[LIVING]):
        ready = state.ready[state.living[position]]
        if ready > now:
            state.scaling[READY_AT] = min(state.scaling[READY_AT], ready)


@compiled
def _dismiss(state: ScaledState, nodes: Nodes, position: int, now: int) -> None:
    """Let a living replica go, at once or when it has finished what it has."""
    scaling = state.scaling
    place = state.living[position]
    for later in range(position + 1, scaling[LIVING]):
        state.living[later - 1] = state.living[later]
    scaling[LIVING] -= 1
    if state.load[place] > 0:
        state.leaving[place] = 1
        scaling[LEAVING] += 1
    else:
        _remove(state, nodes, place, now)


@compiled
def _remove(state: ScaledState, nodes: Nodes, place: int, now: int) -> None:
    counters, scaling = state.counters, state.scaling
    state.unused[scaling[UNUSED]] = place
    scaling[UNUSED] += 1
    counters[ALLOCATED] -= counters[UNTIL] - now
    leave_node(nodes, state.node[place], now)
