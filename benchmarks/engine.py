"""The engine on the reference case: events, speed against plain SimPy, growth of cost."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from statistics import median

import numpy as np

from analysis.verbs import validate
from benchmarks.measure import Measure, at_least, at_most, seconds
from benchmarks.twin.play import comparable, play_plainly
from sim.engine.play import play
from sim.entities import Federation
from sim.plan.world import draw_plan
from sim.runner import RunSpec, run_once
from tests import configured

LAWS = ("saturating", "deployed")
REPLICATES = range(4)
MOST_EVENTS = 60_000  # of one 36-month replicate
LEAST_SPEED = 3.0  # times faster than the twin
MOST_EXPONENT = 1.1  # of cost over users
SCALES = (1, 10, 100)


def events_and_speed() -> list[Measure]:
    """Play the same plans with the engine and with its twin, turn by turn."""
    policies = configured.policies()
    events, twin_events, ratios, engine_s, differences = [], [], [], [], 0
    for law in LAWS:
        federation = _without_applications(_under(law))  # they have a twin of their own
        horizon_h = federation.calendar.horizon_h
        for replicate in REPLICATES:
            plan = draw_plan(federation, 0, replicate)
            ours, theirs = [], []
            for _ in range(3):
                time_s, logs = seconds(lambda f=federation, p=plan: play(f, p, policies))
                ours.append(time_s)
                time_s, twin = seconds(
                    lambda f=federation, p=plan: play_plainly(f, p, policies, sparing=True)
                )
                theirs.append(time_s)
            events.append(logs.events)
            twin_events.append(twin.events)
            engine_s.append(min(ours))
            ratios.append(min(theirs) / min(ours))
            one, two = comparable(logs, horizon_h), comparable(twin, horizon_h)
            differences += sum(one[part] != two[part] for part in one)
    return [
        at_most("engine.events_of_36_months", max(events), "events", MOST_EVENTS),
        Measure("engine.events_of_the_twin", max(twin_events), "events"),
        at_most("engine.logs_that_differ_from_the_twin", differences, "logs", 0),
        at_least("engine.speed_against_plain_simpy", median(ratios), "ratio", LEAST_SPEED),
        Measure("engine.speed_against_plain_simpy_worst", min(ratios), "ratio"),
        Measure("engine.play_36_months", median(engine_s), "s"),
    ]


def growth_of_cost() -> list[Measure]:
    """Run 1, 10 and 100 times the users on as many times the nodes."""
    times, events = [], []
    for scale in SCALES:
        spec = RunSpec(_scaled(_under("saturating"), scale), configured.policies())
        time_s, result = seconds(lambda s=spec: run_once(s), times=3 if scale < 100 else 2)
        times.append(time_s)
        events.append(result.logs.events)
        del result
    exponent = float(np.polyfit(np.log(SCALES), np.log(times), 1)[0])
    last = float(np.log10(times[-1] / times[-2]))
    return [
        at_most("engine.cost_exponent_1_to_100_times_the_users", exponent, "1", MOST_EXPONENT),
        Measure("engine.cost_exponent_of_the_last_decade", last, "1"),
        Measure("engine.events_of_100_times_the_users", events[-1], "events"),
    ]


def estimates() -> list[Measure]:
    """Hold the estimates of `aiaas validate` to what a run takes."""
    spec = RunSpec(_under("saturating"), configured.policies())
    run_s, result = seconds(lambda: run_once(spec), times=5)
    events = result.logs.events
    guessed = validate.estimated_events(spec.federation, result.plan)
    tracemalloc.start()
    run_once(spec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        Measure("run.36_months", run_s, "s"),
        Measure("run.time_per_event", run_s / events, "s"),
        Measure("run.memory_per_event", peak / events, "bytes"),
        at_most("validate.events_estimated", _off(guessed, events), "ratio", 1.5),
        at_most(
            "validate.memory_estimated", _off(validate.BYTES_PER_EVENT, peak / events), "ratio", 1.5
        ),
    ]


def _off(estimate: float, truth: float) -> float:
    return max(estimate / truth, truth / estimate)


def _under(law: str) -> Federation:
    federation = configured.federation("imagine")
    return replace(federation, growth=replace(federation.growth, law=law))


def _without_applications(federation: Federation) -> Federation:
    """Return the federation without what it serves."""
    cases = {n: replace(c, application=None) for n, c in federation.use_cases.items()}
    return replace(federation, use_cases=cases, applications={}, clusters={})


def _scaled(federation: Federation, scale: int) -> Federation:
    """Return the federation with so many times the users and the nodes."""
    cases = {n: replace(c, users=c.users * scale) for n, c in federation.use_cases.items()}
    pools = {
        n: replace(p, nodes_first=p.nodes_first * scale, nodes_top=p.nodes_top * scale)
        for n, p in federation.pools.items()
    }
    return replace(federation, use_cases=cases, pools=pools)
