"""Answers when and why a deployment is taken from its user, and what work is left then."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from sim.engine.idleness import Ending, Watch
from sim.engine.logs import Deployment, Ended
from sim.engine.script import Script, course_of
from sim.plan.world import Plan
from sim.policies.base import IdlePolicy
from sim.timeline import ProjectCalendar
from sim.units import to_grid_h


class Left(NamedTuple):
    """Work that was cut off.

    Args:
        request: Index of the request.
        burst: Its first burst that is left.
        due_h: When that was due, or when it was begun or gone on with, h.
    """

    request: int
    burst: int
    due_h: float


class Endings:
    """Ends of deployments by terms and idle policy, which the plan knows when work begins.

    The earliest one counts. At the same instant the user's own release, or the end of his script,
    comes before a release as idle, and that before the end of a lifetime.

    Args:
        idle: The idle policy.
        plan: The replicate's plan.
        script: Its requests.
        calendar: The federation's calendar.

    Its attribute `kept` has the bursts that a policy has cut, by request and number, with what was
    computed of each and kept: hours as on whole GPUs.
    """

    def __init__(
        self, idle: IdlePolicy, plan: Plan, script: Script, calendar: ProjectCalendar
    ) -> None:
        """Ask the idle policy only if it ever acts."""
        self.requests = plan.requests
        self.kept: dict[tuple[int, int], float] = {}
        acts = idle.shortest_h < calendar.horizon_h
        self.watch = Watch(idle, plan, script, calendar, self.kept) if acts else None

    def first(self, deployment: Deployment, own_h: float) -> Ending | None:
        """Return what ends a deployment in which work begins, if not its user's own release.

        Args:
            deployment: The deployment; its last segment is the work.
            own_h: When its user releases it, h; a batch job does not wait for that.
        """
        terms, ending, until_h = deployment.terms, None, own_h
        if terms.pause_h < inf:
            until_h = self._script_end_h(deployment, terms.pause_h)
            ending = Ending(until_h, Ended.SCRIPT, terms.setup_h)
        if self.watch is not None:
            idle = self.watch.first_release(deployment, until_h)
            if idle is not None:
                until_h, ending = idle.at_h, idle
        lifetime_end_h = deployment.started_h + terms.lifetime_h
        if lifetime_end_h < until_h:
            return Ending(lifetime_end_h, Ended.LIFETIME, terms.setup_h)
        return ending

    def _script_end_h(self, deployment: Deployment, pause_h: float) -> float:
        """Return when the first pause longer than `pause_h` begins, else the end of the work, h."""
        work = deployment.segments[-1]
        before_h, burst_h, gap_h = course_of(self.requests, work.request, deployment.slowdown)
        for burst in range(work.first, len(gap_h) - 1):
            if gap_h[burst] > pause_h:
                computed_h = before_h[burst] + burst_h[burst] - before_h[work.first]
                return work.start_h - work.done_h + computed_h
        return work.end_h

    def done_h(self, deployment: Deployment, request: int, burst: int) -> float:
        """Return what is kept of a burst, in hours as it computes in a deployment."""
        done_h = self.kept.get((request, burst), 0.0)
        return done_h if deployment.slowdown == 1.0 else to_grid_h(done_h * deployment.slowdown)

    def ended(self, deployment: Deployment) -> Left | None:
        """Count interruptions, and cut the work off in a deployment that has ended.

        A burst that a policy cuts is lost and run again, and no idle policy cuts it twice. From
        then on its user writes checkpoints (assumed): a lifetime that cuts it keeps what was
        computed. So all work ends, however long a burst and however short a lifetime.

        Returns:
            What is left; None if all work is done.
        """
        if deployment.ended is Ended.IDLE and self.watch is not None:
            self.watch.interruptions[deployment.user] += 1
        segment, now = deployment.segments[-1], deployment.released_h
        if now is None or segment.end_h <= now:
            return None
        request, slowdown, why = segment.request, deployment.slowdown, deployment.ended
        before_h, burst_h, gap_h = course_of(self.requests, request, slowdown)
        origin_h = segment.start_h - segment.done_h - before_h[segment.first]
        left = segment.first
        while left < len(burst_h) and origin_h + before_h[left] + burst_h[left] <= now:
            left += 1
        done_h = segment.done_h if left == segment.first else 0.0
        due_h = origin_h + before_h[left] + done_h
        in_gap = due_h >= now and left > segment.first
        segment.end_h = due_h - gap_h[left - 1] if in_gap else now
        deployment.lost_h = max(0.0, now - due_h)
        if due_h <= now and why is not None and why.by_policy:
            if why is Ended.LIFETIME and (request, left) in self.kept:
                done_h, deployment.lost_h = done_h + deployment.lost_h, 0.0
            self.kept[request, left] = done_h if slowdown == 1.0 else to_grid_h(done_h / slowdown)
        return Left(request, left, due_h)
