"""Keep-alive: one request a replica, which stays warm for a while afterwards.

A request takes an idle replica (the one that fell idle last, or the one idle longest); else a new
one is started (a cold start) if the application's maximum and the nodes allow; else it waits. It is
cold, too, if the idle replica that it takes is one of the first and still starts. A replica that
has been idle for `idle_window` goes, unless no more than `min_scale` are there. This is how
function platforms with one request a replica behave (N. Mahmoudi and H. Khazaei, SimFaaS, CLOSER
2021); with no idle window it is one job a request, which loads its model each time.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.serving.kernel.compiled import compiled, compiled_apart
from sim.serving.kernel.nodes import (
    computes,
    computes_no_more,
    find_node,
    lacks_room,
    remove_replica,
    start_replica,
)
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.queues import append, leave_line, plan, push_computing, unlink
from sim.serving.kernel.state import (
    BEGUN,
    COMPUTING_OF,
    EXPIRE,
    EXPIRE_SET,
    FIRST,
    FREE,
    HEAD,
    IDLE,
    IDLE_WINDOW,
    KEEP_ALIVE,
    MAX_SCALE,
    MIN_SCALE,
    MODE,
    NEWEST_FIRST,
    NOBODY,
    REPLICAS,
    SERVE_AT,
    TAIL,
    WAITING,
    WAITING_ALL,
    Cluster,
)
from sim.ticks import NEVER

WARM, COLD = int(Outcome.WARM), int(Outcome.COLD)


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
def serve(cluster: Cluster, app: int, request: int, now: int) -> bool:
    """Give a request a replica, if there is one or room for one."""
    apps, asked = cluster.apps, cluster.requests
    if apps[app, IDLE] > 0:
        place = apps[app, TAIL] if cluster.terms[app, NEWEST_FIRST] else apps[app, HEAD]
        unlink(cluster, app, place)
        apps[app, IDLE] -= 1
        met = COLD if cluster.places.ready[place] > now else WARM
    elif apps[app, REPLICAS] < cluster.terms[app, MAX_SCALE]:
        node = find_node(cluster, app)
        if node < 0:
            return False
        delays = asked.start[request], asked.pull[request], asked.boot[request]
        place = start_replica(cluster, app, node, now, delays[0], delays[1], delays[2])
        met = COLD
    else:
        return False
    begin(cluster, app, request, place, now, met)
    return True


@compiled
def begin(cluster: Cluster, app: int, request: int, place: int, now: int, met: int) -> None:
    """Have a request computed by a replica, as soon as that is ready."""
    requests, ready = cluster.requests, max(now, cluster.places.ready[place])
    requests.met[request] = met
    requests.begin[request], requests.end[request] = ready, ready + requests.service[request]
    requests.place[request], requests.order[request] = place, cluster.world[BEGUN]
    cluster.world[BEGUN] += 1
    cluster.apps[app, COMPUTING_OF] += 1
    push_computing(cluster, request)
    computes(cluster, app, ready)


@compiled
def release(cluster: Cluster, app: int, place: int, now: int) -> None:
    """Let a replica whose request has ended serve the next one, fall idle or go."""
    apps, terms = cluster.apps, cluster.terms
    computes_no_more(cluster, app, now)
    surplus = apps[app, REPLICAS] > terms[app, MIN_SCALE]
    if lacks_room(cluster, place) or (terms[app, IDLE_WINDOW] == 0 and surplus):
        remove_replica(cluster, place, now)
    elif apps[app, WAITING] > 0:
        begin(cluster, app, leave_line(cluster, app), place, now, WARM)
    else:
        fall_idle(cluster, app, place, now)


@compiled
def fall_idle(cluster: Cluster, app: int, place: int, now: int) -> None:
    """Let a replica be idle from now on."""
    apps, since = cluster.apps, cluster.places.since
    append(cluster, app, place)
    since[place] = now
    apps[app, IDLE] += 1
    window = cluster.terms[app, IDLE_WINDOW]
    if apps[app, EXPIRE_SET] == 0 and window < NEVER:
        apps[app, EXPIRE_SET] = 1
        plan(cluster, max(since[apps[app, HEAD]] + window, now), EXPIRE, app)


@compiled
def expire(cluster: Cluster, app: int, now: int) -> None:
    """Let the replica that has been idle longest go, if it is time; plan for the next one."""
    apps, since = cluster.apps, cluster.places.since
    window, least = cluster.terms[app, IDLE_WINDOW], cluster.terms[app, MIN_SCALE]
    apps[app, EXPIRE_SET] = 0
    for turn in range(2):
        if apps[app, IDLE] == 0 or apps[app, REPLICAS] <= least:
            return
        oldest = apps[app, HEAD]
        if turn == 1 or since[oldest] + window > now:
            apps[app, EXPIRE_SET] = 1
            plan(cluster, max(since[oldest] + window, now), EXPIRE, app)
            return
        remove_idle(cluster, app, oldest, now)


@compiled
def remove_idle(cluster: Cluster, app: int, place: int, now: int) -> None:
    """Let an idle replica go."""
    unlink(cluster, app, place)
    cluster.apps[app, IDLE] -= 1
    remove_replica(cluster, place, now)


@compiled_apart
def serve_waiting(cluster: Cluster) -> bool:
    """Start replicas for those who wait, whoever has waited longest and fits is first.

    Returns:
        False if it stopped for want of places.
    """
    world, apps, now = cluster.world, cluster.apps, cluster.world[SERVE_AT]
    while world[FREE] > 0:
        if world[WAITING_ALL] == 0:
            world[SERVE_AT] = NEVER
            return True
        best, longest = NOBODY, NEVER
        for app in range(len(apps)):
            if apps[app, WAITING] == 0 or cluster.terms[app, MODE] != KEEP_ALIVE:
                continue
            since = cluster.requests.asked[apps[app, FIRST]]
            full = apps[app, REPLICAS] >= cluster.terms[app, MAX_SCALE]
            if since < longest and not full and find_node(cluster, app) >= 0:
                best, longest = app, since
        if best < 0:
            world[SERVE_AT] = NEVER
            return True
        serve(cluster, best, leave_line(cluster, best), now)
    return False
