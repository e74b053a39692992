"""The event loop: SimPy, with a stated order for what happens at the same instant."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import simpy
from simpy.core import EmptySchedule


class Order(IntEnum):
    """What comes first when events fall on the same instant; ties within: first scheduled first.

    Releases free capacity before it changes, changes come before new requests are placed, and
    whoever is placed at the instant his patience ends is not withdrawn. SimPy's own two
    priorities (0 and 1) are left to processes.
    """

    RELEASE = 2
    CAPACITY = 3
    ARRIVAL = 4
    PATIENCE = 5
    REVIEW = 6


class Loop:
    """Runs actions at times up to the horizon (half open: nothing at the horizon itself).

    Args:
        horizon_h: End of the simulated time in h.
    """

    def __init__(self, horizon_h: float) -> None:
        """Store the horizon and start at time 0."""
        self.env = simpy.Environment()
        self.horizon_h = horizon_h
        self.events = 0

    @property
    def now_h(self) -> float:
        """Current simulated time in h since the start."""
        return self.env.now

    def at(
        self, time_h: float, order: Order, action: Callable[..., None], *arguments: object
    ) -> simpy.Event | None:
        """Schedule `action(*arguments)`; times before now are taken as now.

        Returns:
            A handle for `cancel`, or None if the time is not before the horizon.
        """
        if time_h >= self.horizon_h:
            return None
        env = self.env
        event = simpy.Event(env)
        event._ok, event._value = True, None  # triggered: as simpy.Timeout does it
        event.callbacks = [lambda _: action(*arguments)]
        now = env.now
        env.schedule(event, order, time_h - now if time_h > now else 0.0)  # type: ignore[arg-type]
        self.events += 1
        return event

    @staticmethod
    def cancel(event: simpy.Event | None) -> None:
        """Take the action off an event that has not happened yet."""
        if event is not None and event.callbacks is not None:
            event.callbacks.clear()

    def run(self) -> None:
        """Process every event before the horizon."""
        step = self.env.step
        try:
            while True:
                step()
        except EmptySchedule:
            return
