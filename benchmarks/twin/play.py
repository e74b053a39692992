"""Plays a plan with the twin, and brings the logs of both into a form that can be compared."""

from __future__ import annotations

from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

import simpy

from benchmarks.twin.capacity import TwinCapacity
from benchmarks.twin.deployments import TwinDeployments
from benchmarks.twin.switching import TwinSwitching
from sim.engine.capacity import log_services
from sim.engine.logs import Held, Logs
from sim.entities import Federation
from sim.plan.world import Plan
from sim.policies.base import Policies


def play_plainly(
    federation: Federation, plan: Plan, policies: Policies, sparing: bool = False
) -> Logs:
    """Play a plan as `sim.engine.play.play` does, but for applications; same logs.

    `logs.events` counts what went through SimPy's queue. Where it is `sparing` it believes an idle
    policy that says how short a stretch it never acts on, as the engine does; else it asks about
    each, and so finds out a policy that is wrong about itself.
    """
    env, logs = _CountingEnvironment(), Logs()
    switching = TwinSwitching(env, federation.calendar, policies.nodes)
    deployments = TwinDeployments(env, federation, plan, policies, logs, switching)
    if sparing:
        deployments.inside.shortest_h = policies.idle.shortest_h
    capacity = TwinCapacity(env, federation, plan, deployments, logs)
    env.process(deployments.arrivals())
    env.run(until=federation.calendar.horizon_h)
    deployments.finish()
    capacity.finish()
    log_services(federation, plan, logs)
    logs.events = env.scheduled
    return logs


class _CountingEnvironment(simpy.Environment):
    @property
    def scheduled(self) -> int:
        return next(self._eid)


def comparable(logs: Logs, horizon_h: float) -> dict[str, list[Any]]:
    """Return logs as lists that are equal if and only if the same things happened.

    Intervals cut in two without any change between them mean nothing; computing beyond the horizon
    is cut there. Numbers of split GPUs are but names. Applications are held to a twin of their own,
    `benchmarks.twin.cluster`.
    """
    for deployment in logs.deployments:
        for segment in deployment.segments:
            segment.end_h = min(segment.end_h, horizon_h)
    return {
        "deployments": [asdict(replace(d, gpu=None)) for d in logs.deployments],
        "withdrawn": logs.withdrawn,
        "nodes": _whole(logs.nodes),
        "services": _whole(logs.services),
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
