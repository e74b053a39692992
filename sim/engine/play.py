"""Plays one plan from the first hour to the horizon."""

from __future__ import annotations

from sim.engine.capacity import Capacity, as_intervals, log_services
from sim.engine.deployments import Deployments
from sim.engine.logs import Logs
from sim.engine.loop import Loop, Order
from sim.engine.pools import PoolState
from sim.entities import Federation
from sim.growth import Step
from sim.plan.world import Plan
from sim.policies.base import Policies
from sim.serving.replicas import ClusterCores, ReplicaSet


def play(federation: Federation, plan: Plan, policies: Policies) -> Logs:
    """Play a plan against capacity and policies.

    Args:
        federation: The federation, for its capacity and behaviour.
        plan: Every random draw of the replicate; nothing is drawn here.
        policies: One policy of each kind.

    Returns:
        The interval logs. What holds capacity is closed at the horizon; computing that goes on
        beyond it is logged with the end it would have.
    """
    loop, logs = Loop(federation.calendar.horizon_h), Logs()
    pools = [PoolState(name, pool) for name, pool in federation.pools.items()]
    deployments = Deployments(loop, federation, plan, policies, pools, logs)
    capacity = Capacity(loop, federation, plan, pools, deployments, logs)
    replica_sets = _applications(loop, federation, plan, logs)
    capacity.begin()
    for replicas in replica_sets:
        replicas.begin()
    deployments.begin()
    loop.run()
    deployments.finish()
    capacity.finish()
    for replicas in replica_sets:
        replicas.finish()
    log_services(federation, plan, logs)
    logs.events = loop.events
    return logs


def _applications(loop: Loop, federation: Federation, plan: Plan, logs: Logs) -> list[ReplicaSet]:
    """Set up clusters and replica sets; log the clusters' nodes, which nothing else changes."""
    sets: list[ReplicaSet] = []
    for name, cluster in federation.clusters.items():
        since_h = max(federation.calendar.hours_at(cluster.since), 0.0)
        tenants = {
            n: inv
            for n, inv in plan.invocations.items()
            if federation.applications[federation.use_cases[n].application or ""].cluster == name
        }
        marks = sorted(inv.hosted_h for inv in tenants.values())
        nodes = [
            cluster.nodes_base + cluster.nodes_per_application * k for k in range(len(marks) + 1)
        ]
        steps: list[Step] = [
            (time, float(round(count) * cluster.cores_per_node))
            for time, count in zip([since_h, *marks], nodes, strict=True)
        ]
        horizon = federation.calendar.horizon_h
        logs.cluster_nodes.extend(as_intervals(name, [s for s in steps if s[0] < horizon], horizon))
        cores = ClusterCores(0)
        for time, total in steps:
            loop.at(time, Order.CAPACITY, _resize, cores, int(total))
        sets += [
            ReplicaSet(
                loop,
                n,
                federation.applications[federation.use_cases[n].application or ""],
                inv,
                cores,
                logs,
            )
            for n, inv in tenants.items()
        ]
    return sets


def _resize(cores: ClusterCores, total: int) -> None:
    cores.total = total
    cores.freed()
