"""The keep-alive pool once more in plain SimPy: a process for each request and idle window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import simpy

from benchmarks.twin.deployments import Process
from sim.engine.loop import Order
from sim.plan.calls import Calls
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.ticks import NEVER

Row = tuple[int, int, int, int]  # request, begin, end, outcome


class At(simpy.Event):
    """An event at a time, with its place among what happens then."""

    def __init__(self, env: simpy.Environment, time: int, order: Order) -> None:
        """Schedule it."""
        super().__init__(env)
        self._ok, self._value = True, None
        env.schedule(self, priority=order, delay=time - env.now)  # type: ignore[arg-type]


@dataclass
class TwinNode:
    """A node: room for replicas, how many there are, when it was up and had the image."""

    room: int
    count: int = 0
    boot_at: int = 0
    up_at: int = 0
    cached_at: int = 0
    used_at: int = 0


@dataclass(eq=False)
class TwinReplica:
    """A replica, and how often it fell idle."""

    node: TwinNode
    born: int
    spells: int = 0


class TwinKeepAlive:
    """Plays requests against nodes.

    Args:
        pool: Parameters.
        requests: Who asks.
        nodes: In the order in which they are tried.
        changes: Times, ascending, and the room on each node from then on.
        horizon: End, ticks.
    """

    def __init__(
        self,
        pool: KeepAlive,
        requests: Calls,
        nodes: Sequence[TwinNode],
        changes: Iterable[tuple[int, Sequence[int]]],
        horizon: int,
    ) -> None:
        """Start the processes."""
        self.env = simpy.Environment()
        self.pool, self.nodes, self.horizon = pool, list(nodes), horizon
        self.columns = [column.tolist() for column in requests]
        self.rows: list[Row] = []
        self.idle: list[TwinReplica] = []
        self.line: deque[tuple[int, simpy.Event]] = deque()
        self.alive: set[TwinReplica] = set()
        self.allocated = self.active = 0
        self.env.process(self.arrivals())
        self.env.process(self.capacity(list(changes)))

    def play(self) -> None:
        """Play to the horizon, with what ends then."""
        self.env.run(until=self.horizon + 1)
        self.allocated += sum(self.horizon - replica.born for replica in self.alive)

    def arrivals(self) -> Process:
        """Let requests come."""
        for request, time in enumerate(self.columns[0]):
            if time >= self.horizon:
                return
            yield At(self.env, time, Order.ARRIVAL)
            self.env.process(self.request(request))

    def capacity(self, changes: list[tuple[int, Sequence[int]]]) -> Process:
        """Change the room on the nodes."""
        for time, rooms in changes:
            yield At(self.env, time, Order.CAPACITY)
            for node, room in zip(self.nodes, rooms, strict=True):
                node.room = room
            for replica in list(self.idle):
                if self.in_excess(replica):
                    self.idle.remove(replica)
                    self.remove(replica)
            while self.line and self.serve(*self.line[0]):
                self.line.popleft()

    def request(self, request: int) -> Process:
        """Live through a request: find a replica, or wait for one."""
        now, served = self.env.now, self.env.event()
        if not self.line and self.serve(request, served):
            pass
        elif len(self.line) >= self.pool.queue:
            self.rows.append((request, now, now, Outcome.REJECTED))
            return
        else:
            entry = (request, served)
            self.line.append(entry)
            patience = now + self.pool.timeout
            if patience < self.horizon:
                yield served | At(self.env, patience, Order.PATIENCE)
            if not served.triggered and patience < self.horizon:
                self.line.remove(entry)
                self.rows.append((request, patience, patience, Outcome.TIMEOUT))
                return
        replica, begin = yield served
        end = begin + self.columns[1][request]
        self.active += max(self.horizon - begin, 0) - max(self.horizon - end, 0)
        yield At(self.env, end, Order.RELEASE)
        self.release(replica)

    def serve(self, request: int, served: simpy.Event) -> bool:
        """Give a request a replica, if there is one or room for one."""
        now = self.env.now
        if self.idle:
            replica = self.idle.pop(-1 if self.pool.newest_first else 0)
            begin, outcome = now, Outcome.WARM
        else:
            node = next((n for n in self.nodes if n.count < n.room), None)
            if node is None or len(self.alive) >= self.pool.max_scale:
                return False
            replica, begin, outcome = (
                TwinReplica(node, now),
                self.start(node, request),
                Outcome.COLD,
            )
            self.alive.add(replica)
        self.rows.append((request, begin, begin + self.columns[1][request], outcome))
        served.succeed((replica, begin))
        return True

    def start(self, node: TwinNode, request: int) -> int:
        """Return when a new replica on a node is ready."""
        _, _, start, pull, boot = (column[request] for column in self.columns)
        node.count += 1
        if node.boot_at == NEVER:
            node.boot_at, node.up_at = self.env.now, self.env.now + boot
        up = max(self.env.now, node.up_at)
        if node.cached_at == NEVER:
            node.cached_at = up + pull
        return max(up, node.cached_at) + start

    def release(self, replica: TwinReplica) -> None:
        """Let a replica go, serve the next, or fall idle."""
        surplus = len(self.alive) > self.pool.min_scale
        if self.in_excess(replica) or (self.pool.idle_window == 0 and surplus):
            self.remove(replica)
        else:
            self.idle.append(replica)
            self.env.process(self.window(replica))
        if self.line and self.serve(*self.line[0]):
            self.line.popleft()

    def window(self, replica: TwinReplica) -> Process:
        """Wait out an idle window."""
        replica.spells += 1
        spell = replica.spells
        yield At(self.env, self.env.now + self.pool.idle_window, Order.RELEASE)
        still = replica in self.idle and replica.spells == spell
        if still and len(self.alive) > self.pool.min_scale:
            self.idle.remove(replica)
            self.remove(replica)

    def in_excess(self, replica: TwinReplica) -> bool:
        """Return whether there are more replicas than there may be."""
        node = replica.node
        return node.count > node.room or len(self.alive) > self.pool.max_scale

    def remove(self, replica: TwinReplica) -> None:
        """Count a replica and forget it."""
        self.alive.remove(replica)
        replica.node.count -= 1
        replica.node.used_at = self.env.now
        self.allocated += self.env.now - replica.born
