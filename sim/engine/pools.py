"""Pools at work: nodes with free GPUs, cores and memory, found by best fit in bounded time."""

from __future__ import annotations

from bisect import bisect_left, insort

from sim.entities import Pool
from sim.policies.base import PoolView

Shape = tuple[int, int, int]  # GPUs, cores, GB of memory asked for
Free = tuple[int, int, int]  # the same that a node has free
Offer = tuple[PoolView, Free | None, "PoolState"]  # as policies see it; the nodes that fit best


class PoolState:
    """The nodes of one pool, grouped by what they have free.

    Nodes with the same free GPUs, cores and memory are interchangeable; the fullest group that
    fits is taken, and in it the node with the smallest number. What a pool offers to a shape is
    remembered until something in the pool changes: most placements change one pool of several.

    Args:
        name: Name of the pool.
        pool: Its description.
    """

    def __init__(self, name: str, pool: Pool) -> None:
        """Start without nodes."""
        self.name, self.pool = name, pool
        self.weight = pool.weight
        self.gpus_per_node, self.cores_per_node = pool.gpus_per_node, pool.cores_per_node
        self.out = self.closed = False
        self.nodes = 0
        self.gpus_held = 0
        self.cores_held = 0
        self.peak_gpus = 0
        self.peak_cores = 0
        self._free: list[Free] = []
        self._groups: dict[Free, list[int]] = {}
        self._keys: list[Free] = []
        self._offers: dict[Shape, Offer] = {}

    def add_node(self) -> int:
        """Add an empty node and return its number."""
        free = (self.pool.gpus_per_node, self.pool.cores_per_node, self.pool.ram_gb_per_node)
        node = len(self._free)
        self._free.append(free)
        self.nodes += 1
        self._file(node, free)
        return node

    def offer(self, shape: Shape) -> Offer:
        """Return what a policy sees of the pool and the fullest group of nodes that fits."""
        found = self._offers.get(shape)
        if found is None:
            group = None if self.out else self._fitting_group(*shape)
            view = PoolView(
                self.name,
                self.weight,
                self.nodes * self.gpus_per_node,
                self.nodes * self.cores_per_node,
                self.gpus_held,
                self.cores_held,
                group is not None,
            )
            found = self._offers[shape] = (view, group, self)
        return found

    def _fitting_group(self, gpus: int, cores: int, ram_gb: int) -> Free | None:
        keys = self._keys
        for at in range(bisect_left(keys, (gpus, cores, ram_gb)), len(keys)):
            key = keys[at]
            if key[1] >= cores and key[2] >= ram_gb:
                return key
        return None

    def set_out(self, out: bool) -> None:
        """Take the pool out, or back in."""
        self.out = out
        self._offers.clear()

    def close(self) -> None:
        """Take away all nodes for good."""
        self.closed, self.nodes = True, 0
        self._offers.clear()

    def take(self, group: Free, shape: Shape) -> int:
        """Occupy a node of the group that `offer` named and return its number."""
        gpus, cores, ram_gb = shape
        nodes = self._groups[group]
        node = nodes.pop(0)
        if not nodes:
            self._drop(group)
        left = (group[0] - gpus, group[1] - cores, group[2] - ram_gb)
        self._free[node] = left
        self._file(node, left)
        self.gpus_held += gpus
        self.cores_held += cores
        if self.gpus_held > self.peak_gpus:
            self.peak_gpus = self.gpus_held
        if self.cores_held > self.peak_cores:
            self.peak_cores = self.cores_held
        return node

    def nodes_at_peak(self) -> float:
        """Return the most nodes' worth that was in use since the last call."""
        by_gpu = self.peak_gpus / self.pool.gpus_per_node if self.pool.gpus_per_node else 0.0
        by_core = self.peak_cores / self.pool.cores_per_node
        self.peak_gpus, self.peak_cores = self.gpus_held, self.cores_held
        return max(by_gpu, by_core)

    def give_back(self, node: int, gpus: int, cores: int, ram_gb: int) -> None:
        """Free what was taken on a node."""
        old = self._free[node]
        group = self._groups[old]
        group.pop(bisect_left(group, node))
        if not group:
            self._drop(old)
        new = (old[0] + gpus, old[1] + cores, old[2] + ram_gb)
        self._free[node] = new
        self._file(node, new)
        self.gpus_held -= gpus
        self.cores_held -= cores

    def _file(self, node: int, free: Free) -> None:
        self._offers.clear()
        if free not in self._groups:
            self._groups[free] = []
            insort(self._keys, free)
        insort(self._groups[free], node)

    def _drop(self, group: Free) -> None:
        del self._groups[group]
        self._keys.pop(bisect_left(self._keys, group))
