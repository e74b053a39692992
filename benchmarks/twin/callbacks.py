"""The keep-alive pool in SimPy without processes: events with callbacks, the fastest SimPy allows.

Plain settings only (no limits, newest replica first): what the speed of the kernel is held against.
"""

from __future__ import annotations

import simpy

from sim.plan.calls import Calls


class CallbackPool:
    """Plays requests, event by event.

    Args:
        asked: Who asks.
        idle_window: How long an idle replica is kept, ticks.
    """

    def __init__(self, asked: Calls, idle_window: int) -> None:
        """Schedule the first arrival."""
        self.env, self.idle_window = simpy.Environment(), idle_window
        self.arrival, self.service = asked.arrival.tolist(), asked.service.tolist()
        self.start = asked.start.tolist()
        self.idle: dict[int, int] = {}  # replica: when its window ends; newest last
        self.cold = self.replicas = self.allocated = 0
        self._at(self.arrival[0], self._arrive, 0)

    def play(self) -> None:
        """Play until nothing is left."""
        self.env.run()

    def _at(self, time: int, call: object, argument: int) -> None:
        event = simpy.Timeout(self.env, time - self.env.now, argument)
        event.callbacks.append(call)  # type: ignore[union-attr, arg-type]

    def _arrive(self, event: simpy.Event) -> None:
        request = event.value
        if request + 1 < len(self.arrival):
            self._at(self.arrival[request + 1], self._arrive, request + 1)
        end = self.env.now + self.service[request]
        if self.idle:
            replica, _ = self.idle.popitem()
        else:
            replica, self.replicas = self.replicas, self.replicas + 1
            self.cold += 1
            self.allocated -= self.env.now
            end += self.start[request]
        self._at(end, self._end, replica)

    def _end(self, event: simpy.Event) -> None:
        replica = event.value
        self.idle[replica] = self.env.now + self.idle_window
        self._at(self.idle[replica], self._expire, replica)

    def _expire(self, event: simpy.Event) -> None:
        if self.idle.get(event.value) == self.env.now:
            del self.idle[event.value]
            self.allocated += self.env.now
