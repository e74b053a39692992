"""Applications of the twin: a process per replica, which sleeps until its bell or its window."""

from __future__ import annotations

from collections import deque

import simpy

from benchmarks.twin.deployments import Process
from sim.engine.logs import Logs, Replica, Served
from sim.entities import Application, ApplicationKind
from sim.plan.invocations import Invocations
from sim.units import SECONDS_PER_H, to_grid_h


class TwinCluster:
    """The cores of a cluster and its applications."""

    def __init__(self) -> None:
        """Start without cores; they come with the applications."""
        self.cores = self.held = 0
        self.applications: list[TwinApplication] = []

    def resize(self, env: simpy.Environment, time_h: float, cores: int) -> Process:
        """Give the cluster so many cores from a time on."""
        yield env.timeout(max(time_h, 0.0))
        self.cores = cores
        self.serve()

    def serve(self) -> None:
        """Let each application serve whoever waits."""
        for application in self.applications:
            application.serve()


class TwinApplication:
    """One application.

    Args:
        env: The SimPy environment.
        use_case: Whose application.
        application: Its description.
        calls: Who calls when.
        cluster: Where it runs.
        logs: The logs.
    """

    def __init__(
        self, env: simpy.Environment, use_case: str, application: Application, calls: Invocations,
        cluster: TwinCluster, logs: Logs,
    ) -> None:
        """Store what is needed; `arrivals` is the process to start."""
        self.env, self.use_case, self.application = env, use_case, application
        self.calls, self.cluster, self.logs = calls, cluster, logs
        window = 0.0 if application.kind is ApplicationKind.ASYNC else application.idle_window_s
        self.window_h = to_grid_h(window / SECONDS_PER_H)
        self.keep = 1 if application.kind is ApplicationKind.EXPOSED else 0
        self.waiting: deque[int] = deque()
        self.idle: list[tuple[simpy.Event, bool]] = []  # its bell; whether it is the kept one
        self.alive: dict[int, float] = {}
        self.started = 0
        cluster.applications.append(self)

    def arrivals(self) -> Process:
        """Host the application, then let each invocation arrive at its time."""
        yield self.env.timeout(self.calls.hosted_h)
        for _ in range(self.keep):
            if self.room():
                self.begin(None)
        for index, time_h in enumerate(self.calls.arrival_h.tolist()):
            yield self.env.timeout(time_h - self.env.now)
            self.waiting.append(index)
            self.serve()

    def room(self) -> bool:
        """Return whether the cluster has cores for one replica more."""
        return self.cluster.held + self.application.cores <= self.cluster.cores

    def serve(self) -> None:
        """Give replicas to those who wait: one that is idle, else a new one."""
        while self.waiting:
            if self.idle:
                bell, _ = self.idle.pop()
                bell.succeed(self.waiting.popleft())
            elif len(self.alive) < self.application.max_replicas and self.room():
                self.begin(self.waiting.popleft())
            else:
                return

    def begin(self, call: int | None) -> None:
        """Start a replica for an invocation, or the kept one for none."""
        self.cluster.held += self.application.cores
        self.started += 1
        self.alive[self.started] = self.env.now
        if call is not None:
            start_h = self.env.now + float(self.calls.cold_h[call])
            self.log(call, start_h, cold=True)
        self.env.process(self.replica(self.started, call))

    def log(self, call: int, start_h: float, cold: bool) -> None:
        """Log an invocation that has its replica."""
        end_h = start_h + float(self.calls.service_h[call])
        arrival_h = float(self.calls.arrival_h[call])
        self.logs.served.append(Served(self.use_case, arrival_h, start_h, end_h, cold))

    def replica(self, number: int, call: int | None) -> Process:
        """Compute, fall idle, compute again or go."""
        if call is not None:
            yield self.env.timeout(float(self.calls.cold_h[call]))
        while True:
            if call is not None:
                yield self.env.timeout(float(self.calls.service_h[call]))
            spare = len(self.alive) > self.keep
            if self.waiting and (self.window_h > 0.0 or not spare):
                call = self.waiting.popleft()
                self.log(call, self.env.now, cold=False)
                continue
            if self.window_h == 0.0 and spare:
                break
            kept = sum(k for _, k in self.idle) < self.keep
            bell = self.env.event()
            self.idle.append((bell, kept))
            yield bell if kept else bell | self.env.timeout(self.window_h)
            if not bell.triggered:
                self.idle.remove((bell, kept))
                break
            call = bell.value
            self.log(call, self.env.now, cold=False)
        self.logs.replicas.append(Replica(self.use_case, self.alive.pop(number), self.env.now))
        self.cluster.held -= self.application.cores
        self.cluster.serve()

    def finish(self, horizon_h: float) -> None:
        """Log the replicas there are at the horizon and count who still waits."""
        for started_h in self.alive.values():
            self.logs.replicas.append(Replica(self.use_case, started_h, horizon_h))
        self.logs.unserved[self.use_case] = len(self.waiting)
