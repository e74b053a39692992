"""How requests enter a window: those left from the last one, those that come, those results call.

Requests lie in levels: those that come by themselves, those that their results call, and so on; in
each level first what is left, then what is new, in order of arrival or of the callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim.errors import EngineError
from sim.plan.calls import NO_CALLS, Calls
from sim.plan.reader import Reader
from sim.serving.kernel.state import NOBODY, Requests, no_requests
from sim.units import IntArray


class Came(NamedTuple):
    """New requests of one level.

    Args:
        app: To which application; shape (requests,).
        calls: What is drawn for them.
        then: Which request of the next level the result of each is; `NOBODY`.
    """

    app: IntArray
    calls: Calls
    then: IntArray


class Taken(NamedTuple):
    """The requests of a window.

    Args:
        requests: All of them.
        moved: New number of each old one, `NOBODY` if it ended; one more entry stands for nobody.
        first: Number of the first that comes by itself in this window.
        last: Behind the last one.
    """

    requests: Requests
    moved: IntArray
    first: int
    last: int


class Intake:
    """Reads the requests of applications.

    Args:
        readers: One for each application.
        then: Number of the application that the results of each call; None.

    Raises:
        EngineError: When an application is called by several, by itself, or is none of them.
    """

    def __init__(self, readers: Sequence[Reader], then: Sequence[int | None]) -> None:
        """Find the levels."""
        self._readers = list(readers)
        self._levels = _levels(then)
        self._then = np.array([NOBODY if t is None else t for t in then], np.int64)
        self._depth = np.zeros(len(then), np.int64)
        for depth, apps in enumerate(self._levels):
            self._depth[apps] = depth

    def take(self, old: Requests, now: int, until: int) -> Taken:
        """Join what is left with what comes in the window from `now` to before `until`."""
        new = self._new(now, until)
        left = np.flatnonzero(old.outcome < 0)
        if not len(left) and not any(len(came.app) for came in new):
            none = no_requests() if len(old.app) else old
            return Taken(none, np.full(len(old.app) + 1, NOBODY), 0, 0)
        depth = self._depth[old.app[left]]
        moved = np.full(len(old.app) + 1, NOBODY)
        stays = [left[depth == level] for level in range(len(new))]
        edges = [0]  # of what stays and what is new, level by level
        for mine, came in zip(stays, new, strict=True):
            edges += [edges[-1] + len(mine), edges[-1] + len(mine) + len(came.app)]
        requests = no_requests(edges[-1])
        for level, (mine, came) in enumerate(zip(stays, new, strict=True)):
            begin, first, last = edges[2 * level : 2 * level + 3]
            moved[mine] = np.arange(begin, first)
            for column, before in zip(requests, old, strict=True):
                np.take(before, mine, out=column[begin:first], mode="clip")
            requests.app[first:last] = came.app
            for name, drawn in zip(Calls._fields, came.calls, strict=True):
                getattr(requests, name)[first:last] = drawn
            calls = came.then >= 0
            if calls.any():
                requests.then[first:last][calls] = came.then[calls] + edges[2 * level + 3]
        for begin, first in zip(edges[:-1:2], edges[1::2], strict=True):
            for column in (requests.then, requests.behind):
                column[begin:first] = moved[column[begin:first]]
        return Taken(requests, moved, edges[1], edges[2])

    def _new(self, now: int, until: int) -> list[Came]:
        """Return what comes before `until`, then what the results of that call, and so on."""
        levels = [_in_order([(app, self._readers[app].until(until)) for app in self._levels[0]])]
        arrival = levels[0].calls.arrival
        if len(arrival) and (
            arrival[0] < now or arrival[-1] >= until or (arrival[1:] < arrival[:-1]).any()
        ):
            raise EngineError(
                "requests out of order or outside of it", "window",
                f"ascending ones from {now} to before {until}", [int(arrival[0]), int(arrival[-1])],
            )  # fmt: skip
        for _ in self._levels[1:]:
            levels.append(self._called(levels[-1]))
        return levels

    def _called(self, callers: Came) -> Came:
        """Return the requests that results call, in the order of their callers."""
        whom = self._then[callers.app]
        by = np.flatnonzero(whom >= 0)
        callers.then[by] = np.arange(len(by))
        app = whom[by]
        calls = Calls._make(np.zeros(len(by), np.int64) for _ in Calls._fields)
        order = np.argsort(app, kind="stable")
        called, counts = np.unique(app, return_counts=True)
        for number, mine in zip(called, np.split(order, np.cumsum(counts)[:-1]), strict=False):
            for column, drawn in zip(calls, self._readers[number].results(len(mine)), strict=True):
                column[mine] = drawn
        return Came(app, calls, np.full(len(by), NOBODY))


def _levels(then: Sequence[int | None]) -> list[list[int]]:
    """Return who is called by nobody, who by those, and so on."""
    count = len(then)
    calls = {app: called for app, called in enumerate(then) if called is not None}
    if not set(calls.values()) <= set(range(count)):
        raise EngineError("calls nobody", "chain", f"numbers of {count} applications", calls)
    if len(set(calls.values())) < len(calls):
        raise EngineError("called by several", "chain", "one caller for each application")
    called = set(calls.values())
    level = [app for app in range(count) if app not in called]
    levels, known = [level], set(level)
    while level := [calls[app] for app in level if app in calls]:
        levels.append(level)
        known |= set(level)
    if len(known) < count:
        raise EngineError("calls itself", "chain", "a chain with a beginning")
    return levels


def _in_order(of_apps: list[tuple[int, Calls]]) -> Came:
    """Return the requests to all applications in order of arrival, then of the applications."""
    of_apps = [(number, calls) for number, calls in of_apps if len(calls.arrival)]
    if not of_apps:
        return Came(NO_CALLS.arrival, NO_CALLS, np.empty(0, np.int64))
    counts = [len(calls.arrival) for _, calls in of_apps]
    app = np.repeat(np.array([number for number, _ in of_apps], np.int64), counts)
    calls, nobody = of_apps[0][1], np.full(len(app), NOBODY)
    if len(of_apps) > 1:
        columns = zip(*(calls for _, calls in of_apps), strict=True)
        calls = Calls._make(np.concatenate(column) for column in columns)
        order = np.argsort(calls.arrival, kind="stable")
        app, calls = app[order], Calls._make(column[order] for column in calls)
    return Came(app, calls, nobody)
