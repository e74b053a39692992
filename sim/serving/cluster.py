"""Nodes under the applications of a cluster: packing, boots, images, and nodes that go to sleep.

Applications are played one after another, window by window, and share the nodes at the edges: each
may use what is free at the beginning of a window, less what those played before it in the window
reached at their peak. So nodes are never oversubscribed; what one application gives back, another
gets from the next window on. Who is first changes from window to window.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sim.plan.chain import ChainReader
from sim.plan.reader import Reader
from sim.serving.outcome import Outcome
from sim.serving.state import Nodes
from sim.serving.windows import Pool, Window
from sim.ticks import NEVER
from sim.units import IntArray


@dataclass(frozen=True)
class NodeKind:
    """What every node of a cluster is, and when it is shut down.

    Args:
        cores: Cores.
        ram_mb: Memory, MB.
        idle: How long a node is empty before it is shut down, ticks; None for never. It is looked
            at when a window ends, as CLUES looks from time to time.
        always_on: Nodes that are never shut down, the first ones.
    """

    cores: int
    ram_mb: int
    idle: int | None = None
    always_on: int = 0


@dataclass(eq=False)
class Tenant:
    """An application on a cluster.

    Args:
        pool: Its replicas.
        reader: Its requests.
        cores: Cores of a replica.
        ram_mb: Memory of a replica, MB.
        replicas: How many there are on each node.
        then: Applications that are called by its results, on the same cluster.
        cached_at: When each node had or will have its image; `NEVER` if it does not.
    """

    pool: Pool
    reader: Reader
    cores: int
    ram_mb: int
    then: tuple[Tenant, ...] = ()
    replicas: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    cached_at: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True, eq=False)
class ClusterWindow:
    """What happened on a cluster in a window.

    Args:
        provisioned: Ticks of nodes that are on, each counted whole.
        nodes_on: Nodes that are on at its end.
        windows: What happened to each tenant, in order of their joining.
    """

    provisioned: int
    nodes_on: int
    windows: tuple[Window, ...]


class ClusterNodes:
    """The nodes of a cluster and the applications on them.

    Args:
        kind: What its nodes are.
        now: Begin, ticks.
    """

    def __init__(self, kind: NodeKind, now: int = 0) -> None:
        """Start without nodes."""
        self.kind, self.now = kind, now
        self.tenants: list[Tenant] = []
        self._boot_at, self._up_at, self._used_at = np.zeros((3, 0), np.int64)
        self._turn = 0

    def add_nodes(self, count: int) -> None:
        """Add nodes; those that can be shut down come without being on."""
        old, new = len(self._boot_at), len(self._boot_at) + count
        on = np.arange(old, new) < (new if self.kind.idle is None else self.kind.always_on)
        self._boot_at = np.concatenate([self._boot_at, np.where(on, self.now, NEVER)])
        self._up_at = np.concatenate([self._up_at, np.full(count, self.now)])
        self._used_at = np.concatenate([self._used_at, np.full(count, self.now)])
        for tenant in self.tenants:
            self._fit(tenant)

    def add_tenant(self, tenant: Tenant) -> None:
        """Host an application from now on; its pool begins now."""
        self._fit(tenant)
        self.tenants.append(tenant)

    def _fit(self, tenant: Tenant) -> None:
        missing = len(self._boot_at) - len(tenant.replicas)
        tenant.replicas = np.concatenate([tenant.replicas, np.zeros(missing, np.int64)])
        tenant.cached_at = np.concatenate([tenant.cached_at, np.full(missing, NEVER)])

    def play(self, until: int) -> ClusterWindow:
        """Play all applications to the end of a window, ticks."""
        held = [np.zeros(len(self._boot_at), np.int64) for _ in range(2)]
        for tenant in self.tenants:
            held[0] += tenant.replicas * tenant.cores
            held[1] += tenant.replicas * tenant.ram_mb
        free = [self.kind.cores - held[0], self.kind.ram_mb - held[1]]
        found: dict[Tenant, Window] = {}
        heads = self._heads()
        for turn in range(len(heads)):
            line = [heads[(self._turn + turn) % len(heads)]]
            for tenant in line:  # grows: each is followed by those it calls
                found[tenant] = self._play(tenant, until, free)
                line += tenant.then
        self._turn += 1
        since, self.now = self.now, until
        on = self._boot_at < NEVER
        provisioned = int((until - np.maximum(self._boot_at[on], since)).sum())
        self._shut_down()
        nodes_on = int((self._boot_at < NEVER).sum())
        return ClusterWindow(provisioned, nodes_on, tuple(found[t] for t in self.tenants))

    def _heads(self) -> list[Tenant]:
        """Return the applications that no other one calls."""
        called = {tenant for caller in self.tenants for tenant in caller.then}
        return [tenant for tenant in self.tenants if tenant not in called]

    def _play(self, tenant: Tenant, until: int, free: list[IntArray]) -> Window:
        asked = tenant.reader.until(until)
        if tenant.pool.asleep and not len(asked.arrival):
            _call_next(tenant, asked.arrival, until)
            return tenant.pool.skip(until)
        before = tenant.replicas.copy()
        nodes = self._seen_by(tenant, free)
        window = tenant.pool.serve(asked, until, nodes)
        more = nodes.peak - before
        free[0] -= more * tenant.cores
        free[1] -= more * tenant.ram_mb
        _call_next(tenant, window.end[window.outcome <= Outcome.COLD], until)
        return window

    def _seen_by(self, tenant: Tenant, free: list[IntArray]) -> Nodes:
        """Return the nodes for one application: on first, then with the image, then the fullest."""
        more = np.minimum(free[0] // tenant.cores, free[1] // max(tenant.ram_mb, 1))
        order = np.lexsort((free[0], tenant.cached_at == NEVER, self._boot_at == NEVER))
        return Nodes(
            room=tenant.replicas + np.maximum(more, 0),
            replicas=tenant.replicas,
            peak=tenant.replicas.copy(),
            boot_at=self._boot_at,
            up_at=self._up_at,
            cached_at=tenant.cached_at,
            used_at=self._used_at,
            by_preference=order,
        )

    def _shut_down(self) -> None:
        """Delete nodes that have been empty for long enough, and the images on them."""
        if self.kind.idle is None:
            return
        empty = np.ones(len(self._boot_at), np.bool_)
        for tenant in self.tenants:
            empty &= tenant.replicas == 0
        idle_since = np.maximum(self._used_at, self._up_at)
        off = empty & (self._boot_at < NEVER) & (idle_since + self.kind.idle <= self.now)
        off[: self.kind.always_on] = False
        self._boot_at[off] = NEVER
        for tenant in self.tenants:
            tenant.cached_at[off] = NEVER


def _call_next(tenant: Tenant, ends: IntArray, until: int) -> None:
    """Hand the results of a window to the applications that wait for them."""
    for called in tenant.then:
        if isinstance(called.reader, ChainReader):
            called.reader.push(ends, until)
