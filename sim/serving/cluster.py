"""The applications of a cluster through their windows: requests in, what became of them out.

The kernel plays; here its arrays are filled, grown when they must, and read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sim.errors import EngineError
from sim.plan.reader import Reader
from sim.serving import changes
from sim.serving.intake import Intake
from sim.serving.kernel import loop
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.queues import plan
from sim.serving.kernel.scaling import MILLI, Autoscaler
from sim.serving.kernel.state import (
    ACTIVE,
    ALLOCATED,
    CALL,
    COMPUTING,
    FIRST,
    FREE,
    GIVEN,
    HOST,
    KINDS_APART,
    LAST,
    LAST_ARRIVAL,
    NEXT,
    NOBODY,
    PLANNED,
    PROVISIONED,
    REPLICAS,
    START_FOR,
    STARTED,
    WAITING,
    WAITING_ALL,
    Agenda,
    Cluster,
    Mode,
    Nodes,
    Requests,
    Term,
    free_places,
    no_apps,
    no_nodes,
    no_requests,
    no_world,
)
from sim.ticks import NEVER, TICKS_PER_S
from sim.units import IntArray

DrawStarts = Callable[[int, int], IntArray]


@dataclass(frozen=True, eq=False)
class Tenant:
    """An application on a cluster.

    Args:
        policy: How its replicas come and go.
        cores: Cores of a replica.
        ram_mb: Memory of a replica, MB.
        reader: Its requests; of one that is called by others the durations.
        draw_starts: Returns how replicas start that are not started for a request, from a number
            on, so many: container and model, image, node; shape (count, 3), ticks.
        hosted: From when on it is there, ticks.
        then: Number of the application that its results call; each is called by one at most.
        backoff: Pause before a failed attempt is repeated, doubled each time, ticks (Kubernetes).
        backoff_most: The longest such pause.
    """

    policy: KeepAlive | Autoscaler
    cores: int
    ram_mb: int
    reader: Reader
    draw_starts: DrawStarts
    hosted: int = 0
    then: int | None = None
    backoff: int = 10 * TICKS_PER_S
    backoff_most: int = 360 * TICKS_PER_S


@dataclass(frozen=True, eq=False)
class Done:
    """What became of requests; shape (requests,), times in ticks.

    Args:
        app: Number of the application.
        arrival: When it came first.
        begin: When it began to compute last, or was given up.
        end: When it ended, or was given up.
        outcome: See `Outcome`.
    """

    app: IntArray
    arrival: IntArray
    begin: IntArray
    end: IntArray
    outcome: IntArray

    def by_app(self, count: int) -> list[Done]:
        """Return those of each of `count` applications."""
        if not len(self.app):
            return [self] * count
        order = np.argsort(self.app, kind="stable")
        edges = np.searchsorted(self.app[order], np.arange(count + 1))
        columns = (self.app, self.arrival, self.begin, self.end, self.outcome)
        sorted_ = [column[order] for column in columns]
        return [Done(*(c[a:b] for c in sorted_)) for a, b in pairwise(edges.tolist())]


@dataclass(frozen=True, eq=False)
class Window:
    """What happened on a cluster in a window; times in ticks.

    Args:
        provisioned: Ticks of nodes that are on.
        nodes_on: Nodes that are on at its end.
        allocated: Replica ticks of each application; shape (applications,), as the next three.
        active: Computing ticks.
        replicas: Replicas at its end.
        waiting: Requests that wait at its end.
        done: Requests that ended, were given up or turned away in it.
    """

    provisioned: int
    nodes_on: int
    allocated: IntArray
    active: IntArray
    replicas: IntArray
    waiting: IntArray
    done: Done


class ServingCluster:
    """Applications on nodes.

    Args:
        tenants: The applications.
        now: Begin, ticks.
        starts_ahead: Starts of replicas that are drawn at a time.
    """

    def __init__(self, tenants: Sequence[Tenant], now: int = 0, starts_ahead: int = 64) -> None:
        """Start without nodes."""
        self.tenants, self.now = list(tenants), now
        count = len(self.tenants)
        self._intake = Intake([t.reader for t in tenants], [t.then for t in tenants])
        looks = max([_looks_back(t.policy) for t in self.tenants], default=0)
        events = np.zeros((2, 4 * count + 64), np.int64)
        self._state = Cluster(
            no_world(64),
            np.array([_terms(t) for t in self.tenants], np.int64).reshape(count, len(Term)),
            no_apps(count), np.zeros((count, looks), np.int64),
            np.zeros((count, starts_ahead, 3), np.int64), np.zeros((count, 0), np.int64),
            no_nodes(), free_places(64), no_requests(), np.zeros(0, np.int64), Agenda(*events),
        )  # fmt: skip
        for app, tenant in enumerate(self.tenants):
            self._state.starts[app] = tenant.draw_starts(0, starts_ahead)
            if tenant.hosted < NEVER:
                plan(self._state, max(tenant.hosted, now), HOST, app)

    def add_nodes(
        self, count: int, cores: int, ram_mb: int, idle: int = NEVER, on: bool = True
    ) -> None:
        """Add nodes, from now on.

        Args:
            count: How many.
            cores: Cores of each.
            ram_mb: Memory of each, MB.
            idle: How long one is empty before it is shut down, ticks.
            on: Whether they are on and stay so, or are off until they are wanted.
        """
        boot_at = self.now if on else NEVER
        idle = NEVER if on else idle
        values = (cores, ram_mb, boot_at, self.now, 0, self.now, idle, 0, 0)
        old = self._state.nodes
        nodes = Nodes(
            *(np.append(c, np.full(count, v)) for c, v in zip(old, values, strict=True))
        )
        images = np.full((len(self.tenants), count), NEVER)
        self._state = self._state._replace(
            nodes=nodes, cached_at=np.hstack([self._state.cached_at, images])
        )

    def resize(self, cores: IntArray, ram_mb: IntArray) -> None:
        """Add to the room on each node from now on, or take from it; shape (nodes,)."""
        self._state.nodes.cores[:] += cores
        self._state.nodes.ram[:] += ram_mb

    def shut_down_after(self, idle: int, boot: int, which: range) -> None:
        """Shut nodes down when they are empty for so long; from now on, whatever held before.

        Args:
            idle: For how long, ticks; those that are empty count as empty since now.
            boot: How long they take to boot, beside what is drawn, ticks.
            which: Their numbers.
        """
        self._have_space()
        changes.shut_down_after(self._state, idle, boot, which, self.now)

    def retune(self, app: int, policy: KeepAlive | Autoscaler) -> None:
        """Let the replicas of an application come and go by another policy from now on.

        Raises:
            EngineError: When it would have to be an autoscaler instead of keep-alive, or the other
                way round.
        """
        tenant = replace(self.tenants[app], policy=policy)
        if isinstance(policy, KeepAlive) != isinstance(self.tenants[app].policy, KeepAlive):
            raise EngineError("another kind of policy", f"application {app}", "the same", policy)
        terms, hosted = np.array(_terms(tenant), np.int64), tenant.hosted < self.now
        self.tenants[app] = tenant
        more = max(_looks_back(policy) - self._state.buckets.shape[1], 0)
        room = np.zeros((len(self.tenants), more), np.int64)
        self._state = self._state._replace(buckets=np.hstack([self._state.buckets, room]))
        self._have_space()
        changes.retune(self._state, app, terms, self.now, hosted)

    def play(self, until: int) -> Window:
        """Play to the end of a window, ticks."""
        if until < self.now:
            raise EngineError(f"ends at {until}", "window", f"an end at {self.now} or later")
        self._take_requests(until)
        self._have_space()
        loop.open_window(self._state, self.now, until)
        while not loop.play_window(self._state):
            self._grow()
        self.now = until
        state = self._state
        requests, apps = state.requests, state.apps
        done = (requests.outcome >= 0) & (requests.outcome != Outcome.NOT_CALLED)
        return Window(
            int(state.world[PROVISIONED]),
            int((state.nodes.boot_at < NEVER).sum()),
            apps[:, ALLOCATED].copy(),
            apps[:, ACTIVE].copy(),
            apps[:, REPLICAS].copy(),
            apps[:, WAITING].copy(),
            _done(requests, np.flatnonzero(done), requests.outcome),
        )

    def still_computing(self) -> Done:
        """Return the requests that compute or have a replica that starts, with the end to come."""
        state = self._state
        found = np.sort(state.computing[: state.world[COMPUTING]])
        return _done(state.requests, found, state.requests.met)

    def unanswered(self) -> IntArray:
        """Return the requests to each application that came and have no end yet; by application."""
        requests = self._state.requests
        open_ = (requests.outcome < 0) & (requests.arrival < NEVER)
        return np.bincount(requests.app[open_], minlength=len(self.tenants))

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return int(self._state.world[WAITING_ALL])

    def _have_space(self) -> None:
        while not loop.has_space(self._state):
            self._grow()

    def _grow(self) -> None:
        """Give the kernel what it stopped for the want of."""
        state = self._state
        if state.world[FREE] == 0:
            size = len(state.places.app)
            more = free_places(2 * size)
            for new, old in zip(more[:-1], state.places[:-1], strict=True):
                new[:size] = old
            more.free[:size] = np.arange(size, 2 * size)[::-1]
            state.world[FREE] = size
            self._state = state._replace(places=more)
        elif not loop.has_space(state):
            spare = np.zeros(len(state.agenda.when) + len(state.nodes.used), np.int64)
            agenda = Agenda(*(np.append(column, spare) for column in state.agenda))
            self._state = state._replace(agenda=agenda)
        else:
            app = state.world[START_FOR]
            first = state.apps[app, GIVEN] = state.apps[app, STARTED]
            drawn = self.tenants[app].draw_starts(int(first), state.starts.shape[1])
            state.starts[app] = drawn

    def _take_requests(self, until: int) -> None:
        """Use the requests of the next window, and other numbers of those that stay."""
        taken = self._intake.take(self._state.requests, self.now, until)
        state, moved = self._state, taken.moved
        state.world[[NEXT, LAST_ARRIVAL]] = taken.first, taken.last
        if taken.requests is state.requests:  # nobody was left, and nobody comes
            return
        computing = np.zeros(len(taken.requests.app), np.int64)
        inside = state.world[COMPUTING]
        computing[:inside] = moved[state.computing[:inside]]
        waits = state.apps[:, WAITING] > 0
        for column in (FIRST, LAST):
            state.apps[:, column] = np.where(waits, moved[state.apps[:, column]], NOBODY)
        ranks = state.agenda.rank[: state.world[PLANNED]]
        calls = ranks // KINDS_APART == CALL
        ranks[calls] = CALL * KINDS_APART + moved[ranks[calls] % KINDS_APART]
        self._state = state._replace(requests=taken.requests, computing=computing)


def _done(requests: Requests, which: IntArray, outcome: IntArray) -> Done:
    columns = [requests.app, requests.arrival, requests.begin, requests.end, outcome]
    if len(which) < len(outcome):
        columns = [column[which] for column in columns]
    return Done(*columns)


def _looks_back(policy: KeepAlive | Autoscaler) -> int:
    return 0 if isinstance(policy, KeepAlive) else policy.stable_window // policy.tick_interval


def _terms(tenant: Tenant) -> list[int]:
    """Return a row of `Cluster.terms`."""
    policy = tenant.policy
    common = [tenant.cores, tenant.ram_mb, policy.min_scale, policy.max_scale, policy.timeout,
              policy.queue, tenant.backoff, tenant.backoff_most]  # fmt: skip
    if isinstance(policy, KeepAlive):
        return [Mode.KEEP_ALIVE, *common, policy.idle_window, policy.newest_first, *[0] * 10]
    panic_looks = policy.panic_window // policy.tick_interval
    if not 1 <= (1 if policy.exposed else panic_looks) <= _looks_back(policy):
        expected = "no shorter than a panic window, which is no shorter than the interval"
        raise EngineError("stable window too short", "autoscaler", expected, policy)
    if policy.max_scale_down_rate <= MILLI and not policy.exposed:
        raise EngineError("never scales to zero", "autoscaler", "a rate above 1", policy)
    mode = Mode.EXPOSED if policy.exposed else Mode.KNATIVE
    return [mode, *common, 0, 0, policy.tick_interval, _looks_back(policy), panic_looks,
            policy.panic_threshold, policy.target, policy.container_concurrency,
            policy.initial_scale, policy.max_scale_up_rate, policy.max_scale_down_rate,
            policy.scale_to_zero]  # fmt: skip
