"""Pools of the twin: nodes whose GPUs are looked at one by one."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from sim.entities import Pool

Process = Generator[simpy.Event, Any, None]


@dataclass
class Node:
    """A node and what it has free; of each of its GPUs by itself, from 0 to 1.

    `split` has the GPUs of which parts are held, in the order in which they were split; `boot_h` is
    there if it is switched off, `spells` counts how often it has been empty.
    """

    number: int
    gpus: list[float]
    cores: int
    ram_gb: int
    split: list[int] = field(default_factory=list)
    boot_h: float | None = None
    up_h: float = 0.0
    spells: int = 0

    def has(self, gpus: float) -> bool:
        """Return whether so many GPUs are free, or one of them has such a part."""
        return max(self.gpus) >= gpus if 0 < gpus < 1 else self.gpus.count(1.0) >= gpus

    def take(self, gpus: float) -> list[int]:
        """Take GPUs and return which: free ones, or the fullest with a part, the oldest such."""
        whole = [i for i, free in enumerate(self.gpus) if free == 1.0]
        chosen = whole[: int(gpus)]
        if 0 < gpus < 1:
            fitting = [i for i in self.split if self.gpus[i] >= gpus]
            chosen = [min(fitting or whole, key=self.gpus.__getitem__)]
            self.split += chosen * (not fitting)
        for i in chosen:
            self.gpus[i] -= min(gpus, 1.0)
        return chosen

    def give_back(self, chosen: list[int], gpus: float) -> None:
        """Give back what `take` chose."""
        for i in chosen:
            self.gpus[i] += min(gpus, 1.0)
        self.split = [i for i in self.split if self.gpus[i] < 1.0]

    def rank(self, gpus: float) -> tuple[Any, ...]:
        """Return how full it is, for a request that fits: first that GPU, if it gets a part."""
        parts = sorted(free for free in self.gpus if 0.0 < free < 1.0)
        tightest = min((p for p in parts if p >= gpus), default=1.0) if 0 < gpus < 1 else 1.0
        off = self.boot_h is not None
        return tightest, self.gpus.count(1.0), self.cores, self.ram_gb, parts, off, self.number


@dataclass
class Site:
    """A pool at work."""

    name: str
    pool: Pool
    nodes: list[Node] = field(default_factory=list)
    out: bool = False
    closed: bool = False
    gpus_held: float = 0
    cores_held: int = 0
    peak: tuple[float, int] = (0, 0)

    @property
    def on(self) -> int:
        """Return how many nodes are on."""
        return sum(node.boot_h is None for node in self.nodes)

    def node_for(self, gpus: float, cores: int, ram_gb: int) -> Node | None:
        """Return the fullest node with so much free."""
        if self.out:
            return None
        fitting = [
            n for n in self.nodes
            if n.cores >= cores and n.ram_gb >= ram_gb and n.has(gpus)
        ]
        return min(fitting, key=lambda n: n.rank(gpus), default=None)
