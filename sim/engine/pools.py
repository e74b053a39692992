"""Pools at work: nodes with free GPUs, cores and memory, found by best fit in bounded time.

A GPU of which a part is held is split: what is left of it goes to other parts only, and it is whole
again when the last part is given back. So no whole GPU is ever put together from halves of two, and
no part lies on two.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence

from sim.entities import Pool
from sim.policies.base import PoolView

Shape = tuple[float, int, int]  # GPUs (a whole number, or below 1), cores, GB of memory asked for
Free = tuple[float, ...]  # whole GPUs, cores, GB of memory, then parts of split GPUs, ascending
# a pool, the group of its nodes that fits best, and what a policy sees of it
Offer = tuple["PoolState", Free | None, PoolView]
Spot = tuple[int, int | None]  # a node and, for a part of a GPU, which of the node's split ones

def _most(free: Free) -> float:
    """Return the most GPUs that a request can get of a node with so much free."""
    return free[0] or max(free[3:], default=0)


def _tightest(free: Free, part: float) -> float:
    """Return how much is free on the GPU of a node with the least free that can take a part."""
    return next((p for p in free[3:] if p >= part), 1.0)


class PoolState:
    """The nodes of one pool, grouped by what they have free.

    Nodes with the same free GPUs, cores and memory are interchangeable; the fullest group that
    fits is taken, and in it the node with the smallest number, one that is on before one that is
    switched off. A part of a GPU goes where the least is left of a GPU, so that whole ones stay
    whole. What is offered is remembered until something in the pool changes: most placements change
    one pool of several.

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
        self.gpus_held: float = 0
        self.cores_held = 0
        self.peak_gpus: float = 0
        self.peak_cores = 0
        self.off: dict[int, float] = {}  # nodes that are switched off, and how long they boot, h
        self._free: list[Free] = []
        self._split: dict[int, dict[int, float]] = {}  # of a node, what each split GPU has free
        self._groups: dict[Free, list[int]] = {}
        self._keys: list[Free] = []
        self._offers: dict[Shape, Offer] = {}
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

    def offer(self, shape: Shape) -> Offer:
        """Return the fullest group of nodes that fits, None if none does, and the view of it."""
        found = self._offers.get(shape)
        if found is None:
            group = None if self.out else self._find(shape)
            found = self._offers[shape] = (self, group, self._seen(group is not None))
        return found

    def _find(self, shape: Shape) -> Free | None:
        keys, (gpus, cores, ram_gb) = self._keys, shape
        if gpus % 1:
            room = [k for k in keys if _most(k) >= gpus and k[1] >= cores and k[2] >= ram_gb]
            return min(room, key=lambda k: (_tightest(k, gpus), k), default=None)
        for key in keys[bisect_left(keys, shape) :]:
            if key[1] >= cores and key[2] >= ram_gb:
                return key
        return None

    def _seen(self, fits: bool) -> PoolView:
        return PoolView(
            self.name,
            self.weight,
            self.nodes * self.gpus_per_node,
            self.nodes * self.cores_per_node,
            self.gpus_held,
            self.cores_held,
            fits,
        )

    def set_out(self, out: bool) -> None:
        """Take the pool out, or back in."""
        self.out = out
        self._offers.clear()
        self._full.clear()

    def close(self) -> None:
        """Take away all nodes for good."""
        self.closed, self.nodes = True, 0
        self.off.clear()
        self._offers.clear()

    def take(self, group: Free, shape: Shape) -> Spot:
        """Occupy a node of the group that was offered."""
        gpus, cores, ram_gb = shape
        nodes, off = self._groups[group], self.off
        node = min(nodes, key=lambda n: (n in off, n)) if off else nodes[0]
        whole, gpu = gpus, None
        if gpus % 1:
            gpu, whole = self._cut(node, gpus)
        self._move(node, group, (group[0] - whole, group[1] - cores, group[2] - ram_gb))
        self.gpus_held += gpus
        self.cores_held += cores
        if self.gpus_held > self.peak_gpus:
            self.peak_gpus = self.gpus_held
        if self.cores_held > self.peak_cores:
            self.peak_cores = self.cores_held
        return node, gpu

    def nodes_at_peak(self) -> float:
        """Return the most nodes' worth that was in use since the last call."""
        by_gpu = self.peak_gpus / self.pool.gpus_per_node if self.pool.gpus_per_node else 0.0
        by_core = self.peak_cores / self.pool.cores_per_node
        self.peak_gpus, self.peak_cores = self.gpus_held, self.cores_held
        return max(by_gpu, by_core)

    def give_back(self, spot: Spot, shape: Shape) -> None:
        """Free what was taken."""
        (node, gpu), (gpus, cores, ram_gb) = spot, shape
        old, whole = self._free[node], gpus
        if gpu is not None:
            whole = self._join(node, gpu, gpus)
        new = self._move(node, old, (old[0] + whole, old[1] + cores, old[2] + ram_gb))
        if self._full:
            self._freed(new)
        self.gpus_held -= gpus
        self.cores_held -= cores

    def _cut(self, node: int, part: float) -> tuple[int, int]:
        """Take a part of a GPU: of the split one with the least free that fits, else of a whole.

        Of several such the one that has been split for longest.

        Returns:
            The number of the GPU among the split ones, and how many whole GPUs that took: 0 or 1.
        """
        split = self._split.setdefault(node, {})
        fitting = [gpu for gpu, free in split.items() if free >= part]
        if fitting:
            gpu = min(fitting, key=split.__getitem__)
            split[gpu] -= part
            return gpu, 0
        gpu = min(set(range(len(split) + 1)) - split.keys())
        split[gpu] = 1.0 - part
        return gpu, 1

    def _join(self, node: int, gpu: int, part: float) -> int:
        """Give a part of a GPU back; return how many whole GPUs that gives: 0 or 1."""
        split = self._split[node]
        split[gpu] += part
        if split[gpu] < 1.0:
            return 0
        del split[gpu]
        return 1

    def _freed(self, free: Free) -> None:
        """Note that a node has so much free: some shapes that fitted nowhere fit there."""
        gpus, cores, ram_gb = _most(free), free[1], free[2]
        self._full -= {s for s in self._full if s[0] <= gpus and s[1] <= cores and s[2] <= ram_gb}

    def _move(self, node: int, old: Free, new: Free) -> Free:
        """Take a node from one group to another; a group without nodes goes.

        Returns:
            What the node has free from now on, with the parts of split GPUs, which `new` lacks.
        """
        if node in self._split:
            new += tuple(sorted(part for part in self._split[node].values() if part))
        group = self._groups[old]
        del group[bisect_left(group, node)]
        if not group:
            del self._groups[old]
            del self._keys[bisect_left(self._keys, old)]
        self._free[node] = new
        self._file(node, new)
        return new

    def _file(self, node: int, free: Free) -> None:
        self._offers.clear()
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
        offers = [pool.offer(shape) for pool in pools if pool.nodes]
        for _, group, _ in offers:
            if group is not None:
                return offers
        self._full.add(shape)
        return ()
