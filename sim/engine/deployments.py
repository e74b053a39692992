"""Deployments: requested, placed or queued, re-used, released, killed and continued elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from sim.engine.logs import Deployment, Ended, Logs, Segment, Withdrawn
from sim.engine.loop import Action, Loop, Order
from sim.engine.pools import Free, PoolState
from sim.engine.script import script_of
from sim.engine.waiting import Waiting, WaitingRoom
from sim.entities import Federation
from sim.errors import EngineError
from sim.plan.world import Plan
from sim.policies.base import Policies, RequestView


class Deployments:
    """Plays the requests of a plan against pools and policies.

    One event per change of state: arrival, release, end of patience. Bursts and gaps are no
    events; the plan knows their sums.

    Args:
        loop: The event loop.
        federation: The federation.
        plan: The replicate's plan.
        policies: One policy of each kind.
        pools: The pools at work.
        logs: Where it is written.
    """

    def __init__(
        self,
        loop: Loop,
        federation: Federation,
        plan: Plan,
        policies: Policies,
        pools: Iterable[PoolState],
        logs: Logs,
    ) -> None:
        """Store what is needed; `begin` schedules the first arrival."""
        self.loop, self.policies, self.logs = loop, policies, logs
        self.calendar = federation.calendar
        self.pools = list(pools)
        self.pool_named = {p.name: p for p in self.pools}
        self.with_gpus = [p for p in self.pools if p.pool.gpus_per_node > 0]
        self.without = [p for p in self.pools if p.pool.gpus_per_node == 0] or self.pools
        self.room = WaitingRoom()
        self.users = [user.name for user in plan.users]
        self.held: list[list[Deployment]] = [[] for _ in plan.users]
        self.gpus_held = [0] * len(plan.users)
        self.running: dict[str, dict[str, Deployment]] = {p.name: {} for p in self.pools}
        self.release_of: dict[str, Action | None] = {}
        self.requests, self.script = plan.requests, script_of(plan.requests, federation.demand)
        self._day = (-1.0, self.calendar.start)

    # ---------------------------------------------------------------- arrivals

    def begin(self) -> None:
        """Schedule the first arrival; each arrival schedules the next."""
        self._schedule_arrival(0)

    def _schedule_arrival(self, index: int) -> None:
        if index < len(self.script):
            self.loop.at(self.script[index].arrival_h, Order.ARRIVAL, self._arrive, index)

    def _arrive(self, index: int) -> None:
        self._schedule_arrival(index + 1)
        if not (self.script[index].returns and self._reuse(index)):
            self._ask(index, first=0, part=0)

    def _reuse(self, index: int) -> bool:
        """Let a returning user work in a deployment that sits idle; True if that happened."""
        line, now = self.script[index], self.loop.now_h
        gpus, cores, _ = line.shape
        for deployment in reversed(self.held[line.user]):
            idle = deployment.last_active_h <= now
            if idle and deployment.gpus >= gpus and deployment.cores >= cores:
                self.loop.cancel(self.release_of[deployment.name])
                self._work(deployment, index, first=0)
                return True
        return False

    def _ask(self, index: int, first: int, part: int) -> None:
        line, now = self.script[index], self.loop.now_h
        waiting = Waiting(index, first, part, now, line.user, line.shape)
        if not self._try(waiting):
            waiting.timer = self.loop.at(
                now + line.patience_h, Order.PATIENCE, self._withdraw, waiting
            )

    def _withdraw(self, waiting: Waiting) -> None:
        waiting.gone = True
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

    def _try(self, waiting: Waiting) -> bool:
        """Start a request, or put it where it waits; True if it started."""
        view = self._view(waiting)
        if not self.policies.admission.admits(view):
            self.room.hold_back(waiting)
            return False
        found = self._pool_for(waiting, view)
        if found is None:
            self.room.join(waiting)
            return False
        self._start(waiting, *found)
        return True

    def serve_waiting(self) -> None:
        """Start whoever fits now, in order of arrival; called whenever capacity was freed."""
        if not self.room:
            return
        for waiting in self.room.in_turn():
            view = self._view(waiting)
            if not self.policies.admission.admits(view):
                self.room.leave(waiting)
                self.room.hold_back(waiting)
                continue
            found = self._pool_for(waiting, view)
            if found is not None:
                self.room.leave(waiting)
                self._start(waiting, *found)

    def _view(self, waiting: Waiting) -> RequestView:
        user, (gpus, cores, _) = waiting.user, waiting.shape
        draw = self.script[waiting.request].site_draw
        return RequestView(user, gpus, cores, self.gpus_held[user], self._today(), draw)

    def _today(self) -> date:
        day_h = self.loop.now_h // 24.0
        if day_h != self._day[0]:
            self._day = (day_h, self.calendar.day_at(self.loop.now_h))
        return self._day[1]

    def _pool_for(self, waiting: Waiting, view: RequestView) -> tuple[PoolState, Free] | None:
        """Return the pool that placement chose, and the group of its nodes that fits best."""
        shape = waiting.shape
        pools = self.with_gpus if shape[0] else self.without
        offers = [pool.offer(shape) for pool in pools if pool.nodes]
        if all(group is None for _, group, _ in offers):
            return None
        chosen = self.policies.placement.place(view, [seen for seen, _, _ in offers])
        if chosen is None:
            return None
        group, pool = offers[chosen][1:] if chosen in range(len(offers)) else (None, None)
        if group is None or pool is None:
            raise EngineError(
                "a placement policy chose a pool that does not fit",
                "policy.placement",
                "the index of a pool that fits, or None",
                chosen,
            )
        return pool, group

    # ---------------------------------------------------------------- running

    def _start(self, waiting: Waiting, pool: PoolState, group: Free) -> None:
        self.loop.cancel(waiting.timer)
        gpus, cores, ram_gb = waiting.shape
        node = pool.take(group, waiting.shape)
        deployment = Deployment(
            self._name(waiting),
            waiting.user,
            pool.name,
            node,
            gpus,
            cores,
            ram_gb,
            waiting.requested_h,
            self.loop.now_h,
        )
        self.logs.deployments.append(deployment)
        self.held[waiting.user].append(deployment)
        self.gpus_held[waiting.user] += gpus
        self.running[pool.name][deployment.name] = deployment
        self._work(deployment, waiting.request, waiting.first)

    def _work(self, deployment: Deployment, request: int, first: int) -> None:
        """Let a request compute in a deployment from now on and plan the release."""
        line, now = self.script[request], self.loop.now_h
        end_h = now + line.work_h
        if first:
            end_h -= float(self.requests.before_h[self.requests.burst_first[request] + first])
        deployment.segments.append(Segment(request, first, now, end_h))
        ended = Ended.FORGOTTEN if line.forgotten else Ended.PROMPT
        self.release_of[deployment.name] = self.loop.at(
            end_h + line.tail_h, Order.RELEASE, self._release, deployment, ended
        )

    def _release(self, deployment: Deployment, ended: Ended) -> None:
        self._end(deployment, ended)
        self.serve_waiting()

    def _end(self, deployment: Deployment, ended: Ended) -> None:
        """Take a deployment off its node; what its user was held back for may ask again."""
        deployment.released_h, deployment.ended = self.loop.now_h, ended
        del self.release_of[deployment.name]
        del self.running[deployment.pool][deployment.name]
        self.held[deployment.user].remove(deployment)
        self.gpus_held[deployment.user] -= deployment.gpus
        self.pool_named[deployment.pool].give_back(
            deployment.node, deployment.gpus, deployment.cores, deployment.ram_gb
        )
        for waiting in self.room.released_by(deployment.user):
            self.room.join(waiting)

    def kill_pool(self, name: str, ended: Ended) -> None:
        """End all deployments of a pool; unfinished work comes back as new requests."""
        for deployment in list(self.running[name].values()):
            self.loop.cancel(self.release_of[deployment.name])
            self._end(deployment, ended)
            self._continue_elsewhere(deployment)
        self.serve_waiting()

    def _continue_elsewhere(self, deployment: Deployment) -> None:
        segment, now = deployment.segments[-1], self.loop.now_h
        if segment.end_h <= now:
            return
        r, request = self.requests, segment.request
        bursts = slice(r.burst_first[request], r.burst_first[request] + r.burst_count[request])
        before_h, burst_h, gap_h = (x[bursts].tolist() for x in (r.before_h, r.burst_h, r.gap_h))
        origin = segment.start_h - before_h[segment.first]
        left = segment.first
        while left < len(burst_h) and origin + before_h[left] + burst_h[left] <= now:
            left += 1
        cut = origin + before_h[left]
        deployment.lost_h = max(0.0, now - cut)
        in_gap = cut >= now and left > segment.first
        segment.end_h = cut - gap_h[left - 1] if in_gap else now
        part = int(deployment.name.rsplit(".", 1)[1]) + 1
        self.loop.at(
            now + self.script[request].restart_h, Order.ARRIVAL, self._ask, request, left, part
        )

    def finish(self) -> None:
        """Log what still runs at the horizon as such."""
        for pool in self.running.values():
            for deployment in pool.values():
                deployment.released_h = self.loop.horizon_h
                deployment.ended = Ended.HORIZON

    def _name(self, waiting: Waiting) -> str:
        number = self.script[waiting.request].number
        return f"{self.users[waiting.user]}#{number}.{waiting.part}"
