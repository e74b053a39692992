"""The applications of a cluster, event by event, on the nodes they share.

At one instant: idle windows end (by number of the application), requests end (the first begun
first), autoscaled replicas become ready; nodes change; applications begin to be hosted; requests
arrive (by number of the application); requests come again or are called by a result (those that
begin a chain, then those called by them, and so on; among them in the order in which the chains
began); patience ends; autoscalers look; empty nodes are shut down. Room that was freed goes at once
to whoever has waited longest and fits. A window [now, until] takes what ends or is ready at `until`
and leaves the rest of that instant to the next one, so that cutting a run anywhere changes nothing.
"""

from __future__ import annotations

from sim.serving.kernel.autoscaled import (
    assign,
    dismiss,
    have_started,
    join_living,
    review,
    start_first,
    unload,
    wake,
)
from sim.serving.kernel.compiled import compiled, compiled_apart
from sim.serving.kernel.keepalive import (
    expire,
    fall_idle,
    release,
    remove_idle,
    serve,
    serve_waiting,
)
from sim.serving.kernel.nodes import find_node, lacks_room, shut_down, start_replica
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.queues import (
    drop_first,
    give_up,
    join_line,
    leave_line,
    lose_patience,
    plan,
    pop_computing,
    stand_in_line,
)
from sim.serving.kernel.scaling import add_load
from sim.serving.kernel.state import (
    ACTIVE,
    ALLOCATED,
    ARRIVAL,
    BACKOFF,
    BACKOFF_MOST,
    CALL,
    COMPUTING,
    COMPUTING_OF,
    END,
    EXPIRE,
    FREE,
    GIVEN,
    HEAD,
    HOST,
    INITIAL_SCALE,
    KEEP_ALIVE,
    KINDS_APART,
    LAST_ARRIVAL,
    LIVING,
    MAX_SCALE,
    MIN_SCALE,
    MODE,
    NEXT,
    NOBODY,
    PATIENCE,
    PLANNED,
    PROVISIONED,
    READY,
    REPLICAS,
    REVIEW,
    SERVE_AT,
    SINCE,
    START_AT,
    START_FOR,
    STARTED,
    TAIL,
    TO_START,
    UNTIL,
    WAITING,
    WORKING,
    Cluster,
)
from sim.ticks import NEVER

FAILED = int(Outcome.FAILED)
AT_ONCE = 4  # events that one event may plan, besides one for each node
NOTHING = 99  # comes after all kinds


@compiled_apart
def open_window(cluster: Cluster, now: int, until: int) -> None:
    """Begin to count for a window; replicas for which nodes have no room any more go."""
    world, apps, requests = cluster.world, cluster.apps, cluster.requests
    world[SINCE], world[UNTIL], world[PROVISIONED] = now, until, 0
    for node in range(len(cluster.nodes.boot_at)):
        if cluster.nodes.boot_at[node] < NEVER:
            world[PROVISIONED] += until - now
    for app in range(len(apps)):
        apps[app, ALLOCATED] = apps[app, REPLICAS] * (until - now)
        apps[app, ACTIVE] = apps[app, WORKING] * (until - now)
    for position in range(world[COMPUTING]):
        request = cluster.computing[position]
        app = requests.app[request]
        if cluster.terms[app, MODE] == KEEP_ALIVE:
            apps[app, ACTIVE] += max(until - max(requests.begin[request], now), 0)
    for app in range(len(apps)):
        _make_room(cluster, app, now)
    world[SERVE_AT] = now


@compiled_apart
def _make_room(cluster: Cluster, app: int, now: int) -> None:
    """Let replicas go from nodes that lost room: the longest idle, else the youngest."""
    keep_alive = cluster.terms[app, MODE] == KEEP_ALIVE
    place = cluster.apps[app, HEAD if keep_alive else TAIL]
    while place >= 0:
        following = cluster.places.newer[place] if keep_alive else cluster.places.older[place]
        if lacks_room(cluster, place):
            if keep_alive:
                remove_idle(cluster, app, place, now)
            else:
                dismiss(cluster, app, place, now)
        place = following


@compiled_apart
def play_window(cluster: Cluster) -> bool:
    """Play on until the window ends; False if it stopped for want of places, space or starts."""
    world, agenda, requests = cluster.world, cluster.agenda, cluster.requests
    until = world[UNTIL]
    while True:
        if world[FREE] == 0 or not has_space(cluster):
            return False
        if world[SERVE_AT] < NEVER and not serve_waiting(cluster):
            return False
        if world[START_FOR] >= 0 and not _start(cluster):
            return False
        arrival = end = planned = NEVER
        kind = NOTHING
        if world[NEXT] < world[LAST_ARRIVAL]:
            arrival = requests.arrival[world[NEXT]]
        if world[COMPUTING] > 0:
            end = requests.end[cluster.computing[0]]
        if world[PLANNED] > 0:
            planned, kind = agenda.when[0], agenda.rank[0] // KINDS_APART
        if end <= arrival and (end < planned or (end == planned and kind > END)):
            if end > until:
                return True
            _end(cluster, end)
        elif planned < arrival or (planned == arrival and kind < ARRIVAL):
            if planned > until or (planned == until and kind >= HOST):
                return True
            what = agenda.rank[0] % KINDS_APART
            drop_first(cluster)
            _happen(cluster, planned, kind, what)
        else:
            if arrival >= until:
                return True
            world[NEXT] += 1
            _ask(cluster, world[NEXT] - 1, arrival)


