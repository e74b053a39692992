"""Nodes of the twin's cluster: where replicas start, how long that takes, who is on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import simpy

from benchmarks.twin.deployments import Process
from benchmarks.twin.instants import At, Kind
from sim.ticks import NEVER


@dataclass(eq=False)
class TwinNode:
    """A node: its free room, whether it is on, and what it has.

    Args:
        cores: Free cores.
        ram_mb: Free memory, MB.
        on: Whether it is on, at the beginning until it is told otherwise.
        idle: How long it is empty before it is shut down, ticks, if it is off at the beginning.
        up_at: When it is or was up, ticks.
        on_since: When it was told to boot, ticks.
        images: When it has or had the image of an application, by its number.
        replicas: Those on it.
        spells: How often it fell empty, or was told otherwise.
        boot: How long it takes to boot, beside what is drawn.
    """

    cores: int
    ram_mb: int
    on: bool = True
    idle: int = NEVER
    up_at: int = 0
    on_since: int = 0
    images: dict[int, int] = field(default_factory=dict)
    replicas: list[TwinReplica] = field(default_factory=list)
    spells: int = 0
    boot: int = 0

    def __post_init__(self) -> None:
        """Keep a node that is on."""
        self.idle = NEVER if self.on else self.idle

    def lacks_room(self) -> bool:
        """Return whether it has lost the room for what is on it."""
        return self.cores < 0 or self.ram_mb < 0


@dataclass(eq=False)
class TwinReplica:
    """A replica.

    Args:
        node: Where.
        born: When it was started, ticks.
        ready_at: When it can compute, ticks.
        load: How many requests it has.
        works_since: When it began to compute, if it does, ticks.
        leaving: Whether it only finishes what it has.
        spells: How often it fell idle, or was told otherwise.
        idle_since: Since when it has been idle, ticks.
    """

    node: TwinNode
    born: int
    ready_at: int
    load: int = 0
    works_since: int = 0
    leaving: bool = False
    spells: int = 0
    idle_since: int = 0


class TwinNodes:
    """The nodes of a cluster.

    Args:
        env: The SimPy environment.
        nodes: The nodes, by number.
        freed: Is called when room was freed, after what happens now.
    """

    def __init__(
        self, env: simpy.Environment, nodes: Sequence[TwinNode], freed: Callable[[], None]
    ) -> None:
        """Store them."""
        self.env, self.nodes, self.freed = env, list(nodes), freed
        self.provisioned = 0

    def find(self, app: int, cores: int, ram_mb: int) -> TwinNode | None:
        """Return the node for one more replica: on, with the image, full, the first."""
        fit = [n for n in self.nodes if n.cores >= cores and n.ram_mb >= ram_mb]
        return min(fit, key=lambda n: (not n.on, app not in n.images, n.cores), default=None)

    def start(
        self, node: TwinNode, app: int, cores: int, ram_mb: int, delays: tuple[int, int, int]
    ) -> TwinReplica:
        """Start a replica: boot the node, pull the image, start, whatever is needed."""
        start, pull, boot = delays
        now = self.env.now
        if not node.on:
            node.on, node.on_since, node.up_at = True, now, now + boot + node.boot
        up_at = max(now, node.up_at)
        node.images.setdefault(app, up_at + pull)
        node.cores -= cores
        node.ram_mb -= ram_mb
        replica = TwinReplica(node, now, max(up_at, node.images[app]) + start)
        node.replicas.append(replica)
        return replica

    def remove(self, replica: TwinReplica, cores: int, ram_mb: int) -> None:
        """Free the room of a replica."""
        node = replica.node
        node.replicas.remove(replica)
        node.cores += cores
        node.ram_mb += ram_mb
        room = At(self.env, self.env.now, Kind.ROOM)
        room.callbacks.append(lambda _: self.freed())
        if not node.replicas and node.idle < NEVER:
            self.env.process(self.empty(node))

    def shut_down_after(self, node: TwinNode, idle: int, boot: int) -> None:
        """Shut a node down when it is empty for so long from now on."""
        node.idle, node.boot = idle, boot
        node.spells += 1
        if node.on and not node.replicas and idle < NEVER:
            self.env.process(self.empty(node))

    def empty(self, node: TwinNode) -> Process:
        """Shut a node down if it is empty for long enough after it is up; its images are lost."""
        node.spells += 1
        spell = node.spells
        time = max(self.env.now, node.up_at) + node.idle
        yield At(self.env, time, Kind.EMPTY, self.nodes.index(node))
        if not node.replicas and node.spells == spell:
            self.provisioned += self.env.now - node.on_since
            node.on = False
            node.images.clear()

    def finish(self) -> None:
        """Count the nodes that are on at the end."""
        self.provisioned += sum(self.env.now - node.on_since for node in self.nodes if node.on)
