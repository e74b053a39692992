"""Autoscaled replicas once more in plain SimPy: a process for each request and each replica."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import simpy

from benchmarks.twin.deployments import Process
from benchmarks.twin.keepalive import At, Row, TwinNode
from sim.engine.loop import Order
from sim.plan.calls import Calls
from sim.serving.kernel.outcome import Outcome
from sim.serving.scaled_state import Starts
from sim.serving.kernel.scaling import TOLERANCE, UP_TO_MORE, UP_TO_TIMES, Autoscaler
from sim.ticks import NEVER

READY = 2.5  # between what ends and changes of capacity


@dataclass(eq=False)
class TwinReplica:
    """A replica that takes requests when it is ready."""

    node: TwinNode
    born: int
    ready_at: int
    load: int = 0
    leaving: bool = False


@dataclass
class Looks:
    """What the autoscaler has seen: loads of intervals, and what it wanted."""

    loads: list[int] = field(default_factory=list)
    since: int | None = None  # begin of the first interval with load
    panic: int | None = None
    most: int = 0
    idle: int | None = None
    wanted: list[int] = field(default_factory=list)


class TwinAutoscaled:
    """Plays requests against replicas that an autoscaler starts and stops.

    Args:
        scaler: Parameters.
        requests: Who asks.
        starts: How replicas start, in order.
        nodes: In the order in which they are tried.
        changes: Times, ascending, and the room on each node from then on.
        horizon: End, ticks.
        sleeps: Whether the autoscaler sleeps while it would find nothing.
    """

    def __init__(
        self, scaler: Autoscaler, requests: Calls, starts: Starts, nodes: Sequence[TwinNode],
        changes: Iterable[tuple[int, Sequence[int]]], horizon: int, sleeps: bool,
    ) -> None:
        """Start the processes."""
        self.env, self.scaler, self.horizon = simpy.Environment(), scaler, horizon
        self.columns = [column.tolist() for column in requests]
        self.starts = [column.tolist() for column in starts]
        self.nodes, self.sleeps, self.looks = list(nodes), sleeps, Looks()
        self.rows: list[Row] = []
        self.line: deque[tuple[int, simpy.Event]] = deque()
        self.living: list[TwinReplica] = []
        self.leaving: list[TwinReplica] = []
        self.started = self.allocated = self.active = self.computing = 0
        self.load = self.load_since = 0
        self.activity = self.env.event()
        self.start(min(max(scaler.initial_scale, scaler.min_scale), scaler.max_scale))
        self.env.process(self.arrivals())
        self.env.process(self.capacity(list(changes)))
        self.env.process(self.autoscaler())

    def play(self) -> None:
        """Play to the horizon, with what ends then."""
        self.env.run(until=self.horizon + 1)
        for replica in (*self.living, *self.leaving):
            self.allocated += self.horizon - replica.born

    def arrivals(self) -> Process:
        """Let requests come."""
        for request, time in enumerate(self.columns[0]):
            if time >= self.horizon:
                return
            yield At(self.env, time, Order.ARRIVAL)
            self.env.process(self.request(request))

    def capacity(self, changes: list[tuple[int, Sequence[int]]]) -> Process:
        """Change the room on the nodes."""
        for time, rooms in changes:
            yield At(self.env, time, Order.CAPACITY)
            for node, room in zip(self.nodes, rooms, strict=True):
                node.room = room
            for replica in reversed(list(self.living)):
                too_many = len(self.living) > self.scaler.max_scale
                if too_many or replica.node.count > replica.node.room:
                    self.dismiss(replica)
            self.start_first()

    def request(self, request: int) -> Process:
        """Live through a request: wait for a ready replica, compute."""
        now, served = self.env.now, self.env.event()
        self.sum_up()
        self.wake()
        entry = (request, served)
        alone = not self.line
        self.line.append(entry)
        if alone:
            self.assign()
        if not served.triggered:
            if len(self.line) > self.scaler.queue:
                self.line.remove(entry)
                self.rows.append((request, now, now, Outcome.REJECTED))
                return
            self.start_first()
            patience = now + self.scaler.timeout
            if patience < self.horizon:
                yield served | At(self.env, patience, Order.PATIENCE)
                if not served.triggered:
                    self.sum_up()
                    self.line.remove(entry)
                    self.rows.append((request, patience, patience, Outcome.TIMEOUT))
                    return
        replica, begin = yield served
        yield At(self.env, begin + self.columns[1][request], Order.RELEASE)
        self.sum_up()
        self.computing -= 1
        replica.load -= 1
        if replica.load == 0:
            self.active -= self.horizon - self.env.now
            if replica.leaving:
                self.leaving.remove(replica)
                self.remove(replica)
                self.start_first()
        self.assign()

    def assign(self) -> None:
        """Give requests that wait to the oldest ready replicas with room."""
        now = self.env.now
        for replica in self.living:
            while (
                self.line
                and replica.ready_at <= now
                and replica.load < self.scaler.container_concurrency
            ):
                request, served = self.line.popleft()
                if replica.load == 0:
                    self.active += self.horizon - now
                replica.load += 1
                self.computing += 1
                cold = replica.ready_at > self.columns[0][request]
                outcome = Outcome.COLD if cold else Outcome.WARM
                self.rows.append((request, now, now + self.columns[1][request], outcome))
                served.succeed((replica, now))

    def start_first(self) -> None:
        """Start a replica if somebody waits and there is none."""
        if self.line and not self.living:
            self.start(min(1, self.scaler.max_scale))

    def start(self, count: int) -> None:
        """Start replicas, as far as there is room."""
        for _ in range(count):
            node = next((n for n in self.nodes if n.count < n.room), None)
            if node is None:
                return
            start, pull, boot = (column[self.started] for column in self.starts)
            self.started += 1
            node.count += 1
            if node.boot_at == NEVER:
                node.boot_at, node.up_at = self.env.now, self.env.now + boot
            up = max(self.env.now, node.up_at)
            if node.cached_at == NEVER:
                node.cached_at = up + pull
            replica = TwinReplica(node, self.env.now, max(up, node.cached_at) + start)
            self.living.append(replica)
            self.env.process(self.become_ready(replica))

    def become_ready(self, replica: TwinReplica) -> Process:
        """Start, then take requests."""
        yield At(self.env, replica.ready_at, READY)  # type: ignore[arg-type]
        self.sum_up()
        self.assign()

    def dismiss(self, replica: TwinReplica) -> None:
        """Let a replica go when it has finished what it has."""
        self.living.remove(replica)
        if replica.load:
            replica.leaving = True
            self.leaving.append(replica)
        else:
            self.remove(replica)

    def remove(self, replica: TwinReplica) -> None:
        """Count a replica and forget it."""
        replica.node.count -= 1
        replica.node.used_at = self.env.now
        self.allocated += self.env.now - replica.born

    def sum_up(self) -> None:
        """Add to the load of this interval."""
        now = self.env.now
        if self.scaler.exposed:
            load = sum(replica.load > 0 for replica in (*self.living, *self.leaving))
        else:
            load = len(self.line) + self.computing
        self.load += load * (now - self.load_since)
        self.load_since = now

    def wake(self) -> None:
        """Wake the autoscaler."""
        if not self.activity.triggered:
            self.activity.succeed()

    def autoscaler(self) -> Process:
        """Look at every whole multiple of the interval."""
        step, tick = self.scaler.tick_interval, 0
        while True:
            if self.sleeps and self.at_rest():
                self.activity = self.env.event()
                yield self.activity
                tick = -(-self.env.now // step) * step
            if tick >= self.horizon:
                return
            yield At(self.env, tick, Order.REVIEW)
            self.sum_up()
            exposed = self.scaler.exposed
            wanted = max(self.by_computing(), 1) if exposed else self.by_concurrency()
            self.load = 0
            wanted = min(max(wanted, self.scaler.min_scale), self.scaler.max_scale)
            while len(self.living) > wanted:
                self.dismiss(self.living[-1])
            self.start(wanted - len(self.living))
            tick += step

    def at_rest(self) -> bool:
        """Return whether a look would change nothing."""
        looks = self.scaler.stable_window // self.scaler.tick_interval
        busy = self.living or self.line or self.computing or self.load
        rest = not any(self.looks.loads[-looks:]) and self.looks.panic is None
        return not busy and rest and self.scaler.min_scale == 0 and not self.scaler.exposed

    def ready(self) -> int:
        """Return how many living replicas are ready."""
        return sum(replica.ready_at <= self.env.now for replica in self.living)

    def by_concurrency(self) -> int:
        """Return what Knative's autoscaler wants."""
        s, looks, now = self.scaler, self.looks, self.env.now
        size = s.stable_window // s.tick_interval
        if self.load and not any(looks.loads[-size:]):
            looks.since = now - s.tick_interval
        looks.loads.append(self.load)
        known = now - looks.since if looks.since is not None else s.tick_interval
        target, some = Fraction(s.target, 1000), max(self.ready(), 1)

        def over(window: int) -> int:
            seen = sum(looks.loads[-(window // s.tick_interval) :])
            return ceil(Fraction(seen, min(known, window)) / target)

        stable, panic = over(s.stable_window), over(s.panic_window)
        most = ceil(Fraction(s.max_scale_up_rate, 1000) * some)
        least = int(some / Fraction(s.max_scale_down_rate, 1000))
        wanted = min(max(stable, least), most)
        if Fraction(panic, some) >= Fraction(s.panic_threshold, 1000):
            looks.panic = now
        elif looks.panic is not None and now > looks.panic + s.stable_window:
            looks.panic, looks.most = None, 0
        if looks.panic is not None:
            looks.most = wanted = max(wanted, min(max(panic, least), most), looks.most)
        if wanted or self.line or self.computing:
            looks.idle = None
            return max(wanted, 1)
        if not self.living:
            return 0
        looks.idle = now if looks.idle is None else looks.idle
        return int(now - looks.idle < s.scale_to_zero)

    def by_computing(self) -> int:
        """Return what the horizontal pod autoscaler wants."""
        s, living, ready = self.scaler, len(self.living), self.ready()
        wanted = living
        if ready:
            share = 1000 * self.load // (ready * s.tick_interval)
            if abs(Fraction(share, s.target) - 1) > Fraction(TOLERANCE, 1000):
                wanted = ceil(Fraction(1000 * self.load, s.tick_interval * s.target))
        wanted = min(wanted, max(UP_TO_TIMES * living, living + UP_TO_MORE))
        self.looks.wanted.append(wanted)
        return max(self.looks.wanted[-(s.stable_window // s.tick_interval) :])