@compiled_apart
def _happen(cluster: Cluster, now: int, kind: int, what: int) -> None:
    if kind == EXPIRE:
        expire(cluster, what, now)
    elif kind == READY:
        add_load(cluster, what, now)
        assign(cluster, what, now)
    elif kind == HOST:
        _host(cluster, what, now)
    elif kind == CALL:
        _ask(cluster, what, now)
    elif kind == PATIENCE:
        add_load(cluster, what, now)
        lose_patience(cluster, what, now)
    elif kind == REVIEW:
        review(cluster, what, now)
    else:
        shut_down(cluster, what, now)


@compiled_apart
def _host(cluster: Cluster, app: int, now: int) -> None:
    """Begin with the first replicas, as far as requests before have not had them started."""
    mine, terms = cluster.apps[app], cluster.terms[app]
    first, there = terms[MIN_SCALE], mine[REPLICAS]
    if terms[MODE] != KEEP_ALIVE:
        first, there = max(first, terms[INITIAL_SCALE]), mine[LIVING]
        wake(cluster, app, now)
    have_started(cluster, app, min(first, terms[MAX_SCALE]) - there, now)


@compiled
def _ask(cluster: Cluster, request: int, now: int) -> None:
    """Let a request come, for the first time or again."""
    requests, mine = cluster.requests, cluster.apps[cluster.requests.app[request]]
    app = requests.app[request]
    requests.asked[request] = now
    if requests.arrival[request] > now:
        requests.arrival[request] = now
    if cluster.terms[app, MODE] == KEEP_ALIVE:
        if mine[WAITING] > 0 or not serve(cluster, app, request, now):
            join_line(cluster, app, request, now)
        return
    wake(cluster, app, now)
    add_load(cluster, app, now)
    if mine[WAITING] == 0:
        stand_in_line(cluster, app, request, now)
        assign(cluster, app, now)
        if mine[WAITING] == 0:
            return
        leave_line(cluster, app)
    if join_line(cluster, app, request, now):
        start_first(cluster, app, now)


@compiled
def _end(cluster: Cluster, now: int) -> None:
    """End the request that is to end next."""
    request = pop_computing(cluster)
    app, place = cluster.requests.app[request], cluster.requests.place[request]
    if cluster.terms[app, MODE] == KEEP_ALIVE:
        cluster.apps[app, COMPUTING_OF] -= 1
        release(cluster, app, place, now)
    else:
        add_load(cluster, app, now)
        cluster.apps[app, COMPUTING_OF] -= 1
        unload(cluster, app, place, now)
        assign(cluster, app, now)
    _finish(cluster, app, request, now)


@compiled
def _finish(cluster: Cluster, app: int, request: int, now: int) -> None:
    """Have the next application called by the result, or the request come again if it failed."""
    requests = cluster.requests
    fails = requests.fails[request]
    if fails == 0:
        requests.outcome[request] = requests.met[request]
        if requests.then[request] >= 0:
            plan(cluster, now, CALL, requests.then[request])
    elif fails == -1:
        give_up(cluster, request, now, FAILED)
    else:
        requests.fails[request] -= 1 if fails > 0 else -1
        requests.begin[request] = requests.end[request] = NEVER
        pause = cluster.terms[app, BACKOFF] << min(requests.tries[request], 20)
        requests.tries[request] += 1
        plan(cluster, now + min(pause, cluster.terms[app, BACKOFF_MOST]), CALL, request)


@compiled_apart
def _start(cluster: Cluster) -> bool:
    """Start the replicas that are to be started, as far as there is room.

    Returns:
        False if it stopped for want of places, space or starts.
    """
    world, app, now = cluster.world, cluster.world[START_FOR], cluster.world[START_AT]
    mine, starts = cluster.apps[app], cluster.starts[app]
    while mine[TO_START] > 0:
        drawn = mine[STARTED] - mine[GIVEN]
        if world[FREE] == 0 or drawn == len(starts) or not has_space(cluster):
            return False
        node = find_node(cluster, app)
        if node < 0:
            break
        delays = starts[drawn]
        place = start_replica(cluster, app, node, now, delays[0], delays[1], delays[2])
        mine[STARTED] += 1
        mine[TO_START] -= 1
        if cluster.terms[app, MODE] == KEEP_ALIVE:
            fall_idle(cluster, app, place, now)
        else:
            join_living(cluster, app, place)
    world[START_FOR] = NOBODY
    return True


@compiled
def has_space(cluster: Cluster) -> bool:
    """Return whether the agenda has space for all that one event may plan."""
    return cluster.world[PLANNED] + AT_ONCE + len(cluster.nodes.used) <= len(cluster.agenda.when)
