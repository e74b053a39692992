"""Pools at work: nodes with free GPUs, cores and memory, found by best fit in bounded time."""

from __future__ import annotations

from bisect import bisect_left, insort

from sim.entities import Pool

Free = tuple[int, int, int]  # GPUs, cores, GB of memory that a node has free


class PoolState:
    """The nodes of one pool, grouped by what they have free.

    Nodes with the same free GPUs, cores and memory are interchangeable; the fullest group that
    fits is taken, and in it the node with the smallest number.

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

    def add_node(self) -> int:
        """Add an empty node and return its number."""
        free = (self.pool.gpus_per_node, self.pool.cores_per_node, self.pool.ram_gb_per_node)
        node = len(self._free)
        self._free.append(free)
        self.nodes += 1
        self._file(node, free)
        return node

    def fitting_group(self, gpus: int, cores: int, ram_gb: int) -> Free | None:
        """Return the fullest group of nodes with so much free, or None."""
        if self.out:
            return None
        keys = self._keys
        for key in keys[bisect_left(keys, (gpus, cores, ram_gb)) :]:
            if key[1] >= cores and key[2] >= ram_gb:
                return key
        return None

    def take(self, group: Free, gpus: int, cores: int, ram_gb: int) -> int:
        """Occupy a node of the group that `fitting_group` named and return its number."""
        nodes = self._groups[group]
        node = nodes.pop(0)
        if not nodes:
            self._drop(group)
        left = (group[0] - gpus, group[1] - cores, group[2] - ram_gb)
        self._free[node] = left
        self._file(node, left)
        self.gpus_held += gpus
        self.cores_held += cores
        self.peak_gpus = max(self.peak_gpus, self.gpus_held)
        self.peak_cores = max(self.peak_cores, self.cores_held)
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
        if free not in self._groups:
            self._groups[free] = []
            insort(self._keys, free)
        insort(self._groups[free], node)

    def _drop(self, group: Free) -> None:
        del self._groups[group]
        self._keys.pop(bisect_left(self._keys, group))
