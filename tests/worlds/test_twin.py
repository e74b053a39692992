"""The engine beside its plain SimPy twin: the same plan, the same logs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from benchmarks.twin.play import comparable, play_plainly
from sim.engine.logs import Ended
from sim.engine.play import play
from sim.entities import Federation
from sim.paths import with_value
from sim.plan.world import draw_plan
from sim.policies.anti_affinity import AntiAffinity
from sim.policies.auto_release import AutoRelease
from sim.policies.base import NodesPolicy, Policies
from sim.policies.batch_mode import BatchMode
from sim.policies.give_back import GiveBack
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.gpu_quota import GpuQuota
from sim.policies.least_loaded import LeastLoaded
from sim.policies.maximum_lifetime import MaximumLifetime
from sim.policies.promptness_ramp import PromptnessRamp
from sim.policies.scale_down import ScaleDown
from sim.policies.static_nodes import StaticNodes

LAWS = ("saturating", "deployed")
NODES = (
    ScaleDown(0.0, 0.9, True, False, date(2024, 2, 1)),
    ScaleDown(0.13, 30.1, True, False, date(2023, 2, 1)),
    GiveBack(1.1, 31.3, False, date(2024, 3, 1)),
)


def _crowded(federation: Federation) -> Federation:
    """Return the federation with more users than room, patience for it, and many outages."""
    federation = with_value(federation, "demand.patience_h", 200.0)
    federation = with_value(federation, "demand.requests_per_user_week", 6.0)
    for name in federation.pools:
        federation = with_value(federation, f"pools.{name}.outages_per_year", 12.0)
        federation = with_value(federation, f"pools.{name}.outage_mean_h", 30.0)
    return federation


def _agree(federation: Federation, policies: Policies, replicate: int) -> Counter[str]:
    """Hold both to the same logs; return why deployments ended, and how many waited or gave up."""
    plan, horizon_h = draw_plan(federation, 3, replicate), federation.calendar.horizon_h
    logs, twin = play(federation, plan, policies), play_plainly(federation, plan, policies)
    found = Counter(d.ended.name for d in logs.deployments if d.ended is not None)
    found["waited"] = sum(d.started_h > d.requested_h for d in logs.deployments)
    found["withdrawn"] = len(logs.withdrawn)
    found["shared"] = sum(d.gpu is not None for d in logs.deployments)
    found["returned"] = sum(d.gpu is not None and len(d.segments) > 1 for d in logs.deployments)
    cut = (Ended.IDLE, Ended.LIFETIME)
    found["lost"] = sum(d.lost_h > 0.0 and d.ended in cut for d in logs.deployments)
    found["kept"] = sum(s.done_h > 0.0 for d in logs.deployments for s in d.segments)
    one, two = comparable(logs, horizon_h), comparable(twin, horizon_h)
    for part, entries in one.items():
        assert entries == two[part], part
    return found


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("replicate", [0, 1])
def test_twin_agrees(tiny: Federation, policies: Policies, law: str, replicate: int) -> None:
    """Summed bursts, remembered offers or grouped nodes would change what happens."""
    _agree(replace(tiny, growth=replace(tiny.growth, law=law)), policies, replicate)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("replicate", [0, 1])
def test_twin_agrees_in_a_crowd(
    tiny: Federation, policies: Policies, law: str, replicate: int
) -> None:
    """Queues, quotas, withdrawals and kills would come out differently where all of them meet."""
    crowded = _crowded(replace(tiny, growth=replace(tiny.growth, law=law)))
    quota = replace(policies, admission=GpuQuota(2, date(2024, 3, 1)))
    found = _agree(crowded, quota, replicate)
    assert min(found[what] for what in ("waited", "withdrawn", "OUTAGE")) > 20
    _agree(crowded, replace(quota, placement=LeastLoaded()), replicate)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("replicate", [0, 1])
def test_twin_agrees_when_idle_deployments_are_released(
    tiny: Federation, policies: Policies, law: str, replicate: int
) -> None:
    """Looking ahead for the first release would not find what asking at each pause finds."""
    crowded = _crowded(replace(tiny, growth=replace(tiny.growth, law=law)))
    strict = AutoRelease(2.0, 1.5, 0.5, 0.2, 0.3, 0.4, 0.3, 0.2, 0.4, 2, 0.75, date(2024, 2, 1))
    found = _agree(crowded, replace(policies, idle=strict), replicate)
    assert min(found[what] for what in ("IDLE", "WARNED", "FORGOTTEN", "OUTAGE", "lost")) > 10
    late = replace(strict, idle_h=24.0, warning_h=0.0, grace_h=30.0)
    assert _agree(tiny, replace(policies, idle=late), replicate)["IDLE"] > 10


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("nodes", NODES, ids=["at once", "slow boots", "give_back"])
def test_twin_agrees_when_nodes_are_switched_off(
    tiny: Federation, policies: Policies, law: str, nodes: NodesPolicy
) -> None:
    """Nodes would be off, boot or be paid for at other times where outages and quotas meet."""
    quota = replace(policies, admission=GpuQuota(2, date(2024, 3, 1)), nodes=nodes)
    crowded = _crowded(replace(tiny, growth=replace(tiny.growth, law=law)))
    found = _agree(crowded, quota, 0)
    assert min(found[what] for what in ("waited", "withdrawn", "OUTAGE")) > 20
    calm = with_value(crowded, "demand.requests_per_user_week", 1.5)
    booted = _agree(calm, replace(policies, nodes=nodes), 1)["waited"]
    static = _agree(calm, replace(policies, nodes=StaticNodes()), 1)["waited"]
    assert booted > static + 10


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("replicate", [0, 1])
def test_twin_agrees_when_gpus_are_shared(
    tiny: Federation, policies: Policies, law: str, replicate: int
) -> None:
    """Nodes known by what they have free would not be what looking at each GPU finds."""
    crowded = _crowded(replace(tiny, growth=replace(tiny.growth, law=law)))
    crowded = with_value(crowded, "demand.gpus", {1: 3.0, 2: 1.0, 3: 1.0})
    shared = replace(
        policies,
        admission=GpuQuota(3, date(2024, 3, 1)),
        sharing=GpuFractions(4, 0.7, (), 1.7, date(2024, 2, 1)),
        education=PromptnessRamp(0.9, date(2024, 3, 1), date(2024, 6, 1)),
        placement=AntiAffinity(),
    )
    found = _agree(crowded, shared, replicate)
    assert min(found[w] for w in ("shared", "returned", "waited", "OUTAGE", "FORGOTTEN")) > 5
    strict = AutoRelease(2.0, 1.5, 0.5, 0.2, 0.3, 0.4, 0.3, 0.2, 0.4, 2, 0.75, date(2024, 2, 1))
    found = _agree(crowded, replace(shared, idle=strict), replicate)
    assert min(found[what] for what in ("shared", "IDLE", "WARNED", "OUTAGE", "lost")) > 10


SINCE = date(2024, 2, 1)
TERMS = {
    "lifetime": MaximumLifetime(9.0, 0.5, False, SINCE, GpuQuota(2, date(2024, 3, 1))),
    "batch": BatchMode(0.6, ("training", "prototyping"), 0.4, 0.25, SINCE, GpuQuota(2, SINCE)),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("terms", TERMS)
def test_twin_agrees_when_admission_gives_terms(
    tiny: Federation, policies: Policies, law: str, terms: str
) -> None:
    """Looking ahead for the end of a script or lifetime would not find what waiting for it does."""
    crowded = _crowded(replace(tiny, growth=replace(tiny.growth, law=law)))
    crowded = with_value(crowded, "demand.burst_h", 2.0)
    rules = replace(policies, admission=TERMS[terms])
    found = _agree(crowded, rules, 0)
    ended = {"lifetime": ("LIFETIME", "kept", "lost"), "batch": ("SCRIPT",)}[terms]
    both = (*ended, "PROMPT", "FORGOTTEN", "OUTAGE", "waited", "withdrawn")
    assert min(found[what] for what in both) > 5, found
    strict = AutoRelease(2.0, 1.5, 0.5, 0.2, 0.3, 0.4, 0.3, 0.2, 0.4, 2, 0.75, SINCE)
    halves = GpuFractions(2, 0.7, (), 1.7, SINCE)
    found = _agree(crowded, replace(rules, idle=strict, sharing=halves), 1)
    assert min(found[what] for what in (*ended, "IDLE", "WARNED", "OUTAGE", "shared")) > 5, found


@pytest.mark.parametrize("law", LAWS)
def test_twin_agrees_on_the_reference_case(
    imagine: Federation, policies: Policies, law: str
) -> None:
    """A site joining, an upgrade or a migration would be played differently."""
    _agree(replace(imagine, growth=replace(imagine.growth, law=law)), policies, 0)
