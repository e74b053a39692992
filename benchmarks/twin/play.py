"""Plays a plan with the twin, and brings the logs of both into a form that can be compared."""

from __future__ import annotations

from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

import simpy

from benchmarks.twin.capacity import TwinCapacity
from benchmarks.twin.deployments import TwinDeployments
from benchmarks.twin.serving import TwinApplication, TwinCluster
from sim.engine.capacity import as_intervals, log_services
from sim.engine.logs import Held, Logs
from sim.entities import Federation
from sim.plan.world import Plan
from sim.policies.base import Policies


def play_plainly(federation: Federation, plan: Plan, policies: Policies) -> Logs:
    """Play a plan as `sim.engine.play.play` does; same arguments, same logs.

    `logs.events` counts what went through SimPy's queue.
    """
    env, logs = _CountingEnvironment(), Logs()
    deployments = TwinDeployments(env, federation, plan, policies, logs)
    capacity = TwinCapacity(env, federation, plan, deployments, logs)
    applications = _start_applications(env, federation, plan, logs)
    env.process(deployments.arrivals())
    env.run(until=federation.calendar.horizon_h)
    deployments.finish()
    capacity.finish()
    for application in applications:
        application.finish(federation.calendar.horizon_h)
    log_services(federation, plan, logs)
    logs.events = env.scheduled
    return logs


class _CountingEnvironment(simpy.Environment):
    @property
    def scheduled(self) -> int:
        return next(self._eid)


def _start_applications(
    env: simpy.Environment, federation: Federation, plan: Plan, logs: Logs
) -> list[TwinApplication]:
    horizon_h = federation.calendar.horizon_h
    found = []
    for name, cluster in federation.clusters.items():
        at_work = TwinCluster()
        nodes = cluster.nodes_base
        steps = [(max(federation.calendar.hours_at(cluster.since), 0.0), nodes)]
        mine = {
            use_case: (federation.applications[federation.use_cases[use_case].application or ""], i)
            for use_case, i in plan.invocations.items()
        }
        mine = {u: (a, i) for u, (a, i) in mine.items() if a.cluster == name}
        for hosted_h in sorted(i.hosted_h for _, i in mine.values()):
            nodes += cluster.nodes_per_application
            steps.append((hosted_h, nodes))
        cores = [(t, float(round(n) * cluster.cores_per_node)) for t, n in steps if t < horizon_h]
        logs.cluster_nodes.extend(as_intervals(name, cores, horizon_h))
        for time_h, total in cores:
            env.process(at_work.resize(env, time_h, int(total)))
        for use_case, (application, calls) in mine.items():
            found.append(TwinApplication(env, use_case, application, calls, at_work, logs))
    for application in found:
        env.process(application.arrivals())
    return found


def comparable(logs: Logs, horizon_h: float) -> dict[str, list[Any]]:
    """Return logs as lists that are equal if and only if the same things happened.

    The order in which replicas are logged, and intervals cut in two without any change between
    them, mean nothing; computing beyond the horizon is cut there.
    """
    for deployment in logs.deployments:
        for segment in deployment.segments:
            segment.end_h = min(segment.end_h, horizon_h)
    return {
        "deployments": [asdict(d) for d in logs.deployments],
        "withdrawn": logs.withdrawn,
        "nodes": _whole(logs.nodes),
        "services": _whole(logs.services),
        "cluster_nodes": _whole(logs.cluster_nodes),
        "replicas": sorted(logs.replicas, key=attrgetter("use_case", "start_h", "end_h")),
        "served": sorted(logs.served, key=attrgetter("use_case", "arrival_h")),
        "unserved": [dict(sorted(logs.unserved.items()))],
    }


def _whole(held: list[Held]) -> list[Held]:
    joined: list[Held] = []
    for one in sorted(held, key=attrgetter("owner", "start_h")):
        before = joined[-1] if joined else None
        if before and (before.owner, before.end_h, before.quantity) == (
            one.owner, one.start_h, one.quantity,
        ):
            joined[-1] = replace(before, end_h=one.end_h)
        else:
            joined.append(one)
    return joined
