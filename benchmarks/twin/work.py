"""What goes on in a deployment of the twin: an event a burst, a question a stretch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from math import inf
from types import SimpleNamespace
from typing import Protocol

import simpy

from benchmarks.twin.instants import At, Kind
from benchmarks.twin.sites import Node, Process, Site
from sim.engine.logs import Deployment, Ended, Segment
from sim.entities import Federation
from sim.plan.world import Plan
from sim.policies.base import IdleRelease, IdleView, Policies
from sim.units import to_grid_h


class Taken(Exception):
    """A deployment ends, other than by its user's own release or with its pool.

    Args:
        why: Why.
        setup_h: What the user needs in the next one before work that is left goes on, h.
    """

    def __init__(self, why: Ended, setup_h: float) -> None:
        """Keep both."""
        super().__init__(why, setup_h)
        self.why, self.setup_h = why, setup_h


@dataclass(eq=False)
class Running:
    """A deployment with the process that works in it, and the running number of that work."""

    deployment: Deployment
    site: Site
    node: Node
    gpus: list[int]
    process: simpy.Process | None = None
    number: int = 0
    idle: bool = False
    interrupted: int = 0


@dataclass(eq=False)
class Stand:
    """How far the work on a request has come.

    Args:
        request: Index of the request.
        burst: Number of the burst that is worked on, or of the next one.
        begun_h: When that was begun or gone on with here, or will be, h.
        computing: False in the pause before it, when nothing of it can be cut.
        done_h: What of it had been computed before and was kept, h.
    """

    request: int
    burst: int
    begun_h: float
    computing: bool = True
    done_h: float = 0.0


class Place(Protocol):
    """Where deployments end, and work that is left asks again."""

    def end(self, one: Running, ended: Ended) -> None:
        """Take a deployment off its node."""

    def serve(self) -> None:
        """Give the room to who waits."""

    def request(self, index: int, first: int, part: int, setup_h: float = 0.0) -> Process:
        """Ask for a deployment."""


class TwinWork:
    """Works in deployments, and ends them.

    Args:
        env: The SimPy environment.
        federation: The federation.
        plan: The replicate's plan.
        policies: One policy of each kind.
        place: Where deployments end.
    """

    def __init__(
        self, env: simpy.Environment, federation: Federation, plan: Plan, policies: Policies,
        place: Place,
    ) -> None:
        """Begin with nothing lost or kept, and nobody interrupted."""
        self.env, self.policies, self.place = env, policies, place
        self.demand, self.calendar = federation.demand, federation.calendar
        self.r = SimpleNamespace(**{n: a.tolist() for n, a in vars(plan.requests).items()})
        self.draws = plan.idleness()
        self.kept: dict[tuple[int, int], float] = {}  # of bursts that were cut, at full speed
        self.interruptions: Counter[int] = Counter()
        self.numbers = count()
        self.shortest_h = -inf  # stretches of so many hours or fewer are not asked about

    def work(self, one: Running, index: int, first: int, part: int, setup_h: float) -> Process:
        """Compute burst by burst, stay idle, release; unless the user returns or it is taken."""
        held = one.deployment
        while True:
            stand = Stand(index, first, self.env.now + setup_h)
            stand.done_h = to_grid_h(self.kept.get((index, first), 0.0) * held.slowdown)
            segment = Segment(index, first, stand.begun_h, stand.begun_h, stand.done_h)
            held.segments.append(segment)
            one.interrupted = self.interruptions[held.user]
            one.number = next(self.numbers)
            try:
                yield from self.wait(one, setup_h)
                yield from self.bursts(one, segment, stand)
                one.idle = True
                ended, tail_h = self.tail(index)
                at = self.r.burst_first[index] + stand.burst - 1
                yield from self.stretch(one, at, tail_h, computing=False)
                self.place.end(one, ended)
                self.place.serve()
                return
            except Taken as taken:
                self.place.end(one, taken.why)
                self.interruptions[held.user] += taken.why is Ended.IDLE
                self.cut(one, segment, stand)
                restart_h = 0.0 if taken.why is Ended.SCRIPT else self.r.restart_h[index]
                again_h = max(self.env.now + restart_h, stand.begun_h)
                if stand.burst < self.r.burst_count[index]:
                    self.env.process(self.again(stand, part + 1, again_h, taken.setup_h))
                self.place.serve()
                return
            except simpy.Interrupt as interrupt:
                if interrupt.cause is not None:
                    index, first, setup_h = interrupt.cause, 0, 0.0
                    continue
                self.cut(one, segment, stand)
                if stand.burst < self.r.burst_count[index]:
                    again_h = self.env.now + self.r.restart_h[index]
                    self.env.process(self.again(stand, part + 1, again_h, 0.0))
                return

    def bursts(self, one: Running, segment: Segment, stand: Stand) -> Process:
        """Compute what is left; a job ends with its script."""
        index, terms = stand.request, one.deployment.terms
        while stand.burst < self.r.burst_count[index]:
            at = self.r.burst_first[index] + stand.burst
            stand.begun_h, stand.computing = self.env.now, True
            length_h = to_grid_h(self.r.burst_h[at] * one.deployment.slowdown) - stand.done_h
            asks = (index, stand.burst) not in self.kept
            yield from self.stretch(one, at, length_h, computing=True, asks=asks)
            segment.end_h, stand.computing = self.env.now, False
            stand.burst, stand.done_h = stand.burst + 1, 0.0
            if stand.burst < self.r.burst_count[index]:
                stand.begun_h = self.env.now + self.r.gap_h[at]
                if self.r.gap_h[at] > terms.pause_h:
                    raise Taken(Ended.SCRIPT, terms.setup_h)
                yield from self.stretch(one, at, self.r.gap_h[at], computing=False)
        if terms.pause_h < inf:
            raise Taken(Ended.SCRIPT, terms.setup_h)

    def cut(self, one: Running, segment: Segment, stand: Stand) -> None:
        """Note what is lost of a burst that is cut, and what is kept."""
        held, now, burst = one.deployment, self.env.now, (stand.request, stand.burst)
        if not stand.computing:
            return
        if now != stand.begun_h:
            segment.end_h = now
        held.lost_h = max(now - stand.begun_h, 0.0)
        if held.ended in (Ended.OUTAGE, Ended.CLOSED) or now < stand.begun_h:
            return
        if held.ended is Ended.LIFETIME and burst in self.kept:
            stand.done_h, held.lost_h = stand.done_h + held.lost_h, 0.0
        self.kept[burst] = to_grid_h(stand.done_h / held.slowdown)

    def wait(self, one: Running, length_h: float) -> Process:
        """Let time go by, unless the lifetime ends before; the work that began first is first."""
        held, end_h = one.deployment, self.env.now + length_h
        lifetime_end_h = held.started_h + held.terms.lifetime_h
        first_h = end_h if end_h <= lifetime_end_h else lifetime_end_h
        yield At(self.env, first_h, Kind.END, one.number)
        if lifetime_end_h < end_h:
            raise Taken(Ended.LIFETIME, held.terms.setup_h)

    def stretch(
        self, one: Running, at: int, length_h: float, computing: bool, asks: bool = True
    ) -> Process:
        """Let a burst, pause or tail go by, unless the idle policy acts before it ends."""
        said = None
        if asks and length_h > self.shortest_h:
            said = self.asked(one, at, computing)
        if said is None or to_grid_h(said.after_h) >= length_h:
            yield from self.wait(one, length_h)
        else:
            yield from self.wait(one, to_grid_h(said.after_h))
            raise Taken(Ended.WARNED if said.by_user else Ended.IDLE, to_grid_h(said.setup_h))

    def asked(self, one: Running, at: int, computing: bool) -> IdleRelease | None:
        """Return what the idle policy says of the burst `at`, or of what follows it."""
        held, now, column = one.deployment, self.env.now, 0 if computing else 1
        return self.policies.idle.release(
            IdleView(
                held.user, held.gpus, held.cores, self.calendar.day_at(now), now % 24.0,
                now - held.started_h, computing, self.draws.exempt[held.user],
                self.draws.detector[at, column], self.draws.reaction[at, column],
                one.interrupted, self.draws.games[held.user],
            )
        )

    def tail(self, index: int) -> tuple[Ended, float]:
        """Return how a user releases, and after how long."""
        day = self.calendar.day_at(self.r.arrival_h[index])
        if self.r.forget_draw[index] < self.policies.education.forget_frac(
            day, self.demand.forget_frac
        ):
            return Ended.FORGOTTEN, self.r.hold_h[index]
        return Ended.PROMPT, self.r.prompt_h[index]

    def again(self, stand: Stand, part: int, at_h: float, setup_h: float) -> Process:
        """Ask anew for what was left undone."""
        yield At(self.env, at_h, Kind.ARRIVAL)
        yield from self.place.request(stand.request, stand.burst, part, setup_h)
