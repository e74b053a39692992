"""Replicas of one application on its cluster, invocation by invocation.

One request a replica (OSCAR's container concurrency of 1). A request takes the replica that fell
idle last; else a new one is started (a cold start) if the application's maximum and the cluster's
cores allow; else it waits, first come first served. An idle replica goes after the idle window.
`async` jobs load their model each time: their idle window is zero. `exposed` applications keep
one replica for ever.
"""

from __future__ import annotations

from collections import deque

from sim.engine.logs import Logs, Replica, Served
from sim.engine.loop import Action, Loop, Order
from sim.entities import Application, ApplicationKind
from sim.plan.invocations import Invocations
from sim.units import SECONDS_PER_H, to_grid_h


class ClusterCores:
    """Cores of a cluster's nodes and how many of them replicas hold.

    Args:
        total: Cores there are now; grows when nodes join.
    """

    def __init__(self, total: int) -> None:
        """Start with nothing held."""
        self.total, self.held = total, 0
        self.tenants: list[ReplicaSet] = []

    def fits(self, cores: int) -> bool:
        """Return whether so many cores are free."""
        return self.held + cores <= self.total

    def freed(self) -> None:
        """Let the applications on the cluster start replicas for whoever waits, in order."""
        for tenant in self.tenants:
            if tenant.waiting:
                tenant.serve_waiting()


class ReplicaSet:
    """The replicas of one application.

    Args:
        loop: The event loop.
        use_case: Whose application.
        application: Its description.
        invocations: Who calls when.
        cores: The cluster it runs on.
        logs: The logs.
    """

    def __init__(
        self,
        loop: Loop,
        use_case: str,
        application: Application,
        invocations: Invocations,
        cores: ClusterCores,
        logs: Logs,
    ) -> None:
        """Store what is needed; `begin` schedules the first arrival."""
        self.loop, self.use_case, self.application = loop, use_case, application
        self.cores, self.logs, self.hosted_h = cores, logs, invocations.hosted_h
        self.arrival_h = invocations.arrival_h.tolist()
        self.service_h = invocations.service_h.tolist()
        self.cold_h = invocations.cold_h.tolist()
        window = 0.0 if application.kind is ApplicationKind.ASYNC else application.idle_window_s
        self.window_h = to_grid_h(window / SECONDS_PER_H)
        self.keep = 1 if application.kind is ApplicationKind.EXPOSED else 0
        self.idle: list[tuple[float, Action | None]] = []  # (replica's start, its expiry)
        self.busy: dict[int, tuple[float, float]] = {}  # invocation: (replica's start, computing)
        self.waiting: deque[int] = deque()
        self.count = 0
        cores.tenants.append(self)

    def begin(self) -> None:
        """Schedule hosting, which schedules the first arrival."""
        self.loop.at(self.hosted_h, Order.CAPACITY, self._host)

    def _host(self) -> None:
        for _ in range(self.keep):
            if self.cores.fits(self.application.cores):
                self._hold()
                self.idle.append((self.loop.now_h, None))
        self._schedule_arrival(0)

    def _schedule_arrival(self, index: int) -> None:
        if index < len(self.arrival_h):
            self.loop.at(self.arrival_h[index], Order.ARRIVAL, self._arrive, index)

    def _arrive(self, index: int) -> None:
        self._schedule_arrival(index + 1)
        self.waiting.append(index)
        self.serve_waiting()

    def serve_waiting(self) -> None:
        """Give replicas to those who wait, as far as there are any."""
        while self.waiting:
            now = self.loop.now_h
            if self.idle:
                started, expiry = self.idle.pop()
                self.loop.cancel(expiry)
                self._compute(self.waiting.popleft(), started, now, cold=False)
            elif self.count < self.application.max_replicas and self.cores.fits(
                self.application.cores
            ):
                self._hold()
                index = self.waiting.popleft()
                self._compute(index, now, now + self.cold_h[index], cold=True)
            else:
                return

    def _hold(self) -> None:
        self.count += 1
        self.cores.held += self.application.cores

    def _compute(self, index: int, replica_h: float, start_h: float, cold: bool) -> None:
        end_h = start_h + self.service_h[index]
        self.busy[index] = (replica_h, start_h)
        self.logs.served.append(Served(self.use_case, self.arrival_h[index], start_h, end_h, cold))
        self.loop.at(end_h, Order.RELEASE, self._finish, index)

    def _finish(self, index: int) -> None:
        started, _ = self.busy.pop(index)
        if self.waiting and (self.window_h > 0.0 or self.count <= self.keep):
            self.idle.append((started, None))
            self.serve_waiting()
        elif self.window_h == 0.0 and self.count > self.keep:
            self._remove(started)
        else:
            self._fall_idle(started)

    def _fall_idle(self, started: float) -> None:
        kept = sum(expiry is None for _, expiry in self.idle) < self.keep
        entry: tuple[float, Action | None]
        if kept:
            entry = (started, None)
        else:
            expiry = self.loop.at(
                self.loop.now_h + self.window_h, Order.RELEASE, self._expire, started
            )
            entry = (started, expiry)
        self.idle.append(entry)

    def _expire(self, started: float) -> None:
        position = next(i for i, (s, e) in enumerate(self.idle) if s == started and e is not None)
        self.idle.pop(position)
        self._remove(started)

    def _remove(self, started: float) -> None:
        self.count -= 1
        self.cores.held -= self.application.cores
        self.logs.replicas.append(Replica(self.use_case, started, self.loop.now_h))
        self.cores.freed()

    def finish(self) -> None:
        """Log the replicas that are still there at the horizon and count who still waits."""
        horizon = self.loop.horizon_h
        starts = [started for started, _ in self.idle] + [s for s, _ in self.busy.values()]
        self.logs.replicas.extend(Replica(self.use_case, s, horizon) for s in starts)
        self.logs.unserved[self.use_case] = len(self.waiting)
