"""Capacity of the twin: a process for each thing that happens to a pool."""

from __future__ import annotations

import simpy

from benchmarks.twin.deployments import TwinDeployments
from benchmarks.twin.instants import At, Kind
from benchmarks.twin.sites import Node, Process, Site
from sim.engine.logs import Ended, Held, Logs
from sim.entities import Federation
from sim.growth import node_joins, nodes_wanted
from sim.plan.outages import PoolOutage
from sim.plan.world import Plan


class TwinCapacity:
    """Lets pools join, grow, fail and leave.

    Args:
        env: The SimPy environment.
        federation: The federation.
        plan: The replicate's plan (outages).
        twin: Whose pools they are.
        logs: The logs.
    """

    def __init__(
        self,
        env: simpy.Environment,
        federation: Federation,
        plan: Plan,
        twin: TwinDeployments,
        logs: Logs,
    ) -> None:
        """Start every process."""
        self.env, self.federation, self.twin, self.logs = env, federation, twin, logs
        self.since: dict[str, tuple[float, int]] = {s.name: (0.0, 0) for s in twin.sites}
        twin.switching.bill = self.bill
        calendar, growth = federation.calendar, federation.growth
        for site in twin.sites:
            joined_h = calendar.hours_at(site.pool.joined)
            env.process(self.join(site, joined_h, round(site.pool.nodes_first)))
            if growth.law == "saturating":
                for time_h in node_joins(site.pool, growth, joined_h):
                    env.process(self.join(site, time_h, 1))
            if site.pool.left is not None:
                env.process(self.leave(site, calendar.hours_at(site.pool.left)))
            for outage in plan.outages[site.name]:
                if outage.end_h > joined_h:
                    start_h = max(outage.start_h, joined_h)
                    env.process(self.outage(site, start_h, outage))
        if growth.law == "deployed":
            env.process(self.reviews())

    def join(self, site: Site, time_h: float, count: int) -> Process:
        """Add nodes at a time."""
        yield At(self.env, max(time_h, 0.0), Kind.NODES)
        self.add(site, count)

    def add(self, site: Site, count: int) -> None:
        """Add empty nodes now."""
        if site.closed:
            return
        pool = site.pool
        for _ in range(count):
            number = len(site.nodes)
            gpus = [1.0] * pool.gpus_per_node
            node = Node(number, gpus, pool.cores_per_node, pool.ram_gb_per_node)
            site.nodes.append(node)
            self.twin.switching.emptied(site, node)
        if not site.out:
            self.bill(site, site.on)
            self.twin.serve()

    def outage(self, site: Site, start_h: float, outage: PoolOutage) -> Process:
        """Take a pool out for a while."""
        yield At(self.env, max(start_h, 0.0), Kind.NODES)
        if site.closed:
            return
        site.out = True
        self.bill(site, round(outage.vms_kept_frac * site.on))
        self.twin.fail(site, Ended.OUTAGE)
        yield At(self.env, outage.end_h, Kind.NODES)
        if site.closed:
            return
        site.out = False
        self.bill(site, site.on)
        self.twin.serve()

    def leave(self, site: Site, time_h: float) -> Process:
        """Close a pool for good."""
        yield At(self.env, time_h, Kind.NODES)
        site.out = site.closed = True
        self.bill(site, 0)
        self.twin.fail(site, Ended.CLOSED)
        site.nodes = []

    def reviews(self) -> Process:
        """Let pools grow with what is deployed, at each month's edge, after all else there."""
        for edge in self.federation.calendar.month_edges_h[1:-1].tolist():
            yield At(self.env, edge, Kind.REVIEW)
            waiting = [t for t in self.twin.waiting if not t.held_back]
            short = {
                gpus: any((self.twin.r.gpus[t.request] > 0) == gpus for t in waiting)
                for gpus in (True, False)
            }
            for site in self.twin.sites:
                if not site.nodes or site.out:
                    continue
                pool = site.pool
                by_gpu = site.peak[0] / pool.gpus_per_node if pool.gpus_per_node else 0.0
                peak = max(by_gpu, site.peak[1] / pool.cores_per_node)
                site.peak = (site.gpus_held, site.cores_held)
                lacks = short[pool.gpus_per_node > 0]
                growth, nodes = self.federation.growth, len(site.nodes)
                self.add(site, nodes_wanted(pool, growth, nodes, peak, lacks) - nodes)

    def bill(self, site: Site, nodes: int) -> None:
        """Close the interval of nodes that the accounting sees and begin another."""
        since_h, before = self.since[site.name]
        if nodes == before:
            return
        if before and self.env.now > since_h:
            self.logs.nodes.append(Held(site.name, since_h, self.env.now, before))
        self.since[site.name] = (self.env.now, nodes)

    def finish(self) -> None:
        """Close the last intervals at the horizon."""
        horizon_h = self.federation.calendar.horizon_h
        for name, (since_h, nodes) in self.since.items():
            if nodes and horizon_h > since_h:
                self.logs.nodes.append(Held(name, since_h, horizon_h, nodes))
