"""What the twin's applications have in common: the life of a request, from coming to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from benchmarks.twin.deployments import Process
from benchmarks.twin.instants import At, Kind
from benchmarks.twin.nodes import TwinNode, TwinNodes, TwinReplica
from sim.plan.calls import Calls
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.scaling import Autoscaler
from sim.ticks import NEVER, TICKS_PER_S

Row = tuple[int, int, int, int, int]  # application, arrival, begin, end, outcome


@dataclass(frozen=True)
class TwinTenant:
    """An application on the twin's cluster; see `sim.serving.cluster.Tenant`.

    Args:
        policy: How its replicas come and go.
        cores: Cores of a replica.
        ram_mb: Memory of a replica, MB.
        calls: Its requests; of one that is called by others all it could be called.
        starts: How replicas start that are not started for a request: container and model, image,
            node; from the beginning again when all were used.
        hosted: From when on it is there, ticks.
        then: Number of the application that its results call.
        backoff: Pause before a failed attempt is repeated, doubled each time, ticks.
        backoff_most: The longest such pause.
    """

    policy: KeepAlive | Autoscaler
    cores: int
    ram_mb: int
    calls: Calls
    starts: Sequence[tuple[int, int, int]]
    hosted: int = 0
    then: int | None = None
    backoff: int = 10 * TICKS_PER_S
    backoff_most: int = 360 * TICKS_PER_S


@dataclass(eq=False)
class TwinRequest:
    """A request.

    Args:
        arrival: When it comes first, ticks; `NEVER` until it is called by a result.
        service: How long a replica computes.
        delays: How a replica starts that is started for it.
        fails: Attempts that fail before one succeeds; below zero: attempts, all of which fail.
        number: Its place among those called at one instant.
        then: The request that its result is.
        asked: When it came last.
        tries: Attempts that failed.
        served: Is triggered when it gets a replica.
    """

    arrival: int
    service: int
    delays: tuple[int, int, int]
    fails: int
    number: int = 0
    then: tuple[TwinApplication, TwinRequest] | None = None
    asked: int = 0
    tries: int = 0
    served: simpy.Event | None = None


class Journal:
    """What happened on the cluster: who began how many-th, what became of requests."""

    def __init__(self) -> None:
        """Begin."""
        self.begun = 0
        self.rows: list[Row] = []


class TwinApplication(ABC):
    """An application: who waits, who computes, on which replicas.

    Args:
        env: The SimPy environment.
        number: Its number.
        tenant: What it is.
        nodes: Where its replicas start.
        journal: What happened.
    """

    def __init__(
        self, env: simpy.Environment, number: int, tenant: TwinTenant, nodes: TwinNodes,
        journal: Journal,
    ) -> None:
        """Begin without replicas."""
        self.env, self.number, self.tenant = env, number, tenant
        self.nodes, self.journal = nodes, journal
        self.line: deque[TwinRequest] = deque()
        self.replicas: list[TwinReplica] = []
        self.computing = self.started = self.allocated = self.active = 0
        self.policy, self.retuned = tenant.policy, env.event()
        if tenant.hosted < NEVER:
            env.process(self.hosting())

    @abstractmethod
    def come(self, request: TwinRequest) -> bool:
        """Give a request a replica or a place in the line; False if it is turned away."""

    @abstractmethod
    def release(self, replica: TwinReplica) -> None:
        """Take a request that has ended from its replica."""

    @abstractmethod
    def host(self) -> None:
        """Start the first replicas."""

    @abstractmethod
    def make_room(self) -> None:
        """Let replicas go for which nodes have no room any more."""

    @abstractmethod
    def adapt(self, policy: Any, hosted: bool) -> None:
        """Go by another policy from now on."""

    def retune(self, policy: KeepAlive | Autoscaler) -> None:
        """Let replicas come and go by another policy from now on."""
        self.adapt(policy, self.tenant.hosted < self.env.now)
        self.retuned.succeed()
        self.retuned = self.env.event()

    def serves_waiting(self) -> bool:
        """Return whether somebody waits for room, and room is there."""
        return False

    def serve_first(self) -> None:
        """Start a replica for who has waited longest."""
        raise AssertionError(f"application {self.number} starts none for who waits")

    def leave_line(self, request: TwinRequest) -> None:
        """Take a request out of the line that waits no longer."""
        self.line.remove(request)

    def hosting(self) -> Process:
        """Be there from a time on, or from now on."""
        yield At(self.env, max(self.tenant.hosted, self.env.now), Kind.HOST, self.number)
        self.host()

    def life(self, request: TwinRequest, comes: simpy.Event) -> Process:
        """Live through a request: come, wait, compute, come again if that failed."""
        yield comes
        request.arrival = min(request.arrival, self.env.now)
        while True:
            request.asked, request.served = self.env.now, self.env.event()
            if not self.come(request):
                return self.log(request, self.env.now, Outcome.REJECTED)
            yield from self.patience(request)
            if not request.served.triggered:
                return self.log(request, self.env.now, Outcome.TIMEOUT)
            replica, begin, outcome, order = yield request.served
            yield At(self.env, begin + request.service, Kind.END, order)
            self.release(replica)
            if request.fails == 0:
                self.log(request, begin, outcome)
                return self.call_next(request)
            if request.fails == -1:
                return self.log(request, begin, Outcome.FAILED)
            request.fails -= 1 if request.fails > 0 else -1
            pause = min(self.tenant.backoff * 2**request.tries, self.tenant.backoff_most)
            request.tries += 1
            yield At(self.env, self.env.now + pause, Kind.CALL, request.number)

    def patience(self, request: TwinRequest) -> Process:
        """Wait until a request has a replica or its patience ends."""
        served = request.served
        assert served is not None
        while not served.triggered:
            ends = request.asked + self.policy.timeout
            if ends >= NEVER:
                yield served | self.retuned
                continue
            end = At(self.env, max(ends, self.env.now), Kind.PATIENCE, self.number)
            happened = yield served | end | self.retuned
            if end in happened and not served.triggered:
                return self.leave_line(request)

    def call_next(self, request: TwinRequest) -> None:
        """Call the application that the result of a request goes to."""
        if request.then is not None:
            application, called = request.then
            comes = At(self.env, self.env.now, Kind.CALL, called.number)
            self.env.process(application.life(called, comes))

    def log(self, request: TwinRequest, begin: int, outcome: Outcome) -> None:
        """Note what became of a request."""
        row = (self.number, request.arrival, begin, self.env.now, int(outcome))
        self.journal.rows.append(row)

    def compute(
        self, replica: TwinReplica, request: TwinRequest, begin: int, outcome: Outcome
    ) -> None:
        """Have a request computed by a replica from a time on."""
        assert request.served is not None
        if replica.load == 0:
            replica.works_since = begin
        replica.load += 1
        self.computing += 1
        request.served.succeed((replica, begin, outcome, self.journal.begun))
        self.journal.begun += 1

    def unload(self, replica: TwinReplica) -> None:
        """Count a request less."""
        self.computing -= 1
        replica.load -= 1
        if replica.load == 0:
            self.active += self.env.now - replica.works_since

    def find(self) -> TwinNode | None:
        """Return the node for one more replica."""
        return self.nodes.find(self.number, self.tenant.cores, self.tenant.ram_mb)

    def start(self, node: TwinNode, delays: tuple[int, int, int]) -> TwinReplica:
        """Start a replica on a node."""
        room = (self.tenant.cores, self.tenant.ram_mb)
        self.replicas.append(self.nodes.start(node, self.number, *room, delays))
        return self.replicas[-1]

    def start_some(self, count: int) -> list[TwinReplica]:
        """Start replicas for nobody, as far as there is room."""
        some: list[TwinReplica] = []
        starts = self.tenant.starts
        while len(some) < count and (node := self.find()) is not None:
            some.append(self.start(node, starts[self.started % len(starts)]))
            self.started += 1
        return some

    def remove(self, replica: TwinReplica) -> None:
        """Let a replica go that nobody uses."""
        self.replicas.remove(replica)
        self.allocated += self.env.now - replica.born
        self.nodes.remove(replica, self.tenant.cores, self.tenant.ram_mb)

    def finish(self) -> None:
        """Count the replicas there are at the end."""
        for replica in self.replicas:
            self.allocated += self.env.now - replica.born
            if replica.load:
                self.active += max(self.env.now - replica.works_since, 0)
