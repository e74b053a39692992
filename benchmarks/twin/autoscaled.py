"""Autoscaled replicas once more in plain SimPy: an autoscaler that looks at intervals."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

from benchmarks.twin.applications import TwinApplication, TwinRequest
from benchmarks.twin.deployments import Process
from benchmarks.twin.instants import At, Kind
from benchmarks.twin.nodes import TwinReplica
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.scaling import TOLERANCE, UP_TO_MORE, UP_TO_TIMES, Autoscaler


class TwinAutoscaled(TwinApplication):
    """An application whose replicas an autoscaler starts and stops.

    Args:
        policy: What the autoscaler goes by.
        sleeps: Whether it sleeps while it would find nothing, which must not change anything.
        about: See `TwinApplication`.
    """

    def __init__(self, policy: Autoscaler, sleeps: bool, *about: Any) -> None:
        """Begin without replicas."""
        super().__init__(*about)
        self.policy, self.sleeps = policy, sleeps
        self.living: list[TwinReplica] = []  # those that are not leaving, the oldest first
        self.load = self.load_since = self.era = 0
        self.awake = False
        self.activity = self.env.event()
        self.forget()
        self.env.process(self.autoscaler(self.era))

    def forget(self) -> None:
        """Know nothing of the load before."""
        self.load = 0
        self.looks = self.policy.stable_window // self.policy.tick_interval
        self.loads: list[int] = []  # of each interval
        self.wants: list[int] = []  # at each look
        self.active_since: int | None = None  # begin of the first interval with load
        self.panic_since: int | None = None
        self.panic_most = 0
        self.idle_since: int | None = None

    def adapt(self, policy: Autoscaler, hosted: bool) -> None:
        """Go by other numbers; with other intervals forget, and look after a whole one."""
        self.sum_up()
        anew = _intervals(policy) != _intervals(self.policy)
        self.policy = policy
        if self.line:
            self.env.process(self.assign_first())
        if anew:
            self.forget()
            self.era += 1
            step, tick = policy.tick_interval, None
            if hosted or self.awake:
                tick = (self.env.now // step + 1) * step
            self.env.process(self.autoscaler(self.era, tick))
        elif hosted:
            self.wake()

    def assign_first(self) -> Process:
        """Let who waits go where there is room now."""
        yield At(self.env, self.env.now, Kind.READY, self.number)
        self.sum_up()
        self.assign()

    def host(self) -> None:
        """Start the first replicas."""
        self.wake()
        first = max(self.policy.initial_scale, self.policy.min_scale)
        self.start_living(min(first, self.policy.max_scale) - len(self.living))

    def come(self, request: TwinRequest) -> bool:
        """Let a request wait for a ready replica; have one started if there is none at all."""
        self.wake()
        self.sum_up()
        alone = not self.line
        self.line.append(request)
        if alone:
            self.assign()
        if request not in self.line:
            return True
        if len(self.line) > self.policy.queue:
            self.line.remove(request)
            return False
        if not self.living:
            self.start_living(min(1, self.policy.max_scale))
        return True

    def leave_line(self, request: TwinRequest) -> None:
        """Take a request out of the line that waits no longer."""
        self.sum_up()
        super().leave_line(request)

    def assign(self) -> None:
        """Give requests that wait to the oldest ready replicas with room."""
        for replica in self.living:
            while (
                self.line
                and replica.ready_at <= self.env.now
                and replica.load < self.policy.container_concurrency
            ):
                request = self.line.popleft()
                cold = replica.ready_at > request.asked
                outcome = Outcome.COLD if cold else Outcome.WARM
                self.compute(replica, request, self.env.now, outcome)

    def release(self, replica: TwinReplica) -> None:
        """Let a leaving replica go when it has finished what it has."""
        self.sum_up()
        self.unload(replica)
        if replica.leaving and replica.load == 0:
            self.remove(replica)
        self.assign()

    def start_living(self, count: int) -> None:
        """Start replicas, as far as there is room."""
        for replica in self.start_some(count):
            self.living.append(replica)
            self.env.process(self.become_ready(replica))

    def become_ready(self, replica: TwinReplica) -> Process:
        """Start, then take requests."""
        yield At(self.env, replica.ready_at, Kind.READY, self.number)
        self.sum_up()
        self.assign()

    def dismiss(self, replica: TwinReplica) -> None:
        """Let a replica go when it has finished what it has."""
        self.living.remove(replica)
        if replica.load:
            replica.leaving = True
        else:
            self.remove(replica)

    def make_room(self) -> None:
        """Let replicas go from nodes that lost room, the youngest first."""
        for replica in reversed(list(self.living)):
            if replica.node.lacks_room():
                self.dismiss(replica)

    def sum_up(self) -> None:
        """Add to the load of this interval."""
        load = len(self.line) + self.computing
        if self.policy.exposed:
            load = sum(replica.load > 0 for replica in self.replicas)
        self.load += load * (self.env.now - self.load_since)
        self.load_since = self.env.now

    def wake(self) -> None:
        """Wake the autoscaler."""
        if not self.activity.triggered:
            self.activity.succeed()

    def autoscaler(self, era: int, tick: int | None = None) -> Process:
        """Look at every whole multiple of the interval, from the first activity on."""
        step = self.policy.tick_interval
        while True:
            if tick is None:
                yield self.activity
                tick = ceil(Fraction(self.env.now, step)) * step
            if era != self.era:
                return
            self.activity, self.awake = self.env.event(), True
            while True:
                yield At(self.env, tick, Kind.REVIEW, self.number)
                if era != self.era:
                    return
                self.review()
                if self.sleeps and self.at_rest():
                    break
                tick += step
            self.awake, tick = False, None
            if self.activity.triggered:
                self.activity = self.env.event()

    def review(self) -> None:
        """Let the autoscaler look."""
        self.sum_up()
        wanted = max(self.by_computing(), 1) if self.policy.exposed else self.by_concurrency()
        wanted = min(max(wanted, self.policy.min_scale), self.policy.max_scale)
        self.load = 0
        while len(self.living) > wanted:
            self.dismiss(self.living[-1])
        self.start_living(wanted - len(self.living))

    def at_rest(self) -> bool:
        """Return whether looks would change nothing until the next request."""
        busy = self.living or self.line or self.computing
        rest = not any(self.loads[-self.looks :]) and self.panic_since is None
        return not busy and rest and self.policy.min_scale == 0 and not self.policy.exposed

    def ready(self) -> int:
        """Return how many living replicas are ready."""
        return sum(replica.ready_at <= self.env.now for replica in self.living)

    def by_concurrency(self) -> int:
        """Return what Knative's autoscaler wants."""
        policy, now = self.policy, self.env.now
        if self.load and not any(self.loads[-self.looks :]):
            self.active_since = now - policy.tick_interval
        self.loads.append(self.load)
        known = policy.tick_interval if self.active_since is None else now - self.active_since
        target, some = Fraction(policy.target, 1000), max(self.ready(), 1)

        def over(window: int) -> int:
            seen = sum(self.loads[-(window // policy.tick_interval) :])
            return ceil(Fraction(seen, min(known, window)) / target)

        stable, panic = over(policy.stable_window), over(policy.panic_window)
        most = ceil(Fraction(policy.max_scale_up_rate, 1000) * some)
        least = int(some / Fraction(policy.max_scale_down_rate, 1000))
        wanted = min(max(stable, least), most)
        if Fraction(panic, some) >= Fraction(policy.panic_threshold, 1000):
            self.panic_since = now
        elif self.panic_since is not None and now > self.panic_since + policy.stable_window:
            self.panic_since, self.panic_most = None, 0
        if self.panic_since is not None:
            wanted = max(wanted, min(max(panic, least), most), self.panic_most)
            self.panic_most = wanted
        return self.not_yet_zero(wanted)

    def not_yet_zero(self, wanted: int) -> int:
        """Return the same, or one while somebody is there or the grace period lasts."""
        if wanted or self.line or self.computing:
            self.idle_since = None
            return max(wanted, 1)
        if self.living:
            self.idle_since = self.env.now if self.idle_since is None else self.idle_since
            if self.env.now - self.idle_since < self.policy.scale_to_zero:
                return 1
        self.idle_since = None
        return 0

    def by_computing(self) -> int:
        """Return what the horizontal pod autoscaler wants."""
        policy, living, ready = self.policy, len(self.living), self.ready()
        wanted = living
        if ready:
            share = 1000 * self.load // (ready * policy.tick_interval)
            if abs(Fraction(share, policy.target) - 1) > Fraction(TOLERANCE, 1000):
                wanted = ceil(Fraction(1000 * self.load, policy.tick_interval * policy.target))
        wanted = min(wanted, max(UP_TO_TIMES * living, living + UP_TO_MORE))
        self.wants.append(wanted)
        return max(self.wants[-self.looks :])


def _intervals(policy: Autoscaler) -> tuple[bool, int, int, int]:
    """Return what the memory of an autoscaler is laid out by."""
    return policy.exposed, policy.tick_interval, policy.stable_window, policy.panic_window
