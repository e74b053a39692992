"""What changes on a cluster between two windows: how applications scale, when nodes shut down."""

from __future__ import annotations

import numpy as np

from sim.serving.kernel.autoscaled import wake
from sim.serving.kernel.nodes import watch_empty
from sim.serving.kernel.queues import plan
from sim.serving.kernel.scaling import add_load
from sim.serving.kernel.state import (
    ACTIVE_SINCE,
    BUCKET,
    EXPIRE,
    EXPIRE_SET,
    FIRST,
    HEAD,
    HOST,
    IDLE,
    IDLE_SINCE,
    IDLE_WINDOW,
    KEEP_ALIVE,
    KINDS_APART,
    LOAD,
    LOOKS_BACK,
    MODE,
    NOBODY,
    PANIC,
    PANIC_LOOKS,
    PANIC_REPLICAS,
    PANIC_SINCE,
    PATIENCE,
    PATIENCE_SET,
    PLANNED,
    READY,
    REVIEW,
    REVIEW_SET,
    STABLE,
    TICK,
    TIMEOUT,
    WAITING,
    Cluster,
)
from sim.ticks import NEVER
from sim.units import IntArray

_INTERVALS = [MODE, TICK, LOOKS_BACK, PANIC_LOOKS]


def shut_down_after(cluster: Cluster, idle: int, boot: int, which: range, now: int) -> None:
    """Change when nodes shut down, from now on; who is empty counts as empty since now.

    Args:
        cluster: The cluster; its agenda has space for an event a node.
        idle: How long a node is empty before, ticks.
        boot: How long it takes to boot, beside what is drawn, ticks.
        which: Numbers of the nodes.
        now: Ticks; a window ended there.
    """
    nodes = cluster.nodes
    for node in which:
        nodes.idle[node], nodes.boot[node] = idle, boot
        nodes.empty_set[node] = 0  # an event that is on the agenda may come too late now
        if nodes.used[node] == 0 and nodes.boot_at[node] < NEVER:
            nodes.empty_since[node] = now
            watch_empty(cluster, node)


def retune(cluster: Cluster, app: int, terms: IntArray, now: int, hosted: bool) -> None:
    """Change the terms of an application from now on, as if they had always held.

    Waits and idle windows are measured from when they began. Replicas that are too many leave as
    they always do, those that are too few start at once or at the autoscaler's next look. It
    remembers what it saw unless its intervals are others: then it knows nothing, and looks when a
    whole interval has gone by.

    Args:
        cluster: The cluster; its agenda has space for a few events.
        app: The application.
        terms: Its new row of `Cluster.terms`; keep-alive or autoscaled as before.
        now: Ticks; a window ended there.
        hosted: Whether it was hosted before.
    """
    mine = cluster.apps[app]
    anew = (cluster.terms[app, _INTERVALS] != terms[_INTERVALS]).any()
    if terms[MODE] != KEEP_ALIVE:
        add_load(cluster, app, now)
    cluster.terms[app] = terms
    _drop(cluster, app, [PATIENCE, EXPIRE, *[REVIEW] * bool(anew)])
    mine[PATIENCE_SET] = mine[WAITING] > 0 and terms[TIMEOUT] < NEVER
    if mine[PATIENCE_SET]:
        ends = cluster.requests.asked[mine[FIRST]] + terms[TIMEOUT]
        plan(cluster, max(ends, now), PATIENCE, app)
    if terms[MODE] == KEEP_ALIVE:
        _retune_idle(cluster, app, now)
        if hosted:
            plan(cluster, now, HOST, app)
        return
    if mine[WAITING] > 0:
        plan(cluster, now, READY, app)
    if anew:
        _begin_anew(cluster, app, now, hosted)
    elif hosted:
        wake(cluster, app, now)


def _retune_idle(cluster: Cluster, app: int, now: int) -> None:
    """Plan the end of the first idle window anew."""
    mine, window = cluster.apps[app], cluster.terms[app, IDLE_WINDOW]
    mine[EXPIRE_SET] = mine[IDLE] > 0 and window < NEVER
    if mine[EXPIRE_SET]:
        plan(cluster, max(cluster.places.since[mine[HEAD]] + window, now), EXPIRE, app)


def _begin_anew(cluster: Cluster, app: int, now: int, hosted: bool) -> None:
    """Let an autoscaler forget what it saw."""
    mine, tick = cluster.apps[app], cluster.terms[app, TICK]
    cluster.buckets[app] = 0
    mine[[LOAD, BUCKET, STABLE, PANIC, PANIC_REPLICAS]] = 0
    mine[[ACTIVE_SINCE, PANIC_SINCE, IDLE_SINCE]] = NOBODY
    if hosted or mine[REVIEW_SET]:
        mine[REVIEW_SET] = 1
        plan(cluster, (now // tick + 1) * tick, REVIEW, app)


def _drop(cluster: Cluster, app: int, kinds: list[int]) -> None:
    """Take events of an application from the agenda."""
    world, agenda = cluster.world, cluster.agenda
    when, rank = (column[: world[PLANNED]].copy() for column in agenda)
    stays = ~np.isin(rank, [kind * KINDS_APART + app for kind in kinds])
    order = np.lexsort((rank[stays], when[stays]))  # in order: also a heap
    world[PLANNED] = len(order)
    for column, old in zip(agenda, (when, rank), strict=True):
        column[: len(order)] = old[stays][order]
