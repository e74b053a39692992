"""The applications of a cluster through their windows: requests in, what became of them out.

The kernel plays; here its arrays are filled, grown when they must, and read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.errors import EngineError
from sim.plan.calls import Calls
from sim.plan.reader import Reader
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
        self._levels = _levels(self.tenants)
        self._depth = np.zeros(count, np.int64)
        for depth, apps in enumerate(self._levels):
            self._depth[apps] = depth
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
            on: Whether they are on and stay so for ever, or until they are shut down first.
        """
        boot_at = self.now if on else NEVER
        idle = NEVER if on else idle
        values = (cores, ram_mb, boot_at, self.now, 0, self.now, idle, 0)
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

    def play(self, until: int) -> Window:
        """Play to the end of a window, ticks."""
        if until < self.now:
            raise EngineError(f"ends at {until}", "window", f"an end at {self.now} or later")
        self._take_requests(until)
        while not loop.has_space(self._state):
            self._grow()
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
        """Join what is left of the last window with what comes in the next one."""
        old, new = self._state.requests, self._new_requests(until)
        left = np.flatnonzero(old.outcome < 0)
        depth = self._depth[old.app[left]]
        moved = np.full(len(old.app) + 1, NOBODY)  # the last one stands for nobody
        parts: list[Requests] = []
        first: list[int] = []
        size = 0
        for level, came in enumerate(new):
            mine = left[depth == level]
            moved[mine] = size + np.arange(len(mine))
            parts += [Requests(*(column[mine] for column in old)), came]
            first.append(size + len(mine))
            size += len(mine) + len(came.app)
        for part in parts[::2]:
            part.then[:], part.behind[:] = moved[part.then], moved[part.behind]
        for level, came in enumerate(new[:-1]):
            came.then[came.then >= 0] += first[level + 1]
        self._renumber(moved, _joined(parts))
        self._state.world[[NEXT, LAST_ARRIVAL]] = first[0], first[0] + len(new[0].app)

    def _renumber(self, moved: IntArray, requests: Requests) -> None:
        """Use other requests, and other numbers of those that stay."""
        state = self._state
        computing = np.zeros(len(requests.app), np.int64)
        inside = state.world[COMPUTING]
        computing[:inside] = moved[state.computing[:inside]]
        waits = state.apps[:, WAITING] > 0
        for column in (FIRST, LAST):
            state.apps[:, column] = np.where(waits, moved[state.apps[:, column]], NOBODY)
        ranks = state.agenda.rank[: state.world[PLANNED]]
        calls = ranks // KINDS_APART == CALL
        ranks[calls] = CALL * KINDS_APART + moved[ranks[calls] % KINDS_APART]
        self._state = state._replace(requests=requests, computing=computing)

    def _new_requests(self, until: int) -> list[Requests]:
        """Return the requests that come before `until`, then those their results are, and so on."""
        heads = [(app, self.tenants[app].reader.until(until)) for app in self._levels[0]]
        levels = [_in_order(heads)]
        came = levels[0].arrival
        if len(came) and (came[0] < self.now or came[-1] >= until or (came[1:] < came[:-1]).any()):
            raise EngineError(
                "requests out of order or outside of it", "window",
                f"ascending ones from {self.now} to before {until}", [int(came[0]), int(came[-1])],
            )  # fmt: skip
        for apps in self._levels[1:]:
            callers = levels[-1]
            called = [self._called(callers, app) for app in apps]
            by = np.concatenate([by for _, by in called])
            order = np.argsort(by)
            callers.then[by[order]] = np.arange(len(by))
            requests = _joined([requests for requests, _ in called])
            levels.append(Requests(*(column[order] for column in requests)))
        return levels

    def _called(self, callers: Requests, app: int) -> tuple[Requests, IntArray]:
        """Return the requests to an application that others call, and by whom."""
        by = np.flatnonzero(
            np.array([t.then == app for t in self.tenants], np.bool_)[callers.app]
        )
        return _as_requests(app, self.tenants[app].reader.results(len(by))), by


def _levels(tenants: Sequence[Tenant]) -> list[list[int]]:
    """Return who is called by nobody, who by those, and so on."""
    calls = {app: t.then for app, t in enumerate(tenants) if t.then is not None}
    if not set(calls.values()) <= set(range(len(tenants))):
        raise EngineError("calls nobody", "chain", f"numbers of {len(tenants)} applications", calls)
    if len(set(calls.values())) < len(calls):
        raise EngineError("called by several", "chain", "one caller for each application")
    level = [app for app in range(len(tenants)) if app not in calls.values()]
    levels, known = [level], set(level)
    while level := [calls[app] for app in level if app in calls]:
        levels.append(level)
        known |= set(level)
    if len(known) < len(tenants):
        raise EngineError("calls itself", "chain", "a chain with a beginning")
    return levels


def _in_order(of_apps: list[tuple[int, Calls]]) -> Requests:
    """Return the requests to all applications in order of arrival, then of the applications."""
    merged = _joined([_as_requests(app, asked) for app, asked in of_apps])
    if len(of_apps) < 2:
        return merged
    order = np.argsort(merged.arrival, kind="stable")
    return Requests(*(column[order] for column in merged))


def _joined(parts: Sequence[Requests]) -> Requests:
    some = [part for part in parts if len(part.app)]
    if len(some) == 1:
        return some[0]
    return Requests(*(np.concatenate(c) for c in zip(no_requests(), *some, strict=True)))


def _as_requests(app: int, asked: Calls) -> Requests:
    requests = no_requests(len(asked.arrival))
    requests.app[:] = app
    for name, column in zip(Calls._fields, asked, strict=True):
        getattr(requests, name)[:] = column
    return requests


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
