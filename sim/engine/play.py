"""Plays one plan from the first hour to the horizon."""

from __future__ import annotations

from sim.engine.capacity import Capacity, log_services
from sim.engine.deployments import Deployments
from sim.engine.logs import Logs
from sim.engine.loop import Loop
from sim.engine.nodes import Bill, Switching
from sim.engine.pools import Pools
from sim.entities import Federation
from sim.plan.world import Plan
from sim.policies.base import Policies
from sim.serving.hosting import HostingCluster


def play(
    federation: Federation, plan: Plan, policies: Policies, served: Logs | None = None
) -> Logs:
    """Play a plan against capacity and policies.

    Args:
        federation: The federation, for its capacity and behaviour.
        plan: Every random draw of the replicate; nothing is drawn here.
        policies: One policy of each kind.
        served: Logs of a run that differs in other policies than those of serving and nodes: what
            its clusters did is taken over. They meet nobody but their own nodes and requests.

    Returns:
        The interval logs. What holds capacity is closed at the horizon; computing that goes on
        beyond it is logged with the end it would have.
    """
    calendar, logs = federation.calendar, Logs()
    loop = Loop(calendar.horizon_h)
    pools = Pools(federation.pools)
    bill, switching = Bill(loop, pools.named, logs), None
    if calendar.hours_at(policies.nodes.from_day) < calendar.horizon_h:
        switching = Switching(loop, calendar, policies.nodes, bill)
    deployments = Deployments(loop, federation, plan, policies, pools, logs, switching)
    capacity = Capacity(loop, federation, plan, pools, deployments, bill, switching)
    clusters = _clusters(loop, federation, plan, policies, logs) if served is None else []
    capacity.begin()
    for cluster in clusters:
        cluster.begin()
    deployments.begin()
    loop.run()
    deployments.finish()
    bill.finish()
    for cluster in clusters:
        cluster.finish()
    if served is not None:
        logs.served, logs.clusters = served.served, served.clusters
        logs.answers, logs.unserved = served.answers, served.unserved
    log_services(federation, plan, logs)
    logs.events = loop.events
    return logs


def _clusters(
    loop: Loop, federation: Federation, plan: Plan, policies: Policies, logs: Logs
) -> list[HostingCluster]:
    """Set up the clusters with what is hosted on each."""
    of = {key: federation.applications[h.application].cluster for key, h in plan.hosted.items()}
    clusters = []
    for name in federation.clusters:
        hosted = {key: h for key, h in plan.hosted.items() if of[key] == name}
        clusters.append(HostingCluster(loop, federation, name, hosted, policies, logs))
    return clusters
