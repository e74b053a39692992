"""Looks ahead, when work starts in a deployment, for the first release by an idle policy."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

from sim.engine.logs import Deployment
from sim.engine.script import Script
from sim.errors import EngineError
from sim.plan.world import Plan
from sim.policies.base import IdlePolicy, IdleRelease, IdleView
from sim.timeline import ProjectCalendar
from sim.units import to_grid_h


class TakenAway(NamedTuple):
    """A release to come, and what the policy said of it."""

    at_h: float
    said: IdleRelease


class Watch:
    """Asks an idle policy about the stretches of a deployment, which the plan knows in advance.

    So a release is one event, and bursts are none.

    Args:
        policy: Whom to ask.
        plan: The replicate's plan.
        script: Its requests.
        calendar: For the day.
    """

    def __init__(
        self, policy: IdlePolicy, plan: Plan, script: Script, calendar: ProjectCalendar
    ) -> None:
        """Draw what the policy may need."""
        self.policy, self.shortest_h = policy, policy.shortest_h
        self.from_h = calendar.hours_at(policy.from_day)
        self.calendar, self.tail_h, self.work_h = calendar, script.tail_h, script.work_h
        requests, draws = plan.requests, plan.idleness()
        self.burst_first = requests.burst_first.tolist()
        self.burst_count = requests.burst_count.tolist()
        self.burst_h, self.gap_h = requests.burst_h.tolist(), requests.gap_h.tolist()
        self.exempt = draws.exempt.tolist()
        self.detector = draws.detector.data  # few are looked at: no lists of all
        self.reaction = draws.reaction.data
        self._lost: set[int] = set()

    def first_release(
        self, deployment: Deployment, request: int, first: int, begin_h: float
    ) -> TakenAway | None:
        """Return the first release of a deployment in which work begins, if there is one.

        Args:
            deployment: The deployment.
            request: Index of the request that is worked on.
            first: Its first burst that is left.
            begin_h: When that begins, h.
        """
        at_h, start, slowdown = begin_h, self.burst_first[request], deployment.slowdown
        most_h = self.work_h[request] * slowdown + self.tail_h[request]
        if begin_h + most_h <= self.from_h:
            return None
        last = start + self.burst_count[request] - 1
        for burst in range(start + first, last + 1):
            after_h = self.tail_h[request] if burst == last else self.gap_h[burst]
            burst_h = self.burst_h[burst]
            if slowdown != 1.0:
                burst_h = to_grid_h(burst_h * slowdown)
            for computing, length_h in ((True, burst_h), (False, after_h)):
                until_h = at_h + length_h
                asks = length_h > self.shortest_h and until_h > self.from_h
                if asks and not (computing and burst in self._lost):
                    said = self._asked(deployment, burst, at_h, computing)
                    if said is not None and said.after_h < length_h:
                        return TakenAway(at_h + said.after_h, said)
                at_h = until_h
        return None

    def lost(self, request: int, burst: int) -> None:
        """Note that a burst was cut: it is not asked about again, so that all work ends."""
        self._lost.add(self.burst_first[request] + burst)

    def _asked(
        self, deployment: Deployment, burst: int, at_h: float, computing: bool
    ) -> IdleRelease | None:
        column = 0 if computing else 1
        said = self.policy.release(
            IdleView(
                deployment.user,
                deployment.gpus,
                deployment.cores,
                self.calendar.day_at(at_h),
                at_h % 24.0,
                at_h - deployment.started_h,
                computing,
                self.exempt[deployment.user],
                self.detector[burst, column],
                self.reaction[burst, column],
            )
        )
        if said is None:
            return None
        if not all(isfinite(h) and h >= 0.0 for h in (said.after_h, said.setup_h)):
            raise EngineError(
                "an idle policy gave an impossible time",
                "policy.idle",
                "finite hours, not negative, or None",
                tuple(said),
            )
        return said._replace(after_h=to_grid_h(said.after_h), setup_h=to_grid_h(said.setup_h))
