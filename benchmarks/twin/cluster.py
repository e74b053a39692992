"""A cluster once more in plain SimPy: a process for each request, event by event in stated order.

What it must equal is `sim.serving.cluster.ServingCluster`, which says in
`sim.serving.kernel.loop` what comes first at one instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import simpy

from benchmarks.twin.applications import (
    Journal,
    Row,
    TwinApplication,
    TwinRequest,
    TwinTenant,
)
from benchmarks.twin.autoscaled import TwinAutoscaled
from benchmarks.twin.deployments import Process
from benchmarks.twin.instants import At, Kind
from benchmarks.twin.keepalive import TwinKeepAlive
from benchmarks.twin.nodes import TwinNode, TwinNodes
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.scaling import Autoscaler
from sim.ticks import NEVER

PER_LEVEL = 2**40  # more than there are requests


class Change(NamedTuple):
    """What is changed on a cluster.

    Args:
        time: When, ticks.
        rooms: Cores and MB more on each node.
        idle: How long nodes are empty from now on before they are shut down, and what they take to
            boot beside what is drawn, by number.
        policies: Other policies of applications, by number.
    """

    time: int
    rooms: Sequence[tuple[int, int]]
    idle: Mapping[int, tuple[int, int]] = {}
    policies: Mapping[int, KeepAlive | Autoscaler] = {}


class TwinCluster:
    """Plays applications against nodes.

    Args:
        tenants: The applications.
        nodes: The nodes; they are changed.
        changes: What is changed, in order of time and before the horizon.
        horizon: End, ticks.
        sleeps: Whether autoscalers sleep while they would find nothing.
    """

    def __init__(
        self, tenants: Sequence[TwinTenant], nodes: Sequence[TwinNode],
        changes: Iterable[Change], horizon: int, sleeps: bool = True,
    ) -> None:
        """Start the processes."""
        self.env, self.horizon = simpy.Environment(), horizon
        self.nodes = TwinNodes(self.env, nodes, self.serve_waiting)
        self.journal = Journal()
        self.apps: list[TwinApplication] = []
        for number, tenant in enumerate(tenants):
            about = (self.env, number, tenant, self.nodes, self.journal)
            if isinstance(tenant.policy, KeepAlive):
                self.apps.append(TwinKeepAlive(tenant.policy, *about))
            else:
                self.apps.append(TwinAutoscaled(tenant.policy, sleeps, *about))
        self.env.process(self.capacity(list(changes)))
        self.begin_chains()

    def play(self) -> None:
        """Play to the horizon, with what ends or is ready then."""
        self.env.run(until=At(self.env, self.horizon, Kind.STOP))
        for part in (*self.apps, self.nodes):
            part.finish()

    @property
    def rows(self) -> list[Row]:
        """Return the requests that ended, gave up or were turned away, in that order."""
        return self.journal.rows

    @property
    def allocated(self) -> list[int]:
        """Return the ticks of replicas, by application."""
        return [app.allocated for app in self.apps]

    @property
    def active(self) -> list[int]:
        """Return the ticks in which replicas computed, by application."""
        return [app.active for app in self.apps]

    @property
    def provisioned(self) -> int:
        """Return the ticks of nodes that are on."""
        return self.nodes.provisioned

    def serve_waiting(self) -> None:
        """Start replicas for those who wait, whoever has waited longest and fits is first."""
        while able := [app for app in self.apps if app.serves_waiting()]:
            min(able, key=lambda app: app.line[0].asked).serve_first()

    def capacity(self, changes: list[Change]) -> Process:
        """Change the room on the nodes, when they shut down, and how applications scale."""
        for time, rooms, idle, policies in changes:
            yield At(self.env, time, Kind.NODES)
            for node, (cores, ram_mb) in zip(self.nodes.nodes, rooms, strict=True):
                node.cores += cores
                node.ram_mb += ram_mb
            for number, (idle_for, boot) in idle.items():
                self.nodes.shut_down_after(self.nodes.nodes[number], idle_for, boot)
            for number, policy in policies.items():
                self.apps[number].retune(policy)
            for app in self.apps:
                app.make_room()
            self.serve_waiting()

    def begin_chains(self) -> None:
        """Let requests come that no result calls, and know whom their results call."""
        asked = [_requests(app.tenant) for app in self.apps]
        called = {app.tenant.then for app in self.apps}
        first = [
            (request.arrival, app.number, request)
            for app, requests in zip(self.apps, asked, strict=True)
            if app.number not in called
            for request in requests
            if request.arrival < self.horizon
        ]
        first.sort(key=lambda head: head[:2])
        for number, (time, app, request) in enumerate(first):
            self.join_chain(app, request, number, asked)
            comes = At(self.env, time, Kind.ARRIVAL, app)
            self.env.process(self.apps[app].life(request, comes))

    def join_chain(
        self, app: int, request: TwinRequest, number: int, asked: list[Iterator[TwinRequest]]
    ) -> None:
        """Number a request and those that are called after it, one by the result of another."""
        request.number = number
        following = self.apps[app].tenant.then
        if following is not None:
            called = next(asked[following])
            called.arrival = NEVER
            request.then = (self.apps[following], called)
            self.join_chain(following, called, number + PER_LEVEL, asked)


def _requests(tenant: TwinTenant) -> Iterator[TwinRequest]:
    columns = (column.tolist() for column in tenant.calls)
    for arrival, service, start, pull, boot, fails in zip(*columns, strict=True):
        yield TwinRequest(arrival, service, (start, pull, boot), fails)
