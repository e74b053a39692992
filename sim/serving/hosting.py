"""The clusters of a federation in the engine: nodes that join, applications window by window.

SimPy says when nodes join and when a month ends; in between the kernel plays. A month with many
requests is played in several windows, so that memory does not grow with their number.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sim.applications import Cluster
from sim.engine.logs import QUANTILES, Answers, ClusterMonth, Logs, ServedMonth
from sim.engine.loop import Loop, Order
from sim.engine.nodes import ask
from sim.entities import Federation
from sim.plan.hosting import Hosted
from sim.policies.base import Policies, ServingPolicy
from sim.serving.cluster import Done, ServingCluster, Tenant
from sim.serving.kernel.keepalive import KeepAlive
from sim.serving.kernel.outcome import Outcome
from sim.serving.kernel.scaling import Autoscaler
from sim.serving.latency import Histogram, Served
from sim.serving.settings import policy_of, settings_of
from sim.ticks import NEVER, TICKS_PER_H, ticks
from sim.units import FloatArray, IntArray

LEAST_A_WINDOW, LEAST_OF_EACH = 20_000, 200  # requests expected in a window of a cluster


def requests_a_window(applications: int) -> int:
    """Return how many requests a window should have at least."""
    return max(LEAST_A_WINDOW, LEAST_OF_EACH * applications)


class HostingCluster:
    """A cluster, its nodes and the applications on it.

    Args:
        loop: The event loop.
        federation: The federation.
        name: Name of the cluster.
        hosted: What is hosted on it, by key in the plan.
        policies: One policy of each kind.
        logs: The logs.
    """

    def __init__(
        self, loop: Loop, federation: Federation, name: str, hosted: dict[str, Hosted],
        policies: Policies, logs: Logs,
    ) -> None:
        """Store what is needed; `begin` schedules."""
        self.loop, self.logs, self.name = loop, logs, name
        self.cluster: Cluster = federation.clusters[name]
        self.keys, self.federation = list(hosted), federation
        self.edges_h = federation.calendar.month_edges_h
        self.keeps = [federation.applications[h.application].kept_mb > 0.0 for h in hosted.values()]
        self.nodes, self.month = 0, 0
        self.node_ticks = 0
        self.served = [Served() for _ in hosted]
        self.answers: list[list[tuple[IntArray, IntArray]]] = [[] for _ in hosted]
        self.nodes_policy, calendar = policies.nodes, federation.calendar
        self.switch_h = calendar.hours_at(self.nodes_policy.from_day)
        self.tune_h = calendar.hours_at(policies.serving.from_day)
        self.play = ServingCluster([self._tenant(h) for h in hosted.values()])
        self.tuned = self._tuned(hosted, policies.serving)
        self.joins = self._joins(hosted)
        expected = sum((h.expected for h in hosted.values()), np.zeros(len(self.edges_h) - 1))
        self.windows_h = self._windows(expected)

    def _tenant(self, hosted: Hosted) -> Tenant:
        application = self.federation.applications[hosted.application]
        horizon_h = self.federation.calendar.horizon_h
        return Tenant(
            policy_of(application), application.cores, application.ram_mb,
            hosted.requests(), hosted.starts(),
            int(hosted.hosted_h * TICKS_PER_H) if hosted.hosted_h < horizon_h else NEVER,
            None if hosted.then is None else self.keys.index(hosted.then),
            int(ticks(application.retries.backoff_s)),
            int(ticks(application.retries.backoff_most_s)),
        )  # fmt: skip

    def _tuned(
        self, hosted: dict[str, Hosted], policy: ServingPolicy
    ) -> dict[int, KeepAlive | Autoscaler]:
        """Return how applications scale from the policy's day on, of those that it changes."""
        found: dict[int, KeepAlive | Autoscaler] = {}
        if self.tune_h >= self.loop.horizon_h:
            return found
        for app, of in enumerate(hosted.values()):
            before = self.federation.applications[of.application]
            after = policy_of(settings_of(policy, of.application, before))
            if after != policy_of(before):
                found[app] = after
        return found

    def _joins(self, hosted: dict[str, Hosted]) -> list[tuple[float, int]]:
        """Return when how many nodes are there, time in h; ascending."""
        calendar, cluster = self.federation.calendar, self.cluster
        marks = sorted(h.hosted_h for h in hosted.values() if not h.called)
        times = [max(calendar.hours_at(cluster.since), 0.0), *marks]
        return [
            (time_h, round(cluster.nodes_base + cluster.nodes_per_application * number))
            for number, time_h in enumerate(times)
            if time_h < calendar.horizon_h
        ]

    def _windows(self, expected: FloatArray) -> FloatArray:
        """Return where windows end, h: each month in equal parts, with enough requests in each.

        What is played does not depend on them. Small ones stay in the cache of the processor; too
        small ones cost more than what is played in them.
        """
        parts = 1 + (expected // requests_a_window(len(self.keys))).astype(np.int64)
        edges = [
            np.linspace(since, until, count + 1)[1:]
            for (since, until), count in zip(pairwise(self.edges_h), parts, strict=True)
        ]
        return np.concatenate(edges)

    def begin(self) -> None:
        """Schedule the nodes that join and the ends of windows before the horizon."""
        for time_h, nodes in self.joins:
            self.loop.at(time_h, Order.CAPACITY, self._join, nodes)
        if self.tuned:
            self.loop.at(self.tune_h, Order.CAPACITY, self._tune)
        for time_h in self.windows_h[:-1].tolist():
            self.loop.at(time_h, Order.CAPACITY, self._end_window, time_h)

    def _join(self, nodes: int) -> None:
        self._play(int(self.loop.now_h * TICKS_PER_H))
        scaling, cluster = self.cluster.scaling, self.cluster
        idle = NEVER if scaling is None else int(ticks(scaling.idle_s))
        joined, self.nodes = range(self.nodes, nodes), nodes
        self.play.add_nodes(
            len(joined), cluster.cores_per_node, cluster.ram_mb_per_node, idle, on=scaling is None
        )
        if joined:
            self._ask_about(joined)

    def _ask_about(self, joined: range) -> None:
        """Ask the policy about nodes that join, as on the day from which it is in force."""
        since_h, horizon_h = max(self.loop.now_h, self.switch_h), self.loop.horizon_h
        if since_h >= horizon_h:
            return
        node = (self.name, 0, self.cluster.cores_per_node, True)
        said = ask(self.nodes_policy, self.federation.calendar, since_h, node)
        scaling = self.cluster.scaling is not None
        if said is None or (since_h + said.after_h >= horizon_h and not scaling):
            return
        idle = NEVER if said.after_h >= horizon_h else int(said.after_h * TICKS_PER_H)
        boot = 0 if scaling else int(min(said.boot_h, horizon_h) * TICKS_PER_H)
        self.loop.at(since_h, Order.CAPACITY, self._switch, idle, boot, joined)

    def _switch(self, idle: int, boot: int, joined: range) -> None:
        self._play(int(self.loop.now_h * TICKS_PER_H))
        self.play.shut_down_after(idle, boot, joined)

    def _tune(self) -> None:
        self._play(int(self.loop.now_h * TICKS_PER_H))
        for app, policy in self.tuned.items():
            self.play.retune(app, policy)

    def _end_window(self, time_h: float) -> None:
        """Play to the end of a window; a long queue, which is copied each time, waits for more."""
        month_ends = time_h == self.edges_h[self.month + 1]
        if month_ends or self.play.waiting <= 2 * requests_a_window(len(self.keys)):
            self._play(int(time_h * TICKS_PER_H))

    def _play(self, until: int) -> None:
        """Play a window; close the month if it ends there."""
        window = self.play.play(until)
        self.node_ticks += window.provisioned
        for app, done in enumerate(window.done.by_app(len(self.keys))):
            self.served[app].add(done, int(window.allocated[app]), int(window.active[app]))
            if self.keeps[app] and len(done.end):
                self.answers[app].append(_by_hour(done))
        if until == self.edges_h[self.month + 1] * TICKS_PER_H:
            self._close_month()

    def _close_month(self) -> None:
        """Log a month and begin the next one."""
        self.logs.clusters.append(ClusterMonth(self.name, self.month, self.node_ticks))
        for key, served in zip(self.keys, self.served, strict=True):
            self.logs.served.append(
                ServedMonth(
                    key, self.month, tuple(served.outcomes.tolist()), _quantiles_s(served.waited),
                    _quantiles_s(served.response), served.allocated, served.active,
                )
            )  # fmt: skip
        self.node_ticks, self.month = 0, self.month + 1
        self.served = [Served() for _ in self.keys]

    def finish(self) -> None:
        """Play to the horizon; log answers and who has none."""
        self._play(int(self.loop.horizon_h * TICKS_PER_H))
        unanswered = self.play.unanswered()
        for app, key in enumerate(self.keys):
            self.logs.unserved[key] = int(unanswered[app])
            if self.answers[app]:
                hours, counts = (np.concatenate(c) for c in zip(*self.answers[app], strict=True))
                given = Answers(key, tuple(hours.tolist()), tuple(counts.tolist()))
                self.logs.answers.append(given)


def _by_hour(done: Done) -> tuple[IntArray, IntArray]:
    """Return the ends of the hours in which answers were given, and how many were in each."""
    end = done.end[done.outcome <= Outcome.COLD]
    return np.unique(-(-end // TICKS_PER_H), return_counts=True)


def _quantiles_s(of: Histogram) -> tuple[float, ...] | None:
    return tuple(of.quantiles_s(np.array(QUANTILES)).tolist()) if of.total else None
