"""Looks ahead, when work starts in a deployment, for the first release by an idle policy."""

from __future__ import annotations

from collections.abc import Container
from math import inf
from typing import NamedTuple

from sim.engine.logs import Deployment, Ended
from sim.engine.script import Script
from sim.errors import EngineError
from sim.plan.world import Plan
from sim.policies.base import IdlePolicy, IdleView
from sim.timeline import ProjectCalendar
from sim.units import to_grid_h


class Ending(NamedTuple):
    """An end to come that is not the user's own release.

    Args:
        at_h: When, h.
        why: Why.
        setup_h: What the user needs in the next deployment before work that is left goes on, h.
    """

    at_h: float
    why: Ended
    setup_h: float


class Watch:
    """Asks an idle policy about the stretches of a deployment, which the plan knows in advance.

    So a release is one event, and bursts are none.

    Args:
        policy: Whom to ask.
        plan: The replicate's plan.
        script: Its requests.
        calendar: For the day.
        spared: Bursts that are not asked about, by request and number.
    """

    def __init__(
        self,
        policy: IdlePolicy,
        plan: Plan,
        script: Script,
        calendar: ProjectCalendar,
        spared: Container[tuple[int, int]],
    ) -> None:
        """Draw what the policy may need."""
        self.policy, self.shortest_h = policy, policy.shortest_h
        self.from_h = calendar.hours_at(policy.from_day)
        self.calendar, self.tail_h, self.spared = calendar, script.tail_h, spared
        requests, draws = plan.requests, plan.idleness()
        self.burst_first = requests.burst_first.tolist()
        self.burst_count = requests.burst_count.tolist()
        self.burst_h, self.gap_h = requests.burst_h.tolist(), requests.gap_h.tolist()
        self.exempt, self.games = draws.exempt.tolist(), draws.games.tolist()
        self.detector = draws.detector.data  # few are looked at: no lists of all
        self.reaction = draws.reaction.data
        self.interruptions = [0] * len(plan.users)

    def first_release(self, deployment: Deployment, until_h: float) -> Ending | None:
        """Return the first release before `until_h` of a deployment in which work begins, if any.

        Args:
            deployment: The deployment; its last segment is the work.
            until_h: When it ends without the policy, h.
        """
        if until_h <= self.from_h:
            return None
        work, slowdown = deployment.segments[-1], deployment.slowdown
        at_h, start = work.start_h - work.done_h, self.burst_first[work.request]
        last = start + self.burst_count[work.request] - 1
        for burst in range(start + work.first, last + 1):
            after_h = self.tail_h[work.request] if burst == last else self.gap_h[burst]
            burst_h = self.burst_h[burst]
            if slowdown != 1.0:
                burst_h = to_grid_h(burst_h * slowdown)
            for computing, length_h in ((True, burst_h), (False, after_h)):
                end_h = at_h + length_h
                asks = length_h > self.shortest_h and end_h > self.from_h and at_h < until_h
                if asks and not (computing and (work.request, burst - start) in self.spared):
                    ending = self._asked(deployment, burst, computing, at_h)
                    if ending is not None and ending.at_h < min(end_h, until_h):
                        return ending
                at_h = end_h
        return None

    def _asked(
        self, deployment: Deployment, burst: int, computing: bool, at_h: float
    ) -> Ending | None:
        column, user = 0 if computing else 1, deployment.user
        said = self.policy.release(
            IdleView(
                user,
                deployment.gpus,
                deployment.cores,
                self.calendar.day_at(at_h),
                at_h % 24.0,
                at_h - deployment.started_h,
                computing,
                self.exempt[user],
                self.detector[burst, column],
                self.reaction[burst, column],
                self.interruptions[user],
                self.games[user],
            )
        )
        if said is None:
            return None
        if not (0.0 <= said.after_h < inf and 0.0 <= said.setup_h < inf):
            raise EngineError(
                "an idle policy gave an impossible time",
                "policy.idle",
                "finite hours, not negative, or None",
                tuple(said),
            )
        why = Ended.WARNED if said.by_user else Ended.IDLE
        return Ending(at_h + to_grid_h(said.after_h), why, to_grid_h(said.setup_h))
