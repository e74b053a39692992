"""Keep-alive once more in plain SimPy: a process for each idle window."""

from __future__ import annotations

from typing import Any

from benchmarks.twin.applications import TwinApplication, TwinRequest
from benchmarks.twin.deployments import Process
from benchmarks.twin.instants import At, Kind
from benchmarks.twin.nodes import TwinReplica
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.ticks import NEVER


class TwinKeepAlive(TwinApplication):
    """An application whose replicas take one request and are kept a while.

    Args:
        policy: How long, and how many.
        about: See `TwinApplication`.
    """

    def __init__(self, policy: KeepAlive, *about: Any) -> None:
        """Begin without replicas; for the rest see `TwinApplication`."""
        super().__init__(*about)
        self.policy = policy
        self.idle: list[TwinReplica] = []

    def host(self) -> None:
        """Start the replicas that are kept for ever."""
        first = min(self.policy.min_scale, self.policy.max_scale)
        for replica in self.start_some(first - len(self.replicas)):
            self.fall_idle(replica)

    def come(self, request: TwinRequest) -> bool:
        """Serve a request if nobody waits, else let it wait."""
        if not self.line and self.serve(request):
            return True
        if len(self.line) >= self.policy.queue:
            return False
        self.line.append(request)
        return True

    def serve(self, request: TwinRequest) -> bool:
        """Give a request an idle replica, or a new one if there is room for it."""
        now = self.env.now
        if self.idle:
            replica = self.idle.pop(-1 if self.policy.newest_first else 0)
            outcome = Outcome.COLD if replica.ready_at > now else Outcome.WARM
        elif self.may_start():
            node = self.find()
            assert node is not None
            replica, outcome = self.start(node, request.delays), Outcome.COLD
        else:
            return False
        self.compute(replica, request, max(now, replica.ready_at), outcome)
        return True

    def may_start(self) -> bool:
        """Return whether the maximum and the nodes allow one more replica."""
        return len(self.replicas) < self.policy.max_scale and self.find() is not None

    def serves_waiting(self) -> bool:
        """Return whether somebody waits for room, and room is there."""
        return bool(self.line) and self.may_start()

    def serve_first(self) -> None:
        """Start a replica for who has waited longest."""
        self.serve(self.line.popleft())

    def release(self, replica: TwinReplica) -> None:
        """Let a replica go, serve the next, or fall idle."""
        self.unload(replica)
        surplus = len(self.replicas) > self.policy.min_scale
        if replica.node.lacks_room() or (self.policy.idle_window == 0 and surplus):
            self.remove(replica)
        elif self.line:
            self.compute(replica, self.line.popleft(), self.env.now, Outcome.WARM)
        else:
            self.fall_idle(replica)

    def fall_idle(self, replica: TwinReplica) -> None:
        """Let a replica be idle from now on."""
        self.idle.append(replica)
        replica.idle_since = self.env.now
        self.wait_out(replica)

    def wait_out(self, replica: TwinReplica) -> None:
        """Begin to wait for the end of an idle window."""
        replica.spells += 1
        if self.policy.idle_window < NEVER:
            self.env.process(self.window(replica, replica.spells))

    def adapt(self, policy: KeepAlive, hosted: bool) -> None:
        """Go by another idle window, and start what is kept for ever."""
        self.policy = policy
        for replica in self.idle:
            self.wait_out(replica)
        if hosted:
            self.env.process(self.hosting())

    def window(self, replica: TwinReplica, spell: int) -> Process:
        """Wait out an idle window."""
        end = max(replica.idle_since + self.policy.idle_window, self.env.now)
        yield At(self.env, end, Kind.EXPIRE, self.number)
        still = replica in self.idle and replica.spells == spell
        if still and len(self.replicas) > self.policy.min_scale:
            self.idle.remove(replica)
            self.remove(replica)

    def make_room(self) -> None:
        """Let idle replicas go from nodes that lost room, the longest idle first."""
        for replica in list(self.idle):
            if replica.node.lacks_room():
                self.idle.remove(replica)
                self.remove(replica)
