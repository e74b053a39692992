"""The event loop: SimPy, with a stated order for what happens at the same instant."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import simpy
from simpy.core import EmptySchedule


class Order(IntEnum):
    """What comes first when events fall on the same instant; ties within: first scheduled first.

    Releases free capacity before it changes, changes come before new requests are placed, and
    whoever is placed at the instant his patience ends is not withdrawn. A node that is wanted at
    the instant it would be switched off stays on. SimPy's own two priorities (0 and 1) are left to
    processes.
    """

    RELEASE = 2
    CAPACITY = 3
    ARRIVAL = 4
    PATIENCE = 5
    REVIEW = 6
    SWITCH = 7


# for every event: quicker than by the class
RELEASE, CAPACITY, ARRIVAL, PATIENCE, REVIEW, SWITCH = Order


class Action:
    """A call at a time: as much of a SimPy event as `Environment.step` looks at.

    Args:
        call: What to do.
        arguments: With what.
        callbacks: What SimPy calls when it happens.
    """

    __slots__ = ("arguments", "call", "callbacks")
    _ok = True  # SimPy's word for: nothing failed

    def __init__(
        self,
        call: Callable[..., None],
        arguments: tuple[object, ...],
        callbacks: tuple[Callable[[Action], None], ...],
    ) -> None:
        """Be ready to be scheduled."""
        self.call, self.arguments = call, arguments
        self.callbacks: tuple[Callable[[Action], None], ...] | None = callbacks


class Loop:
    """Runs actions at times up to the horizon (half open: nothing at the horizon itself).

    Its attribute `now_h` is the current simulated time in h since the start.

    Args:
        horizon_h: End of the simulated time in h.
    """

    def __init__(self, horizon_h: float) -> None:
        """Store the horizon and start at time 0."""
        self.env = simpy.Environment()
        self.horizon_h = horizon_h
        self.now_h = 0.0
        self.events = 0
        self._do_it = (self._do,)

    def _do(self, action: Action) -> None:
        self.now_h = self.env.now
        action.call(*action.arguments)

    def at(
        self, time_h: float, order: Order, call: Callable[..., None], *arguments: object
    ) -> Action | None:
        """Schedule `call(*arguments)`; times before now are taken as now.

        Returns:
            A handle for `cancel`, or None if the time is not before the horizon.
        """
        if time_h >= self.horizon_h:
            return None
        action, now = Action(call, arguments, self._do_it), self.now_h
        self.env.schedule(action, order, time_h - now if time_h > now else 0.0)
        self.events += 1
        return action

    @staticmethod
    def cancel(action: Action | None) -> None:
        """Take the call off an action that has not happened yet."""
        if action is not None and action.callbacks is not None:
            action.callbacks = ()

    def run(self) -> None:
        """Process every event before the horizon."""
        step = self.env.step
        try:
            while True:
                step()
        except EmptySchedule:
            return
