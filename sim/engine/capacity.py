"""Capacity over time: nodes joining and leaving, outages, always-on services."""

from __future__ import annotations

from collections.abc import Sequence

from sim.engine.deployments import Deployments
from sim.engine.logs import Ended, Held, Logs
from sim.engine.loop import Loop, Order
from sim.engine.nodes import Bill, Switching
from sim.engine.pools import Pools, PoolState
from sim.entities import Federation
from sim.growth import Step, node_joins, nodes_wanted, service_steps
from sim.plan.outages import PoolOutage
from sim.plan.world import Plan, share_deployed


class Capacity:
    """Changes what the pools have, and logs their nodes as the accounting would see them.

    Args:
        loop: The event loop.
        federation: The federation.
        plan: The replicate's plan (outages).
        pools: The pools at work.
        deployments: Whoever is killed by an outage.
        bill: The accounting.
        switching: What is told of nodes that join; None if all stay on.
    """

    def __init__(
        self,
        loop: Loop,
        federation: Federation,
        plan: Plan,
        pools: Pools,
        deployments: Deployments,
        bill: Bill,
        switching: Switching | None,
    ) -> None:
        """Store what is needed; `begin` schedules."""
        self.loop, self.federation, self.plan = loop, federation, plan
        self.pools, self.deployments = list(pools.named.values()), deployments
        self.bill, self.switching = bill, switching

    def begin(self) -> None:
        """Schedule joining, growth, outages and leaving of every pool."""
        calendar, growth = self.federation.calendar, self.federation.growth
        for state in self.pools:
            joined_h = calendar.hours_at(state.pool.joined)
            self._at(joined_h, self._add_nodes, state, round(state.pool.nodes_first))
            if growth.law == "saturating":
                for time_h in node_joins(state.pool, growth, joined_h):
                    self._at(time_h, self._add_nodes, state, 1)
            if state.pool.left is not None:
                self._at(calendar.hours_at(state.pool.left), self._close, state)
            for outage in self.plan.outages[state.name]:
                if outage.end_h > joined_h:
                    self._at(max(outage.start_h, joined_h), self._begin_outage, state, outage)
        if growth.law == "deployed":
            for edge in calendar.month_edges_h[1:-1].tolist():
                self.loop.at(edge, Order.REVIEW, self._review)

    def _at(self, time_h: float, action: object, *arguments: object) -> None:
        self.loop.at(time_h, Order.CAPACITY, action, *arguments)  # type: ignore[arg-type]

    def _add_nodes(self, state: PoolState, count: int) -> None:
        if state.closed:
            return
        for _ in range(count):
            node = state.add_node()
            if self.switching is not None:
                self.switching.emptied(state, node)
        if not state.out:
            self.bill.see(state.name, state.on)
            self.deployments.serve_waiting()

    def _begin_outage(self, state: PoolState, outage: PoolOutage) -> None:
        if state.closed:
            return
        state.set_out(True)
        self.bill.see(state.name, round(outage.vms_kept_frac * state.on))
        self.deployments.kill_pool(state.name, Ended.OUTAGE)
        self._at(outage.end_h, self._end_outage, state)

    def _end_outage(self, state: PoolState) -> None:
        if state.closed:
            return
        state.set_out(False)
        self.bill.see(state.name, state.on)
        self.deployments.serve_waiting()

    def _close(self, state: PoolState) -> None:
        state.set_out(True)
        self.bill.see(state.name, 0)
        self.deployments.kill_pool(state.name, Ended.CLOSED)
        state.close()

    def _review(self) -> None:
        room = self.deployments.room
        waits = {with_gpus: room.anybody_waits(with_gpus) for with_gpus in (True, False)}
        for state in self.pools:
            if state.nodes == 0 or state.out:
                continue
            short = waits[state.pool.gpus_per_node > 0]
            wanted = nodes_wanted(
                state.pool, self.federation.growth, state.nodes, state.nodes_at_peak(), short
            )
            if wanted > state.nodes:
                self._add_nodes(state, wanted - state.nodes)


def log_services(federation: Federation, plan: Plan, logs: Logs) -> None:
    """Log the cores of the always-on services: they follow the plan, nothing else."""
    calendar = federation.calendar
    deployed = share_deployed(federation, plan)
    for name, service in federation.services.items():
        since_h = max(calendar.hours_at(service.since), 0.0)
        until_h = calendar.horizon_h
        if service.until is not None:
            until_h = min(until_h, calendar.hours_at(service.until))
        steps = service_steps(service, federation.growth, since_h, until_h, deployed)
        logs.services.extend(as_intervals(name, steps, until_h))


def as_intervals(owner: str, steps: Sequence[Step], until_h: float) -> list[Held]:
    """Turn steps (time, quantity from then on) into intervals that end at `until_h`.

    >>> as_intervals("a", [(0.0, 2.0), (3.0, 4.0)], 5.0)[1]
    Held(owner='a', start_h=3.0, end_h=5.0, quantity=4.0)
    """
    ends = [time for time, _ in steps[1:]] + [until_h] * bool(steps)
    return [
        Held(owner, start, end, quantity)
        for (start, quantity), end in zip(steps, ends, strict=True)
        if end > start and quantity
    ]
