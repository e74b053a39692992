"""Autoscaled replicas: requests wait for a ready replica, an autoscaler decides how many there are.

Requests wait in one line (Knative's activator), first come first served, and go to the oldest ready
replica with room. A request that comes when there is no replica has one started at once; all else
the autoscaler decides at whole multiples of its interval. Fewer replicas: the youngest go first,
those with requests finish them. What finds no room on the nodes is asked for again at the next
look. A request is cold if its replica was not ready when it came (last, if attempts failed).
"""

from __future__ import annotations

from sim.serving.kernel.compiled import compiled, compiled_apart
from sim.serving.kernel.nodes import computes, computes_no_more, remove_replica
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.queues import append, leave_line, plan, push_computing, unlink
from sim.serving.kernel.scaling import at_rest, wanted
from sim.serving.kernel.state import (
    BEGUN,
    COMPUTING_OF,
    CONCURRENCY,
    HEAD,
    LIVING,
    LOAD_SINCE,
    MAX_SCALE,
    NOBODY,
    READY,
    REVIEW,
    REVIEW_SET,
    START_AT,
    START_FOR,
    TAIL,
    TICK,
    TO_START,
    WAITING,
    WORKING,
    Cluster,
)

WARM, COLD = int(Outcome.WARM), int(Outcome.COLD)


@compiled_apart
def wake(cluster: Cluster, app: int, now: int) -> None:
    """Have the autoscaler look at its next tick, if that is not planned yet."""
    mine, tick = cluster.apps[app], cluster.terms[app, TICK]
    if mine[REVIEW_SET] == 0:
        mine[REVIEW_SET], mine[LOAD_SINCE] = 1, now
        plan(cluster, -(-now // tick) * tick, REVIEW, app)


@compiled
def assign(cluster: Cluster, app: int, now: int) -> None:
    """Give requests that wait to the oldest ready replicas with room."""
    mine, places, requests = cluster.apps[app], cluster.places, cluster.requests
    most = cluster.terms[app, CONCURRENCY]
    place = mine[HEAD]
    while mine[WAITING] > 0 and place >= 0:
        if places.ready[place] > now or places.load[place] >= most:
            place = places.newer[place]
            continue
        request = leave_line(cluster, app)
        requests.met[request] = COLD if places.ready[place] > requests.asked[request] else WARM
        requests.begin[request], requests.end[request] = now, now + requests.service[request]
        requests.place[request], requests.order[request] = place, cluster.world[BEGUN]
        cluster.world[BEGUN] += 1
        mine[COMPUTING_OF] += 1
        push_computing(cluster, request)
        places.load[place] += 1
        if places.load[place] == 1:
            mine[WORKING] += 1
            computes(cluster, app, now)


@compiled
def unload(cluster: Cluster, app: int, place: int, now: int) -> None:
    """Take a request that has ended from its replica, which goes if that was its last."""
    places = cluster.places
    places.load[place] -= 1
    if places.load[place] == 0:
        cluster.apps[app, WORKING] -= 1
        computes_no_more(cluster, app, now)
        if places.leaving[place]:
            remove_replica(cluster, place, now)


@compiled
def join_living(cluster: Cluster, app: int, place: int) -> None:
    """Let a replica that was started take requests when it is ready."""
    append(cluster, app, place)
    cluster.apps[app, LIVING] += 1
    plan(cluster, cluster.places.ready[place], READY, app)


@compiled
def review(cluster: Cluster, app: int, now: int) -> None:
    """Let the autoscaler look."""
    mine, places = cluster.apps[app], cluster.places
    ready, place = 0, mine[HEAD]
    while place >= 0:
        ready += places.ready[place] <= now
        place = places.newer[place]
    replicas = wanted(cluster, app, now, ready)
    have_started(cluster, app, replicas - mine[LIVING], now)
    while mine[LIVING] > replicas:
        dismiss(cluster, app, mine[TAIL], now)
    mine[REVIEW_SET] = 0
    if not at_rest(cluster, app):
        mine[REVIEW_SET] = 1
        plan(cluster, now + cluster.terms[app, TICK], REVIEW, app)


@compiled
def dismiss(cluster: Cluster, app: int, place: int, now: int) -> None:
    """Let a living replica go, at once or when it has finished what it has."""
    unlink(cluster, app, place)
    cluster.apps[app, LIVING] -= 1
    if cluster.places.load[place] > 0:
        cluster.places.leaving[place] = 1
    else:
        remove_replica(cluster, place, now)


@compiled
def start_first(cluster: Cluster, app: int, now: int) -> None:
    """Have a replica started if somebody waits and there is none."""
    if cluster.apps[app, WAITING] > 0 and cluster.apps[app, LIVING] == 0:
        have_started(cluster, app, min(1, cluster.terms[app, MAX_SCALE]), now)


@compiled
def have_started(cluster: Cluster, app: int, count: int, now: int) -> None:
    """Have replicas started; the kernel does it next."""
    cluster.apps[app, TO_START] = max(count, 0)
    cluster.world[START_AT] = now
    cluster.world[START_FOR] = app if count > 0 else NOBODY
