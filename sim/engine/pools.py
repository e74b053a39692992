"""Pools at work: nodes with free GPUs, cores and memory, found by best fit in bounded time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from sim.entities import Pool
from sim.policies.base import PoolView

Shape = tuple[int, int, int]  # GPUs, cores, GB of memory asked for
Free = tuple[int, int, int]  # the same that a node has free
Offer = tuple["PoolState", Free | None]  # a pool, and the group of its nodes that fits best

_UNKNOWN: Free = (-1, -1, -1)


class PoolState:
    """The nodes of one pool, grouped by what they have free.

    Nodes with the same free GPUs, cores and memory are interchangeable; the fullest group that
    fits is taken, and in it the node with the smallest number, one that is on before one that is
    switched off. What fits and what policies see is remembered until something in the pool changes:
    most placements change one pool of several.

    Args:
        name: Name of the pool.
        pool: Its description.
        full: Shapes known to fit in no pool; those that fit on a node that is freed are taken out.
    """

    def __init__(self, name: str, pool: Pool, full: set[Shape]) -> None:
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
        self.off: dict[int, float] = {}  # nodes that are switched off, and how long they boot, h
        self._free: list[Free] = []
        self._groups: dict[Free, list[int]] = {}
        self._keys: list[Free] = []
        self._fitting: dict[Shape, Free | None] = {}
        self._seen: dict[bool, PoolView] = {}
        self._full = full

    def add_node(self) -> int:
        """Add an empty node and return its number."""
        free = (self.pool.gpus_per_node, self.pool.cores_per_node, self.pool.ram_gb_per_node)
        node = len(self._free)
        self._free.append(free)
        self.nodes += 1
        self._file(node, free)
        self._freed(free)
        return node

    @property
    def on(self) -> int:
        """Return how many nodes are on."""
        return self.nodes - len(self.off)

    def is_empty(self, node: int) -> bool:
        """Return whether nobody is on a node."""
        pool = self.pool
        return self._free[node] == (
            pool.gpus_per_node, pool.cores_per_node, pool.ram_gb_per_node
        )  # fmt: skip

    def fitting(self, shape: Shape) -> Free | None:
        """Return the fullest group of nodes that fits, None if none does."""
        found = self._fitting.get(shape, _UNKNOWN)
        if found is _UNKNOWN:
            found = self._fitting[shape] = None if self.out else self._find(shape)
        return found

    def _find(self, shape: Shape) -> Free | None:
        keys, (_, cores, ram_gb) = self._keys, shape
        for at in range(bisect_left(keys, shape), len(keys)):
            key = keys[at]
            if key[1] >= cores and key[2] >= ram_gb:
                return key
        return None

    def seen(self, fits: bool) -> PoolView:
        """Return what a policy sees of the pool if a request fits, or does not."""
        found = self._seen.get(fits)
        if found is None:
            found = self._seen[fits] = PoolView(
                self.name,
                self.weight,
                self.nodes * self.gpus_per_node,
                self.nodes * self.cores_per_node,
                self.gpus_held,
                self.cores_held,
                fits,
            )
        return found

    def set_out(self, out: bool) -> None:
        """Take the pool out, or back in."""
        self.out = out
        self._fitting.clear()
        self._full.clear()

    def close(self) -> None:
        """Take away all nodes for good."""
        self.closed, self.nodes = True, 0
        self.off.clear()
        self._seen.clear()

    def take(self, group: Free, shape: Shape) -> int:
        """Occupy a node of the group that `fitting` named and return its number."""
        gpus, cores, ram_gb = shape
        nodes, off = self._groups[group], self.off
        node = min(nodes, key=lambda n: (n in off, n)) if off else nodes[0]
        self._move(node, group, (group[0] - gpus, group[1] - cores, group[2] - ram_gb))
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
        new = (old[0] + gpus, old[1] + cores, old[2] + ram_gb)
        self._move(node, old, new)
        if self._full:
            self._freed(new)
        self.gpus_held -= gpus
        self.cores_held -= cores

    def _freed(self, free: Free) -> None:
        """Note that a node has so much free: some shapes that fitted nowhere fit there."""
        gpus, cores, ram_gb = free
        self._full -= {s for s in self._full if s[0] <= gpus and s[1] <= cores and s[2] <= ram_gb}

    def _move(self, node: int, old: Free, new: Free) -> None:
        """Take a node from one group to another; a group without nodes goes."""
        group = self._groups[old]
        del group[bisect_left(group, node)]
        if not group:
            del self._groups[old]
            del self._keys[bisect_left(self._keys, old)]
        self._free[node] = new
        self._file(node, new)

    def _file(self, node: int, free: Free) -> None:
        self._fitting.clear()
        self._seen.clear()
        if free not in self._groups:
            self._groups[free] = []
            insort(self._keys, free)
        insort(self._groups[free], node)


class Pools:
    """All pools of a federation.

    That a shape fits nowhere is remembered until a node with room for it is freed.

    Args:
        pools: Their descriptions by name.
    """

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        """Start without nodes."""
        self._full: set[Shape] = set()
        self.named = {name: PoolState(name, pool, self._full) for name, pool in pools.items()}
        every = list(self.named.values())
        self._with_gpus = [p for p in every if p.gpus_per_node > 0]
        self._without = [p for p in every if p.gpus_per_node == 0] or every

    def offers(self, shape: Shape) -> Sequence[Offer]:
        """Return what the pools for a shape offer to it; nothing if it fits nowhere."""
        if shape in self._full:
            return ()
        pools = self._with_gpus if shape[0] else self._without
        groups = [pool.fitting(shape) for pool in pools]
        if not any(groups):
            self._full.add(shape)
            return ()
        offers = zip(pools, groups, strict=True)
        return [(pool, group) for pool, group in offers if pool.nodes]
