"""Which nodes of the pools are on, and what the accounting sees of them."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from sim.engine.logs import Held, Logs
from sim.engine.loop import SWITCH, Loop
from sim.engine.pools import PoolState
from sim.errors import EngineError
from sim.policies.base import NodesPolicy, NodeView, SwitchOff
from sim.timeline import ProjectCalendar
from sim.units import to_grid_h


class Bill:
    """Logs how many nodes of each pool the accounting sees.

    Args:
        loop: The event loop.
        pools: Names of the pools.
        logs: The logs.
    """

    def __init__(self, loop: Loop, pools: Iterable[str], logs: Logs) -> None:
        """Begin without nodes."""
        self.loop, self.logs = loop, logs
        self._seen: dict[str, tuple[float, int]] = dict.fromkeys(pools, (0.0, 0))

    def see(self, pool: str, nodes: int) -> None:
        """Count so many nodes of a pool from now on."""
        since_h, before = self._seen[pool]
        now = self.loop.now_h
        if nodes == before:
            return
        if before and now > since_h:
            self.logs.nodes.append(Held(pool, since_h, now, before))
        self._seen[pool] = (now, nodes)

    def finish(self) -> None:
        """Close the log at the horizon."""
        for pool, (since_h, nodes) in self._seen.items():
            if nodes and self.loop.horizon_h > since_h:
                self.logs.nodes.append(Held(pool, since_h, self.loop.horizon_h, nodes))


class Switching:
    """Switches nodes of pools off when they stay empty, and on again when they are wanted.

    A node that is off has all its room to offer. It is asked about once each time it becomes empty:
    one event, nothing is polled. While a pool is out, clocks run on, but the accounting sees what
    it saw when the outage began; a boot goes on, too.

    Args:
        loop: The event loop.
        calendar: For the day.
        policy: Whom to ask.
        bill: The accounting.
    """

    def __init__(
        self, loop: Loop, calendar: ProjectCalendar, policy: NodesPolicy, bill: Bill
    ) -> None:
        """Begin with all nodes on."""
        self.loop, self.calendar, self.policy, self.bill = loop, calendar, policy, bill
        self.from_h = calendar.hours_at(policy.from_day)
        self._off_h: dict[tuple[str, int], float] = {}  # when nodes go off that are empty
        self._up_h: dict[tuple[str, int], float] = {}  # when nodes are up that had to boot

    def emptied(self, state: PoolState, node: int) -> None:
        """Ask about a node that is empty from now on."""
        since_h, pool = max(self.loop.now_h, self.from_h), state.pool
        said = ask(
            self.policy, self.calendar, since_h,
            (state.name, pool.gpus_per_node, pool.cores_per_node, False),
        )  # fmt: skip
        if said is not None:
            off_h = self._off_h[state.name, node] = since_h + said.after_h
            self.loop.at(off_h, SWITCH, self._switch_off, state, node, said.boot_h)

    def _switch_off(self, state: PoolState, node: int, boot_h: float) -> None:
        """Switch a node off unless it has been wanted meanwhile."""
        key = (state.name, node)
        if self._off_h.get(key) == self.loop.now_h and not state.closed:
            del self._off_h[key]
            state.off[node] = boot_h
            self._bill(state)

    def wanted(self, state: PoolState, node: int) -> float:
        """Switch a node on if it is off, and return from when on it can be used, h."""
        key, now = (state.name, node), self.loop.now_h
        self._off_h.pop(key, None)
        boot_h = state.off.pop(node, None)
        if boot_h is not None:
            self._up_h[key] = now + boot_h
            self._bill(state)
        return max(now, self._up_h.get(key, now))

    def _bill(self, state: PoolState) -> None:
        if not state.out:
            self.bill.see(state.name, state.on)


def ask(
    policy: NodesPolicy, calendar: ProjectCalendar, since_h: float, node: tuple[str, int, int, bool]
) -> SwitchOff | None:
    """Return what a policy says of an empty node, with times on the grid.

    Args:
        policy: Whom to ask.
        calendar: For the day.
        since_h: Since when it is empty, and the policy in force, h since the start.
        node: Its pool or cluster, GPUs, cores, and whether it serves applications.

    Raises:
        EngineError: When the answer is no time.
    """
    said = policy.switch_off(NodeView(*node, calendar.day_at(since_h), since_h % 24.0))
    if said is None:
        return None
    if not all(isfinite(h) and h >= 0.0 for h in said):
        raise EngineError(
            "a nodes policy gave an impossible time",
            "policy.nodes",
            "finite hours, not negative, or None",
            tuple(said),
        )
    return SwitchOff(to_grid_h(said.after_h), to_grid_h(said.boot_h))
