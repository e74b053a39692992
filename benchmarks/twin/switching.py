"""Nodes of the twin that are switched off: a process for each time one is empty."""

from __future__ import annotations

from collections.abc import Callable

import simpy

from benchmarks.twin.instants import At, Kind
from benchmarks.twin.sites import Node, Process, Site
from sim.policies.base import NodesPolicy, NodeView
from sim.timeline import ProjectCalendar
from sim.units import to_grid_h


class TwinSwitching:
    """Switches empty nodes off, and on again when they are wanted.

    Args:
        env: The SimPy environment.
        calendar: The calendar.
        policy: Whom to ask.
    """

    bill: Callable[[Site, int], None]

    def __init__(
        self, env: simpy.Environment, calendar: ProjectCalendar, policy: NodesPolicy
    ) -> None:
        """Store them; who bills is told later."""
        self.env, self.calendar, self.policy = env, calendar, policy
        self.from_h = calendar.hours_at(policy.from_day)

    def emptied(self, site: Site, node: Node) -> None:
        """Switch a node off if it stays empty for long enough."""
        if self.from_h < self.calendar.horizon_h:
            node.spells += 1
            self.env.process(self.stay_empty(site, node, node.spells))

    def stay_empty(self, site: Site, node: Node, spell: int) -> Process:
        """Ask when the policy is in force, wait, and switch the node off if nobody came."""
        yield self.env.timeout(max(self.from_h - self.env.now, 0.0))
        now, pool = self.env.now, site.pool
        view = NodeView(
            site.name, pool.gpus_per_node, pool.cores_per_node, False,
            self.calendar.day_at(now), now % 24.0,
        )  # fmt: skip
        said = self.policy.switch_off(view)
        if said is None:
            return
        yield At(self.env, now + to_grid_h(said.after_h), Kind.EMPTY)
        if node.spells == spell and not site.closed:
            node.boot_h = to_grid_h(said.boot_h)
            self.count(site)

    def wanted(self, site: Site, node: Node) -> float:
        """Switch a node on if it is off, and return when it is up, h."""
        node.spells += 1
        if node.boot_h is not None:
            node.up_h, node.boot_h = self.env.now + node.boot_h, None
            self.count(site)
        return node.up_h

    def count(self, site: Site) -> None:
        """Let the accounting see what is on, unless the pool is out."""
        if not site.out:
            self.bill(site, site.on)
