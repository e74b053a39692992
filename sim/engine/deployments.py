"""Deployments: requested, placed or queued, re-used, released, cut off and continued elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import inf

from sim.engine.endings import Endings, Left
from sim.engine.idleness import Ending
from sim.engine.logs import Deployment, Ended, Logs, Segment, Withdrawn
from sim.engine.loop import ARRIVAL, CAPACITY, PATIENCE, RELEASE, Action, Loop
from sim.engine.nodes import Switching
from sim.engine.pools import Free, Offer, Pools, PoolState, Shape, Spot
from sim.engine.script import length_h, script_of
from sim.engine.sharing import shared
from sim.engine.waiting import Waiting, WaitingRoom
from sim.entities import Federation
from sim.errors import EngineError
from sim.plan.world import Plan
from sim.policies.base import NO_TERMS, Inert, Policies, RequestView, Terms
from sim.units import to_grid_h


class Deployments:
    """Plays the requests of a plan against pools and policies.

    One event per change of state: arrival, release, end of patience. Bursts and gaps are no
    events; the plan knows their sums, and which of them a policy would act on first.

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
        self.held: list[dict[str, Deployment]] = [{} for _ in plan.users]
        self.held_in: list[tuple[str, ...] | None] = [None] * len(plan.users)  # None: look again
        self.gpus_held: list[float] = [0] * len(plan.users)
        self.running: dict[str, dict[str, Deployment]] = {name: {} for name in pools.named}
        self.booting: dict[str, dict[Waiting, Spot]] = {name: {} for name in pools.named}
        self.release_of: dict[str, Action | None] = {}
        self.requests, self.count = plan.requests, len(plan.requests)
        self.script = script_of(plan.requests, federation, policies.education)
        self.sharing = None if isinstance(policies.sharing, Inert) else policies.sharing
        self.endings = Endings(policies.idle, plan, self.script, self.calendar)
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
        """Let a returning user work in a deployment that sits idle; True if that happened.

        Neither his quota nor the terms of others are looked at: he asks for nothing. But what
        would be a batch job goes to the queue as one.
        """
        now, shape = self.loop.now_h, self.script.shape[index]
        if self.sharing is not None:
            shape, _ = self._shared(index)
        gpus, cores, _ = shape
        for deployment in reversed(self.held[self.script.user[index]].values()):
            idle = deployment.last_active_h <= now
            if idle and deployment.gpus >= gpus and deployment.cores >= cores:
                if self._is_job(index, shape):
                    return False
                self.loop.cancel(self.release_of[deployment.name])
                self._work(deployment, index, first=0)
                return True
        return False

    def _is_job(self, index: int, shape: Shape) -> bool:
        """Return whether a request for so much would be a batch job if its user held nothing."""
        view = self._view(index, shape, self._today())
        terms = self._terms(view._replace(gpus_held=0, held_in=()))
        return terms is not None and terms.pause_h < inf

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
        user, seen = waiting.user, waiting.seen
        if (
            seen is None
            or seen.held_in is not self.held_in[user]  # None or another when deployments changed
            or seen.gpus_held != self.gpus_held[user]  # which counts those that wait for a boot
            or seen.day is not today
        ):
            seen = self._view(waiting.request, waiting.shape, today)
            waiting.seen, waiting.terms = seen, self._terms(seen)
        return None if waiting.terms is None else seen

    def _terms(self, view: RequestView) -> Terms | None:
        """Return on what terms a request is admitted, on the grid; None if it is not."""
        terms = self.policies.admission.admits(view)
        if terms is None or terms is NO_TERMS:
            return terms
        if not isinstance(terms, Terms) or not (
            terms.lifetime_h > 0.0 and terms.pause_h >= 0.0 and 0.0 <= terms.setup_h < inf
        ):
            raise EngineError(
                "an admission policy gave impossible terms",
                "policy.admission",
                "Terms with a lifetime above 0 h and no negative or unending time, or None",
                terms,
            )
        return Terms._make(h if h == inf else to_grid_h(h) for h in terms)

    def _view(self, request: int, shape: Shape, today: date) -> RequestView:
        """Return a request for so much as policies see it now."""
        script, user = self.script, self.script.user[request]
        held_in = self.held_in[user]
        if held_in is None:
            held_in = self.held_in[user] = tuple([d.pool for d in self.held[user].values()])
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
        chosen = self.policies.placement.place(view, [seen for _, _, seen in offers])
        if chosen is None:
            return None
        pool, group, _ = offers[chosen] if chosen in range(len(offers)) else (None, None, None)
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
            up_h = self.switching.wanted(pool, spot[0])
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
        (node, gpu), (gpus, cores, ram_gb) = spot, waiting.shape
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
            waiting.slowdown,
            gpu,
        )
        if waiting.terms is not None and waiting.terms is not NO_TERMS:
            deployment.terms = waiting.terms
        self.logs.deployments.append(deployment)
        self.held[waiting.user][deployment.name] = deployment
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
            end_h = begin_h + length_h(self.requests, request, first, deployment.slowdown)
        elif first:
            end_h -= float(self.requests.before_h[self.requests.burst_first[request] + first])
        done_h = self.endings.done_h(deployment, request, first) if self.endings.kept else 0.0
        deployment.segments.append(Segment(request, first, begin_h, end_h - done_h, done_h))
        ending, own_h = None, end_h - done_h + script.tail_h[request]
        if self.endings.watch is not None or deployment.terms is not NO_TERMS:
            ending = self.endings.first(deployment, own_h)
        if ending is not None:
            release = self.loop.at(ending.at_h, RELEASE, self._take_away, deployment, ending)
        else:
            ended = Ended.FORGOTTEN if script.forgotten[request] else Ended.PROMPT
            release = self.loop.at(own_h, RELEASE, self._release, deployment, ended)
        self.release_of[deployment.name] = release

    def _release(self, deployment: Deployment, ended: Ended) -> None:
        self._end(deployment, ended)
        self.serve_waiting()

    def _take_away(self, deployment: Deployment, ending: Ending) -> None:
        """End a deployment by policy; work that is left goes on elsewhere.

        The user asks again when it was due, at the earliest after the pause that follows a kill.
        He who runs a script looks at what it left during its pause, and then starts the next one.
        """
        self._end(deployment, ending.why)
        left = self.endings.ended(deployment)
        if left is not None:
            self._ask_again(deployment, left, left.due_h, ending.setup_h)
        self.serve_waiting()

    def _end(self, deployment: Deployment, ended: Ended) -> None:
        """Take a deployment off its node."""
        deployment.released_h, deployment.ended = self.loop.now_h, ended
        del self.release_of[deployment.name]
        del self.running[deployment.pool][deployment.name]
        del self.held[deployment.user][deployment.name]
        self.held_in[deployment.user] = None
        shape = (deployment.gpus, deployment.cores, deployment.ram_gb)
        spot = (deployment.node, deployment.gpu)
        self._free(deployment.user, deployment.pool, spot, shape)

    def _free(self, user: int, name: str, spot: Spot, shape: Shape) -> None:
        """Free room on a node; what its user was held back for may ask again."""
        pool = self.pools.named[name]
        self.gpus_held[user] -= shape[0]
        pool.give_back(spot, shape)
        if self.switching is not None and pool.is_empty(spot[0]):
            self.switching.emptied(pool, spot[0])
        for waiting in self.room.released_by(user):
            self.room.join(waiting)

    def kill_pool(self, name: str, ended: Ended) -> None:
        """End all deployments of a pool; unfinished work comes back as new requests.

        Who waits there for a boot goes to the end of the line, as patient as when it first asked.
        """
        for deployment in list(self.running[name].values()):
            self.loop.cancel(self.release_of[deployment.name])
            self._end(deployment, ended)
            left = self.endings.ended(deployment)
            if left is not None:
                self._ask_again(deployment, left)
        booting, self.booting[name] = self.booting[name], {}
        for waiting, spot in booting.items():
            self.loop.cancel(waiting.timer)
            self.room.join(waiting)
            self._be_patient(waiting)
            self._free(waiting.user, name, spot, waiting.shape)
        self.serve_waiting()

    def _ask_again(
        self, deployment: Deployment, left: Left, due_h: float = 0.0, setup_h: float = 0.0
    ) -> None:
        """Let a request come back for what is left, after a pause and not before it was due."""
        part = int(deployment.name.rsplit(".", 1)[1]) + 1
        pause_h = 0.0 if deployment.ended is Ended.SCRIPT else self.script.restart_h[left.request]
        again_h = max(self.loop.now_h + pause_h, due_h)
        self.loop.at(again_h, ARRIVAL, self._ask, left.request, left.burst, part, setup_h)

    def finish(self) -> None:
        """Log what still runs at the horizon as such."""
        for pool in self.running.values():
            for deployment in pool.values():
                deployment.released_h = self.loop.horizon_h
                deployment.ended = Ended.HORIZON

    def _name(self, waiting: Waiting) -> str:
        number = self.script.number[waiting.request]
        return f"{self.users[waiting.user]}#{number}.{waiting.part}"
