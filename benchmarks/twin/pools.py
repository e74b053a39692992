"""Pools of the twin: a list of nodes each, walked from the front."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from sim.entities import Pool

Process = Generator[simpy.Event, Any, None]


@dataclass
class Node:
    """A node and what it has free; `boot_h` if it is switched off, `spells` of being empty."""

    number: int
    gpus: int
    cores: int
    ram_gb: int
    boot_h: float | None = None
    up_h: float = 0.0
    spells: int = 0


@dataclass
class Site:
    """A pool at work."""

    name: str
    pool: Pool
    nodes: list[Node] = field(default_factory=list)
    out: bool = False
    closed: bool = False
    gpus_held: int = 0
    cores_held: int = 0
    peak: tuple[int, int] = (0, 0)

    @property
    def on(self) -> int:
        """Return how many nodes are on."""
        return sum(node.boot_h is None for node in self.nodes)

    def node_for(self, gpus: int, cores: int, ram_gb: int) -> Node | None:
        """Return the fullest node with so much free."""
        if self.out:
            return None
        fitting = [
            n for n in self.nodes if n.gpus >= gpus and n.cores >= cores and n.ram_gb >= ram_gb
        ]
        return min(fitting, key=_fullest, default=None)


def _fullest(node: Node) -> tuple[int, int, int, bool, int]:
    return node.gpus, node.cores, node.ram_gb, node.boot_h is not None, node.number
