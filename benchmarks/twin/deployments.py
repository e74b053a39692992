"""Deployments of the twin: a process each, and everybody who waits asked whenever room is free."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from types import SimpleNamespace

import simpy

from benchmarks.twin.instants import At, Kind
from benchmarks.twin.sites import Node, Process, Site
from benchmarks.twin.switching import TwinSwitching
from benchmarks.twin.work import Running, TwinWork
from sim.engine.logs import Deployment, Ended, Logs, Withdrawn
from sim.entities import Federation
from sim.plan.world import Plan
from sim.policies.base import NO_TERMS, Policies, PoolView, RequestView, Terms
from sim.units import to_grid_h


@dataclass(eq=False)
class Ticket:
    """A request that asks for a deployment; `granted` fires when it gets a node."""

    request: int
    first: int
    part: int
    requested_h: float
    granted: simpy.Event
    gpus: float
    slowdown: float
    setup_h: float = 0.0
    held_back: bool = False
    terms: Terms = NO_TERMS


class TwinDeployments:
    """Plays requests against pools.

    Args:
        env: The SimPy environment.
        federation: The federation.
        plan: The replicate's plan.
        policies: One policy of each kind.
        logs: The logs.
        switching: What switches nodes off and on.
    """

    def __init__(
        self, env: simpy.Environment, federation: Federation, plan: Plan, policies: Policies,
        logs: Logs, switching: TwinSwitching,
    ) -> None:
        """Store what is needed; `arrivals` is the process to start."""
        self.env, self.plan, self.policies, self.logs = env, plan, policies, logs
        self.demand, self.calendar = federation.demand, federation.calendar
        self.sites = [Site(name, pool) for name, pool in federation.pools.items()]
        self.waiting: list[Ticket] = []
        self.running: list[Running] = []
        self.booting: list[tuple[Ticket, Site, Node, list[int], simpy.Process]] = []
        self.switching = switching
        self.r = SimpleNamespace(**{n: a.tolist() for n, a in vars(plan.requests).items()})
        self.gpus_of: Counter[int] = Counter()
        self.phases = list(federation.phases)
        self.inside = TwinWork(env, federation, plan, policies, self)

    def arrivals(self) -> Process:
        """Let each request arrive at its time."""
        for index in range(len(self.r.arrival_h)):
            yield At(self.env, self.r.arrival_h[index], Kind.ARRIVAL)
            returned = self.reusable(index)
            if returned is not None and returned.process is not None:
                returned.idle = False
                returned.process.interrupt(index)
            else:
                self.env.process(self.request(index, 0, 0))

    def reusable(self, index: int) -> Running | None:
        """Return the deployment that a returning user goes back to, if any."""
        if self.r.reuse_draw[index] >= self.demand.reuse_frac:
            return None
        gpus, _ = self.shared(index)
        for one in reversed(self.running):
            held = one.deployment
            mine = held.user == self.r.user[index] and one.idle
            if mine and held.gpus >= gpus and held.cores >= self.r.cores[index]:
                return None if self.is_job(index, gpus) else one
        return None

    def is_job(self, index: int, gpus: float) -> bool:
        """Return whether a request for so much would be a batch job if its user held nothing."""
        alone = self.seen(index, gpus)._replace(gpus_held=0, held_in=())
        terms = self.policies.admission.admits(alone)
        return terms is not None and terms.pause_h < inf

    def request(self, index: int, first: int, part: int, setup_h: float = 0.0) -> Process:
        """Ask, wait as long as patience lasts, work."""
        granted = self.env.event()
        ticket = Ticket(index, first, part, self.env.now, granted, *self.shared(index), setup_h)
        self.waiting.append(ticket)
        self.serve(only=ticket)
        yield from self.patience(ticket)

    def patience(self, ticket: Ticket) -> Process:
        """Wait for a node as long as patience lasts, counted from when it was asked for."""
        granted, index = ticket.granted, ticket.request
        if not granted.triggered:
            ends_h = ticket.requested_h + self.r.patience_h[index]
            yield granted | At(self.env, max(ends_h, self.env.now), Kind.PATIENCE)
        if not granted.triggered:
            self.waiting.remove(ticket)
            self.logs.withdrawn.append(
                Withdrawn(
                    self.name(ticket), self.r.user[index], ticket.gpus,
                    self.r.cores[index], ticket.requested_h, self.env.now, "patience ended",
                )
            )

    def serve(self, only: Ticket | None = None) -> None:
        """Walk the waiting line; of a shape, nobody overtakes another."""
        blocked = set()
        for ticket in [only] if only else list(self.waiting):
            if ticket.held_back:
                continue
            shape = self.shape(ticket)
            if shape in blocked:
                continue
            view = self.view(ticket)
            terms = self.policies.admission.admits(view)
            if terms is None:
                ticket.held_back = True
                continue
            ticket.terms = Terms._make(h if h == inf else to_grid_h(h) for h in terms)
            if not self.place(ticket, view):
                blocked.add(shape)

    def place(self, ticket: Ticket, view: RequestView) -> bool:
        """Start the deployment of a ticket if placement finds room."""
        gpus, cores, ram_gb = self.shape(ticket)
        plain = [s for s in self.sites if s.pool.gpus_per_node == 0] or self.sites
        kind = [s for s in self.sites if s.pool.gpus_per_node] if gpus else plain
        there = [s for s in kind if s.nodes]
        nodes = [s.node_for(gpus, cores, ram_gb) for s in there]
        if not any(nodes):
            return False
        views = [
            PoolView(
                s.name, s.pool.weight, len(s.nodes) * s.pool.gpus_per_node,
                len(s.nodes) * s.pool.cores_per_node, s.gpus_held, s.cores_held, node is not None,
            )
            for s, node in zip(there, nodes, strict=True)
        ]
        chosen = self.policies.placement.place(view, views)
        if chosen is None:
            return False
        node = nodes[chosen]
        assert node is not None
        self.waiting.remove(ticket)
        self.start(ticket, there[chosen], node)
        return True

    def start(self, ticket: Ticket, site: Site, node: Node) -> None:
        """Give a request a node, and start its deployment once that is up."""
        gpus, cores, ram_gb = self.shape(ticket)
        mine = node.take(gpus)
        node.cores -= cores
        node.ram_gb -= ram_gb
        site.gpus_held, site.cores_held = site.gpus_held + gpus, site.cores_held + cores
        site.peak = (max(site.peak[0], site.gpus_held), max(site.peak[1], site.cores_held))
        self.gpus_of[self.r.user[ticket.request]] += gpus
        ticket.granted.succeed()
        boot_h = self.switching.wanted(site, node) - self.env.now
        if boot_h > 0.0:
            process = self.env.process(self.boot(ticket, site, node, mine, boot_h))
            self.booting.append((ticket, site, node, mine, process))
        else:
            self.run(ticket, site, node, mine)

    def boot(
        self, ticket: Ticket, site: Site, node: Node, mine: list[int], boot_h: float
    ) -> Process:
        """Wait until a node is up, unless its pool fails."""
        try:
            yield At(self.env, self.env.now + boot_h, Kind.NODES)
        except simpy.Interrupt:
            return
        self.booting = [b for b in self.booting if b[0] is not ticket]
        self.run(ticket, site, node, mine)

    def run(self, ticket: Ticket, site: Site, node: Node, mine: list[int]) -> None:
        """Start the process of a deployment."""
        gpus, cores, ram_gb = self.shape(ticket)
        deployment = Deployment(
            self.name(ticket), self.r.user[ticket.request], site.name, node.number, gpus,
            cores, ram_gb, ticket.requested_h, self.env.now, ticket.slowdown, terms=ticket.terms,
        )
        one = Running(deployment, site, node, mine)
        self.logs.deployments.append(deployment)
        self.running.append(one)
        one.process = self.env.process(
            self.inside.work(one, ticket.request, ticket.first, ticket.part, ticket.setup_h)
        )

    def end(self, one: Running, ended: Ended) -> None:
        """Take a deployment off its node; its user's requests are no longer held back."""
        held = one.deployment
        held.released_h, held.ended = self.env.now, ended
        self.running.remove(one)
        self.free(held.user, one.site, one.node, one.gpus, (held.gpus, held.cores, held.ram_gb))

    def free(
        self, user: int, site: Site, node: Node, taken: list[int], shape: tuple[float, int, int]
    ) -> None:
        """Free room on a node."""
        gpus, cores, ram_gb = shape
        self.gpus_of[user] -= gpus
        node.give_back(taken, gpus)
        node.cores += cores
        node.ram_gb += ram_gb
        site.gpus_held, site.cores_held = site.gpus_held - gpus, site.cores_held - cores
        if node.cores == site.pool.cores_per_node:
            self.switching.emptied(site, node)
        mine = [t for t in self.waiting if t.held_back and self.r.user[t.request] == user]
        mine.sort(key=attrgetter("requested_h", "request"))
        for ticket in mine:  # to the end of the line
            self.waiting.remove(ticket)
            ticket.held_back = False
            self.waiting.append(ticket)

    def fail(self, site: Site, ended: Ended) -> None:
        """End every deployment of a pool, and send who waits there for a boot back to the line."""
        for one in [o for o in self.running if o.site is site]:
            self.end(one, ended)
            if one.process is not None:
                one.process.interrupt(None)
        for boot in [b for b in self.booting if b[1] is site]:
            ticket, _, node, mine, process = boot
            self.booting.remove(boot)
            process.interrupt(None)
            ticket.granted = self.env.event()
            self.waiting.append(ticket)
            self.free(self.r.user[ticket.request], site, node, mine, self.shape(ticket))
            self.env.process(self.patience(ticket))
        self.serve()

    def finish(self) -> None:
        """Log what still runs at the horizon."""
        for one in self.running:
            one.deployment.released_h = self.calendar.horizon_h
            one.deployment.ended = Ended.HORIZON
            if not one.idle:
                one.deployment.segments[-1].end_h = self.calendar.horizon_h

    def shape(self, ticket: Ticket) -> tuple[float, int, int]:
        """Return GPUs, cores and GB of memory that are needed."""
        index = ticket.request
        return ticket.gpus, self.r.cores[index], self.r.ram_gb[index]

    def shared(self, index: int) -> tuple[float, float]:
        """Return the GPUs that a request gets if it is made now, and the slowdown there."""
        gpus = self.r.gpus[index]
        said = self.policies.sharing.share(self.seen(index, gpus)) if gpus else None
        return (gpus, 1.0) if said is None else (said.gpus, said.slowdown)

    def view(self, ticket: Ticket) -> RequestView:
        """Return a ticket as policies see it."""
        return self.seen(ticket.request, ticket.gpus)

    def seen(self, index: int, gpus: float) -> RequestView:
        """Return a request for so many GPUs as policies see it."""
        user, day = self.r.user[index], self.calendar.day_at(self.env.now)
        return RequestView(
            user, gpus, self.r.cores[index], self.gpus_of[user], day, self.r.site_draw[index],
            phase=self.phases[self.r.phase[index]],
            batch_draw=self.r.batch_draw[index],
            share_draw=self.r.share_draw[index],
            held_in=tuple(
                o.deployment.pool for o in self.running if o.deployment.user == user
            ),
        )

    def name(self, ticket: Ticket) -> str:
        """Return the name of the deployment."""
        user = self.plan.users[self.r.user[ticket.request]].name
        return f"{user}#{self.r.number[ticket.request]}.{ticket.part}"
