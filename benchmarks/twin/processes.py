"""The keep-alive pool as one would write it in SimPy: a process for each request, no more.

Plain settings only (no limits, newest replica first), so that it does nothing that the comparison
does not ask for: what the speed of the kernel is held against. At one instant SimPy's own order
holds; `benchmarks.twin.cluster` is exact there.
"""

from __future__ import annotations

from collections.abc import Generator

import simpy

from sim.plan.calls import Calls
from sim.serving.kernel.outcome import Outcome

WARM, COLD = int(Outcome.WARM), int(Outcome.COLD)


class ProcessPool:
    """Plays requests, a process each.

    Args:
        asked: Who asks.
        idle_window: How long an idle replica is kept, ticks.
    """

    def __init__(self, asked: Calls, idle_window: int) -> None:
        """Start the process that lets requests come."""
        self.env, self.idle_window = simpy.Environment(), idle_window
        self.arrival, self.service = asked.arrival.tolist(), asked.service.tolist()
        self.start = asked.start.tolist()
        self.idle: dict[int, int] = {}  # replica: the request it served last; newest last
        self.rows: list[tuple[int, int, int]] = []  # begin, end, outcome
        self.replicas = self.allocated = 0
        self.env.process(self._arrivals())

    def play(self) -> None:
        """Play until nothing is left."""
        self.env.run()

    def _arrivals(self) -> Generator[simpy.Event, object, None]:
        env = self.env
        for request, time in enumerate(self.arrival):
            yield env.timeout(time - env.now)
            env.process(self._request(request))

    def _request(self, request: int) -> Generator[simpy.Event, object, None]:
        """Take or start a replica, compute, and leave the replica idle until its window ends."""
        env, begin, outcome = self.env, self.env.now, WARM
        if self.idle:
            replica, _ = self.idle.popitem()
        else:
            replica, self.replicas, outcome = self.replicas, self.replicas + 1, COLD
            self.allocated -= begin
            begin += self.start[request]
        end = begin + self.service[request]
        self.rows.append((begin, end, outcome))
        yield env.timeout(end - env.now)
        self.idle[replica] = request
        yield env.timeout(self.idle_window)
        if self.idle.get(replica) == request:
            del self.idle[replica]
            self.allocated += env.now
