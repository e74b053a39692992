"""Who computes, who waits, what is to come: heaps and lists of the kernel."""

from __future__ import annotations

from sim.serving.kernel.compiled import compiled, compiled_apart
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.state import (
    COMPUTING,
    FIRST,
    HEAD,
    KINDS_APART,
    LAST,
    NOBODY,
    PATIENCE,
    PATIENCE_SET,
    PLANNED,
    QUEUE,
    TAIL,
    TIMEOUT,
    WAITING,
    WAITING_ALL,
    Cluster,
)
from sim.ticks import NEVER

TIMED_OUT, REJECTED, FAILED, NOT_CALLED = (int(o) for o in list(Outcome)[2:])


@compiled
def push_computing(cluster: Cluster, request: int) -> None:
    """Add a request to those that compute, by end, then by order."""
    heap, end = cluster.computing, cluster.requests.end
    child, time = cluster.world[COMPUTING], end[request]
    cluster.world[COMPUTING] += 1
    while child > 0:  # what began before and ends at the same time stays above
        parent = (child - 1) >> 1
        if end[heap[parent]] <= time:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = request


@compiled
def pop_computing(cluster: Cluster) -> int:
    """Take the request that ends first."""
    heap, end, order = cluster.computing, cluster.requests.end, cluster.requests.order
    top = heap[0]
    cluster.world[COMPUTING] -= 1
    size = cluster.world[COMPUTING]
    if size == 0:
        return top
    last = heap[size]
    time, parent = end[last], 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size:
            left, right = heap[child], heap[child + 1]
            if end[right] < end[left] or (end[right] == end[left] and order[right] < order[left]):
                child += 1
        other = heap[child]
        if time < end[other] or (time == end[other] and order[last] < order[other]):
            break
        heap[parent] = other
        parent = child
    heap[parent] = last
    return top


@compiled
def plan(cluster: Cluster, time: int, kind: int, what: int) -> None:
    """Put an event on the agenda; there must be space."""
    when, ranks = cluster.agenda.when, cluster.agenda.rank
    child, rank = cluster.world[PLANNED], kind * KINDS_APART + what
    cluster.world[PLANNED] += 1
    while child > 0:
        parent = (child - 1) >> 1
        if when[parent] < time or (when[parent] == time and ranks[parent] <= rank):
            break
        when[child], ranks[child] = when[parent], ranks[parent]
        child = parent
    when[child], ranks[child] = time, rank


@compiled
def drop_first(cluster: Cluster) -> None:
    """Take the first event from the agenda."""
    when, ranks = cluster.agenda.when, cluster.agenda.rank
    cluster.world[PLANNED] -= 1
    size = cluster.world[PLANNED]
    time, rank, parent = when[size], ranks[size], 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        right = child + 1
        if right < size:
            same = when[right] == when[child]
            if when[right] < when[child] or (same and ranks[right] < ranks[child]):
                child = right
        if time < when[child] or (time == when[child] and rank <= ranks[child]):
            break
        when[parent], ranks[parent] = when[child], ranks[child]
        parent = child
    when[parent], ranks[parent] = time, rank


@compiled
def append(cluster: Cluster, app: int, place: int) -> None:
    """Put a place at the new end of its application's list."""
    apps, places = cluster.apps, cluster.places
    tail = apps[app, TAIL]
    places.older[place], places.newer[place] = tail, NOBODY
    if tail >= 0:
        places.newer[tail] = place
    else:
        apps[app, HEAD] = place
    apps[app, TAIL] = place


@compiled
def unlink(cluster: Cluster, app: int, place: int) -> None:
    """Take a place out of its application's list."""
    apps, places = cluster.apps, cluster.places
    older, newer = places.older[place], places.newer[place]
    if older >= 0:
        places.newer[older] = newer
    else:
        apps[app, HEAD] = newer
    if newer >= 0:
        places.older[newer] = older
    else:
        apps[app, TAIL] = older


@compiled
def join_line(cluster: Cluster, app: int, request: int, now: int) -> bool:
    """Let a request wait; False if it was turned away because too many do."""
    if cluster.apps[app, WAITING] >= cluster.terms[app, QUEUE]:
        give_up(cluster, request, now, REJECTED)
        return False
    stand_in_line(cluster, app, request, now)
    return True


@compiled
def stand_in_line(cluster: Cluster, app: int, request: int, now: int) -> None:
    """Let a request wait, however many do."""
    apps, requests = cluster.apps, cluster.requests
    requests.behind[request] = NOBODY
    if apps[app, WAITING] > 0:
        requests.behind[apps[app, LAST]] = request
    else:
        apps[app, FIRST] = request
    apps[app, LAST] = request
    apps[app, WAITING] += 1
    cluster.world[WAITING_ALL] += 1
    timeout = cluster.terms[app, TIMEOUT]
    if timeout < NEVER and apps[app, PATIENCE_SET] == 0:
        apps[app, PATIENCE_SET] = 1
        plan(cluster, now + timeout, PATIENCE, app)


@compiled
def leave_line(cluster: Cluster, app: int) -> int:
    """Take the request that has waited longest out of the line."""
    apps = cluster.apps
    request = apps[app, FIRST]
    apps[app, FIRST] = cluster.requests.behind[request]
    apps[app, WAITING] -= 1
    cluster.world[WAITING_ALL] -= 1
    return request


@compiled_apart
def lose_patience(cluster: Cluster, app: int, now: int) -> None:
    """Let the request that has waited longest go, if it is time; plan for the next one."""
    apps, asked, timeout = cluster.apps, cluster.requests.asked, cluster.terms[app, TIMEOUT]
    apps[app, PATIENCE_SET] = 0
    if apps[app, WAITING] > 0 and asked[apps[app, FIRST]] + timeout <= now:
        give_up(cluster, leave_line(cluster, app), now, TIMED_OUT)
    if apps[app, WAITING] > 0:
        apps[app, PATIENCE_SET] = 1
        plan(cluster, max(asked[apps[app, FIRST]] + timeout, now), PATIENCE, app)


@compiled_apart
def give_up(cluster: Cluster, request: int, now: int, outcome: int) -> None:
    """End a request without a result: what would have been called by it never is."""
    requests = cluster.requests
    requests.outcome[request], requests.end[request] = outcome, now
    if outcome != FAILED:
        requests.begin[request] = now
    called = requests.then[request]
    while called >= 0:
        requests.outcome[called] = NOT_CALLED
        called = requests.then[called]
