"""Deployments: requested, placed or queued, re-used, released, cut off and continued elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sim.engine.idleness import TakenAway, Watch
from sim.engine.logs import Deployment, Ended, Logs, Segment, Withdrawn
from sim.engine.loop import ARRIVAL, CAPACITY, PATIENCE, RELEASE, Action, Loop
from sim.engine.nodes import Switching
from sim.engine.pools import Free, Offer, Pools, PoolState, Shape, Spot
from sim.engine.script import course_of, script_of
from sim.engine.sharing import shared
from sim.engine.waiting import Waiting, WaitingRoom
from sim.entities import Federation
from sim.errors import EngineError
from sim.plan.world import Plan
from sim.policies.base import Inert, Policies, RequestView


class Deployments:
    """Plays the requests of a plan against pools and policies.

    One event per change of state: arrival, release, end of patience. Bursts and gaps are no
    events; the plan knows their sums, and which of them an idle policy would act on first.

    Args:
        loop: The event loop.
        federation: The federation.
        plan: The replicate's plan.
        policies: One policy of each kind.
        pools: The pools at work.
        logs: Where it is written.
        switching: What switches nodes off and on; None if all stay on.
    """

    def __init__(
        self,
        loop: Loop,
        federation: Federation,
        plan: Plan,
        policies: Policies,
        pools: Pools,
        logs: Logs,
        switching: Switching | None = None,
    ) -> None:
        """Store what is needed; `begin` schedules the first arrival."""
        self.loop, self.policies, self.logs = loop, policies, logs
        self.calendar = federation.calendar
        self.pools, self.switching = pools, switching
        self.room = WaitingRoom()
        self.users = [user.name for user in plan.users]
        self.held: list[list[Deployment]] = [[] for _ in plan.users]
        self.gpus_held: list[float] = [0] * len(plan.users)
        self.held_in: list[tuple[str, ...] | None] = [None] * len(plan.users)  # None: look again
        self.running: dict[str, dict[str, Deployment]] = {name: {} for name in pools.named}
        self.booting: dict[str, dict[Waiting, Spot]] = {name: {} for name in pools.named}
        self.release_of: dict[str, Action | None] = {}
        self.requests, self.count = plan.requests, len(plan.requests)
        self.script = script_of(plan.requests, federation, policies.education)
        self.sharing = None if isinstance(policies.sharing, Inert) else policies.sharing
        idle = policies.idle
        acts = idle.shortest_h < federation.calendar.horizon_h
        self.watch = Watch(idle, plan, self.script, self.calendar) if acts else None
        self._day = (-1.0, self.calendar.start)

    # ---------------------------------------------------------------- arrivals

    def begin(self) -> None:
        """Schedule the first arrival; each arrival schedules the next."""
        self._schedule_arrival(0)

    def _schedule_arrival(self, index: int) -> None:
        if index < self.count:
            self.loop.at(self.script.arrival_h[index], ARRIVAL, self._arrive, index)

    def _arrive(self, index: int) -> None:
        self._schedule_arrival(index + 1)
        if not (self.script.returns[index] and self._reuse(index)):
            self._ask(index, first=0, part=0)

    def _reuse(self, index: int) -> bool:
        """Let a returning user work in a deployment that sits idle; True if that happened."""
        now, (gpus, cores, _) = self.loop.now_h, self.script.shape[index]
        if self.sharing is not None:
            (gpus, cores, _), _ = self._shared(index)
        for deployment in reversed(self.held[self.script.user[index]]):
            idle = deployment.last_active_h <= now
            if idle and deployment.gpus >= gpus and deployment.cores >= cores:
                self.loop.cancel(self.release_of[deployment.name])
                self._work(deployment, index, first=0)
                return True
        return False

    def _ask(self, index: int, first: int, part: int, setup_h: float = 0.0) -> None:
        """Start a request, or put it where it waits."""
        script, now = self.script, self.loop.now_h
        waiting = Waiting(index, first, part, now, script.user[index], script.shape[index])
        waiting.setup_h = setup_h
        if self.sharing is not None:
            waiting.shape, waiting.slowdown = self._shared(index)
        view = self._admitted(waiting, self._today())
        found = None if view is None else self._chosen(view, self.pools.offers(waiting.shape))
        if found is not None:
            self._start(waiting, *found)
            return
        if view is None:
            self.room.hold_back(waiting)
        else:
            self.room.join(waiting)
        self._be_patient(waiting)

    def _be_patient(self, waiting: Waiting) -> None:
        ends_h = waiting.requested_h + self.script.patience_h[waiting.request]
        waiting.timer = self.loop.at(ends_h, PATIENCE, self._withdraw, waiting)

    def _shared(self, index: int) -> tuple[Shape, float]:
        """Return what a request needs if it is made now, and how much longer it computes there."""
        shape = self.script.shape[index]
        if self.sharing is None or not shape[0]:
            return shape, 1.0
        return shared(self.sharing, self._view(index, shape, self._today()), shape)

    def _withdraw(self, waiting: Waiting) -> None:
        waiting.timer = None  # each knows the other: both would stay after the run
        self.room.withdraw(waiting)
        self.logs.withdrawn.append(
            Withdrawn(
                self._name(waiting),
                waiting.user,
                waiting.shape[0],
                waiting.shape[1],
                waiting.requested_h,
                self.loop.now_h,
                "patience ended",
            )
        )

    # ---------------------------------------------------------------- placement

    def serve_waiting(self) -> None:
        """Start whoever fits now, in order of arrival; called whenever capacity was freed."""
        if not self.room:
            return
        today = self._today()
        for waiting in self.room.in_turn():
            view = self._admitted(waiting, today)
            if view is None:
                self.room.leave(waiting)
                self.room.hold_back(waiting)
                continue
            offers = self.pools.offers(waiting.shape)
            if offers and (found := self._chosen(view, offers)):
                self.room.leave(waiting)
                self._start(waiting, *found)

    def _admitted(self, waiting: Waiting, today: date) -> RequestView | None:
        """Return the request as policies see it if it may start, else None.

        Admission is asked again only when what it sees has changed.
        """
        user, seen = waiting.user, waiting.admitted
        if (
            seen is None
            or seen.gpus_held != self.gpus_held[user]
            or seen.held_in is not self.held_in[user]
            or seen.day is not today
        ):
            seen = self._view(waiting.request, waiting.shape, today)
            waiting.admitted = seen if self.policies.admission.admits(seen) else None
        return waiting.admitted

    def _view(self, request: int, shape: Shape, today: date) -> RequestView:
        """Return a request for so much as policies see it now."""
        script, user = self.script, self.script.user[request]
        held_in = self.held_in[user]  # another tuple whenever what the user holds has changed
        if held_in is None:
            held = self.held[user]
            held_in = self.held_in[user] = tuple([d.pool for d in held]) if held else ()
        return RequestView._make(  # quicker than by the class
            (
                user,
                shape[0],
                shape[1],
                self.gpus_held[user],
                today,
                script.site_draw[request],
                script.phase[request],
                script.batch_draw[request],
                script.share_draw[request],
                held_in,
            )
        )

    def _today(self) -> date:
        day_h = self.loop.now_h // 24.0
        if day_h != self._day[0]:
            self._day = (day_h, self.calendar.day_at(self.loop.now_h))
        return self._day[1]

    def _chosen(
        self, view: RequestView, offers: Sequence[Offer]
    ) -> tuple[PoolState, Free] | None:
        """Return the pool that placement chose, and the group of its nodes that fits best."""
        if not offers:
            return None
        seen = [pool.seen(group is not None) for pool, group in offers]
        chosen = self.policies.placement.place(view, seen)
        if chosen is None:
            return None
        pool, group = offers[chosen] if chosen in range(len(offers)) else (None, None)
        if pool is None or group is None:
            raise EngineError(
                "a placement policy chose a pool that does not fit",
                "policy.placement",
                "the index of a pool that fits, or None",
                chosen,
            )
        return pool, group

    # ---------------------------------------------------------------- running

    def _start(self, waiting: Waiting, pool: PoolState, group: Free) -> None:
        """Give a request a node; its patience is over, but it waits on if the node has to boot."""
        if waiting.timer is not None:
            self.loop.cancel(waiting.timer)
            waiting.timer = None
        spot = pool.take(group, waiting.shape)
        self.gpus_held[waiting.user] += waiting.shape[0]
        if self.switching is not None:
            up_h = self.switching.wanted(pool, spot.node)
            if up_h > self.loop.now_h:
                self.booting[pool.name][waiting] = spot
                waiting.timer = self.loop.at(up_h, CAPACITY, self._booted, waiting, pool, spot)
                return
        self._run(waiting, pool, spot)

    def _booted(self, waiting: Waiting, pool: PoolState, spot: Spot) -> None:
        waiting.timer = None
        del self.booting[pool.name][waiting]
        self._run(waiting, pool, spot)

    def _run(self, waiting: Waiting, pool: PoolState, spot: Spot) -> None:
        gpus, cores, ram_gb = waiting.shape
        deployment = Deployment(
            self._name(waiting),
            waiting.user,
            pool.name,
            spot.node,
            gpus,
            cores,
            ram_gb,
            waiting.requested_h,
            self.loop.now_h,
            waiting.slowdown,
            spot.gpu,
        )
        self.logs.deployments.append(deployment)
        self.held[waiting.user].append(deployment)
        self.held_in[waiting.user] = None
        self.running[pool.name][deployment.name] = deployment
        self._work(deployment, waiting.request, waiting.first, waiting.setup_h)

    def _work(
        self, deployment: Deployment, request: int, first: int, setup_h: float = 0.0
    ) -> None:
        """Let a request compute in a deployment, once it is set up, and plan the release."""
        script, begin_h = self.script, self.loop.now_h + setup_h
        end_h = begin_h + script.work_h[request]
        if deployment.slowdown != 1.0:
            before_h, burst_h, _ = course_of(self.requests, request, deployment.slowdown)
            end_h = begin_h + before_h[-1] + burst_h[-1] - before_h[first]
        elif first:
            end_h -= float(self.requests.before_h[self.requests.burst_first[request] + first])
        deployment.segments.append(Segment(request, first, begin_h, end_h))
        if self.watch is not None:
            taken = self.watch.first_release(deployment, request, first, begin_h)
            if taken is not None:
                self.release_of[deployment.name] = self.loop.at(
                    taken.at_h, RELEASE, self._take_away, deployment, taken
                )
                return
        ended = Ended.FORGOTTEN if script.forgotten[request] else Ended.PROMPT
        self.release_of[deployment.name] = self.loop.at(
            end_h + script.tail_h[request], RELEASE, self._release, deployment, ended
        )

    def _release(self, deployment: Deployment, ended: Ended) -> None:
        self._end(deployment, ended)
        self.serve_waiting()

    def _take_away(self, deployment: Deployment, taken: TakenAway) -> None:
        """Release a deployment because it was seen as idle; work that is left goes on elsewhere.

        The user asks again when it was due, at the earliest after the pause that follows a kill.
        """
        self._end(deployment, Ended.WARNED if taken.said.by_user else Ended.IDLE)
        left = self._left_undone(deployment)
        if left is not None and self.watch is not None:
            request, burst, due_h = left
            if due_h <= self.loop.now_h:
                self.watch.lost(request, burst)
            self._ask_again(deployment, request, burst, due_h, taken.said.setup_h)
        self.serve_waiting()

    def _end(self, deployment: Deployment, ended: Ended) -> None:
        """Take a deployment off its node."""
        deployment.released_h, deployment.ended = self.loop.now_h, ended
        del self.release_of[deployment.name]
        del self.running[deployment.pool][deployment.name]
        self.held[deployment.user].remove(deployment)
        self.held_in[deployment.user] = None
        shape = (deployment.gpus, deployment.cores, deployment.ram_gb)
        spot = Spot(deployment.node, deployment.gpu)
        self._free(deployment.user, deployment.pool, spot, shape)

    def _free(self, user: int, name: str, spot: Spot, shape: Shape) -> None:
        """Free room on a node; what its user was held back for may ask again."""
        pool = self.pools.named[name]
        self.gpus_held[user] -= shape[0]
        pool.give_back(spot, shape)
        if self.switching is not None and pool.is_empty(spot.node):
            self.switching.emptied(pool, spot.node)
        for waiting in self.room.released_by(user):
            self.room.join(waiting)

    def kill_pool(self, name: str, ended: Ended) -> None:
        """End all deployments of a pool; unfinished work comes back as new requests.

        Who waits there for a boot goes to the end of the line, as patient as when it first asked.
        """
        for deployment in list(self.running[name].values()):
            self.loop.cancel(self.release_of[deployment.name])
            self._end(deployment, ended)
            left = self._left_undone(deployment)
            if left is not None:
                request, burst, _ = left
                self._ask_again(deployment, request, burst)
        booting, self.booting[name] = self.booting[name], {}
        for waiting, spot in booting.items():
            self.loop.cancel(waiting.timer)
            self.room.join(waiting)
            self._be_patient(waiting)
            self._free(waiting.user, name, spot, waiting.shape)
        self.serve_waiting()

    def _left_undone(self, deployment: Deployment) -> tuple[int, int, float] | None:
        """Cut the work in a deployment off now.

        Returns:
            The request, its first burst that is left, and when that was due or begun (h); None if
            all work is done.
        """
        segment, now = deployment.segments[-1], self.loop.now_h
        if segment.end_h <= now:
            return None
        request = segment.request
        before_h, burst_h, gap_h = course_of(self.requests, request, deployment.slowdown)
        origin = segment.start_h - before_h[segment.first]
        left = segment.first
        while left < len(burst_h) and origin + before_h[left] + burst_h[left] <= now:
            left += 1
        cut = origin + before_h[left]
        deployment.lost_h = max(0.0, now - cut)
        in_gap = cut >= now and left > segment.first
        segment.end_h = cut - gap_h[left - 1] if in_gap else now
        return request, left, cut

    def _ask_again(
        self,
        deployment: Deployment,
        request: int,
        burst: int,
        due_h: float = 0.0,
        setup_h: float = 0.0,
    ) -> None:
        """Let a request come back for what is left, after a pause and not before it was due."""
        part = int(deployment.name.rsplit(".", 1)[1]) + 1
        again_h = max(self.loop.now_h + self.script.restart_h[request], due_h)
        self.loop.at(again_h, ARRIVAL, self._ask, request, burst, part, setup_h)

    def finish(self) -> None:
        """Log what still runs at the horizon as such."""
        for pool in self.running.values():
            for deployment in pool.values():
                deployment.released_h = self.loop.horizon_h
                deployment.ended = Ended.HORIZON

    def _name(self, waiting: Waiting) -> str:
        number = self.script.number[waiting.request]
        return f"{self.users[waiting.user]}#{number}.{waiting.part}"
