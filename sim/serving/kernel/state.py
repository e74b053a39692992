"""What the kernel remembers of a cluster: applications, nodes, replicas, requests, events to come.

Arrays in named tuples, because that is what numba takes. Things are numbers: an application, a
node, a place (which holds a replica or nothing), a request. Times are in ticks.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from sim.ticks import NEVER
from sim.units import IntArray

NOBODY = -1
KINDS_APART = 2**40  # more than there are applications, nodes, places or requests


class Kind(IntEnum):
    """What happens, in the order in which it does at one instant."""

    EXPIRE = 0  # an idle window ends; by number of the application
    END = 1  # a request ends; the first begun is the first
    READY = 2  # a replica of an autoscaled application is ready; by number of the application
    HOST = 3  # an application is there from now on; from here on: not at the end of a window
    ARRIVAL = 4  # requests come; by number of the application
    CALL = 5  # a request comes again, or is called by the result of another; by its number
    PATIENCE = 6  # of who has waited longest ends
    REVIEW = 7  # an autoscaler looks
    EMPTY = 8  # a node has been empty for long enough


class Mode(IntEnum):
    """Who decides how many replicas there are."""

    KEEP_ALIVE = 0
    KNATIVE = 1
    EXPOSED = 2


class World(IntEnum):
    """Positions in `Cluster.world`."""

    SINCE = 0  # begin of the window
    UNTIL = 1  # its end
    NEXT = 2  # request to arrive next
    LAST = 3  # behind the last one to arrive
    COMPUTING = 4  # requests in `Cluster.computing`
    PLANNED = 5  # events in `Cluster.agenda`
    BEGUN = 6  # requests that got a replica so far
    FREE = 7  # free places
    PROVISIONED = 8  # ticks of nodes that are on, in this window
    SERVE_AT = 9  # when room was freed that may serve who waits; `NEVER` if not
    START_FOR = 10  # application whose replicas are to be started; `NOBODY` if none
    START_AT = 11  # and when
    WAITING_ALL = 12  # requests that wait


class Term(IntEnum):
    """Columns of `Cluster.terms`: what does not change about an application within a window.

    See `KeepAlive` and `Autoscaler`.
    """

    MODE = 0
    CORES = 1
    RAM = 2
    MIN_SCALE = 3
    MAX_SCALE = 4
    TIMEOUT = 5
    QUEUE = 6
    BACKOFF = 7
    BACKOFF_MOST = 8
    IDLE_WINDOW = 9
    NEWEST_FIRST = 10
    TICK = 11
    LOOKS_BACK = 12
    PANIC_LOOKS = 13
    PANIC_THRESHOLD = 14
    TARGET = 15
    CONCURRENCY = 16
    INITIAL_SCALE = 17
    UP_RATE = 18
    DOWN_RATE = 19
    TO_ZERO = 20


class App(IntEnum):
    """Columns of `Cluster.apps`: what does."""

    FIRST = 0  # request that has waited longest; `NOBODY`
    LAST = 1  # request that joined the line last
    WAITING = 2
    COMPUTING_OF = 3  # requests with a replica
    HEAD = 4  # oldest of the idle (keep-alive) or the living (autoscaled) replicas; `NOBODY`
    TAIL = 5  # newest
    IDLE = 6  # keep-alive: replicas without a request
    REPLICAS = 7  # all there are
    LIVING = 8  # autoscaled: those that are not leaving
    WORKING = 9  # autoscaled: those with a request
    STARTED = 10  # replicas started other than for a request, so far
    GIVEN = 11  # how many starts were drawn before those in `Cluster.starts`
    TO_START = 12  # replicas still to be started
    ALLOCATED = 13  # replica ticks in this window
    ACTIVE = 14  # computing ticks in this window
    EXPIRE_SET = 15  # 1 while there is such an event on the agenda
    PATIENCE_SET = 16
    REVIEW_SET = 17
    LOAD_SINCE = 18  # until when the load of this interval is summed up
    LOAD = 19  # the sum
    BUCKET = 20  # where the next bucket goes
    STABLE = 21  # sum of all buckets
    PANIC = 22  # sum of the newest few
    ACTIVE_SINCE = 23  # begin of the first bucket with load, after a stable window without; -1
    PANIC_SINCE = 24  # when load was last above the panic threshold; -1
    PANIC_REPLICAS = 25  # the most wanted since panic began
    IDLE_SINCE = 26  # since when none of the replicas has been wanted; -1


class Nodes(NamedTuple):
    """Nodes; shape (nodes,).

    Args:
        cores: Free cores, below zero after it lost some.
        ram: Free memory, MB, likewise.
        boot_at: When it was told to boot; `NEVER` if it is off.
        up_at: When it is or was up.
        used: Replicas on it.
        empty_since: When the last one left.
        idle: How long it is empty before it is shut down; `NEVER`.
        empty_set: 1 while there is such an event on the agenda.
        boot: How long it takes to boot, beside what is drawn.
    """

    cores: IntArray
    ram: IntArray
    boot_at: IntArray
    up_at: IntArray
    used: IntArray
    empty_since: IntArray
    idle: IntArray
    empty_set: IntArray
    boot: IntArray


class Places(NamedTuple):
    """Places for replicas; shape (places,).

    Args:
        app: Whose replica.
        node: Where.
        ready: When it is ready.
        load: How many requests it computes.
        leaving: 1 if it only finishes what it has.
        since: Since when it has been idle.
        older: The place before it in its application's list; `NOBODY`.
        newer: The one after it.
        free: Free places, a stack.
    """

    app: IntArray
    node: IntArray
    ready: IntArray
    load: IntArray
    leaving: IntArray
    since: IntArray
    older: IntArray
    newer: IntArray
    free: IntArray


class Requests(NamedTuple):
    """Requests of a window and those left from earlier ones; shape (requests,).

    Args:
        app: To which application.
        arrival: When it comes first; `NEVER` until it is called by a result.
        service: How long a replica computes.
        start: How long a replica takes to start its container and to load its model.
        pull: How long a node takes to pull the image.
        boot: How long a node takes to boot.
        fails: Attempts that fail before one succeeds; below zero: attempts, all of which fail.
        then: The request that its result is; `NOBODY`.
        asked: When it joined the line last.
        tries: Attempts that have failed.
        begin: When it began to compute last; `NEVER` before.
        end: When it ends, ended or was given up.
        order: How many requests had begun before it.
        place: Where it computes.
        met: Warm or cold.
        outcome: See `Outcome`.
        behind: Who waits behind it; `NOBODY`.
    """

    app: IntArray
    arrival: IntArray
    service: IntArray
    start: IntArray
    pull: IntArray
    boot: IntArray
    fails: IntArray
    then: IntArray
    asked: IntArray
    tries: IntArray
    begin: IntArray
    end: IntArray
    order: IntArray
    place: IntArray
    met: IntArray
    outcome: IntArray
    behind: IntArray


class Agenda(NamedTuple):
    """Events to come other than arrivals and ends, a heap; shape (events,).

    Args:
        when: When.
        rank: Kind times `KINDS_APART`, plus the number of what it happens to.
    """

    when: IntArray
    rank: IntArray


class Cluster(NamedTuple):
    """Everything.

    Args:
        world: See `World`.
        terms: See `Term`; shape (applications, columns).
        apps: See `App`; shape (applications, columns).
        buckets: Load of the last looks, a ring; shape (applications, looks).
        starts: How replicas start, pull, boot; shape (applications, starts, 3).
        cached_at: When a node has or had an image, else `NEVER`; shape (applications, nodes).
        nodes: Nodes.
        places: Places.
        requests: Requests.
        computing: Those that compute, a heap, the first to end on top.
        agenda: Events.
    """

    world: IntArray
    terms: IntArray
    apps: IntArray
    buckets: IntArray
    starts: IntArray
    cached_at: IntArray
    nodes: Nodes
    places: Places
    requests: Requests
    computing: IntArray
    agenda: Agenda


(SINCE, UNTIL, NEXT, LAST_ARRIVAL, COMPUTING, PLANNED, BEGUN, FREE, PROVISIONED, SERVE_AT,
 START_FOR, START_AT, WAITING_ALL) = (int(c) for c in World)  # fmt: skip
EXPIRE, END, READY, HOST, ARRIVAL, CALL, PATIENCE, REVIEW, EMPTY = (int(c) for c in Kind)
KEEP_ALIVE, KNATIVE, EXPOSED = (int(c) for c in Mode)
(MODE, CORES, RAM, MIN_SCALE, MAX_SCALE, TIMEOUT, QUEUE, BACKOFF, BACKOFF_MOST, IDLE_WINDOW,
 NEWEST_FIRST, TICK, LOOKS_BACK, PANIC_LOOKS, PANIC_THRESHOLD, TARGET, CONCURRENCY,
 INITIAL_SCALE, UP_RATE, DOWN_RATE, TO_ZERO) = (int(c) for c in Term)  # fmt: skip
(FIRST, LAST, WAITING, COMPUTING_OF, HEAD, TAIL, IDLE, REPLICAS, LIVING, WORKING, STARTED, GIVEN,
 TO_START, ALLOCATED, ACTIVE, EXPIRE_SET, PATIENCE_SET, REVIEW_SET, LOAD_SINCE, LOAD, BUCKET,
 STABLE, PANIC, ACTIVE_SINCE, PANIC_SINCE, PANIC_REPLICAS,
 IDLE_SINCE) = (int(c) for c in App)  # fmt: skip


def no_nodes() -> Nodes:
    """Return no nodes."""
    return Nodes._make(np.zeros((len(Nodes._fields), 0), np.int64))


def no_requests(size: int = 0) -> Requests:
    """Return requests about which nothing is known, each to be filled in."""
    columns = Requests._make(np.zeros(size, np.int64) for _ in Requests._fields)
    for column in (columns.then, columns.place, columns.behind, columns.outcome):
        column[:] = NOBODY
    columns.begin[:] = columns.end[:] = NEVER
    return columns


def free_places(size: int) -> Places:
    """Return places, all of them free."""
    columns = [np.zeros(size, np.int64) for _ in Places._fields]
    columns[-1][:] = np.arange(size)[::-1]
    return Places._make(columns)


def no_apps(count: int) -> IntArray:
    """Return what changes about applications, before anything has; shape (count, columns)."""
    apps = np.zeros((count, len(App)), np.int64)
    apps[:, [FIRST, LAST, HEAD, TAIL, ACTIVE_SINCE, PANIC_SINCE, IDLE_SINCE]] = NOBODY
    return apps


def no_world(places: int) -> IntArray:
    """Return the world before anything has happened; shape (columns,)."""
    world = np.zeros(len(World), np.int64)
    world[FREE], world[SERVE_AT], world[START_FOR] = places, NEVER, NOBODY
    return world
