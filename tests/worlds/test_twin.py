"""The engine beside its plain SimPy twin: the same plan, the same logs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from benchmarks.twin.play import comparable, play_plainly
from sim.engine.play import play
from sim.entities import Federation
from sim.paths import with_value
from sim.plan.world import draw_plan
from sim.policies.base import Policies
from sim.policies.gpu_quota import GpuQuota
from sim.policies.least_loaded import LeastLoaded

LAWS = ("saturating", "deployed")


def _crowded(federation: Federation) -> Federation:
    """Return the federation with more users than room, patience for it, and many outages."""
    federation = with_value(federation, "demand.patience_h", 200.0)
    federation = with_value(federation, "demand.requests_per_user_week", 6.0)
    for name in federation.pools:
        federation = with_value(federation, f"pools.{name}.outages_per_year", 12.0)
        federation = with_value(federation, f"pools.{name}.outage_mean_h", 30.0)
    return federation


def _agree(federation: Federation, policies: Policies, replicate: int) -> tuple[int, int, int]:
    """Hold both to the same logs; return how many waited, were withdrawn and were killed."""
    plan, horizon_h = draw_plan(federation, 3, replicate), federation.calendar.horizon_h
    logs, twin = play(federation, plan, policies), play_plainly(federation, plan, policies)
    waited = sum(d.started_h > d.requested_h for d in logs.deployments)
    killed = sum(d.ended is not None and d.ended.value == "pool out" for d in logs.deployments)
    one, two = comparable(logs, horizon_h), comparable(twin, horizon_h)
    for part, entries in one.items():
        assert entries == two[part], part
    return waited, len(logs.withdrawn), killed


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
    quota = Policies(GpuQuota(2, date(2024, 3, 1)), policies.placement)
    waited, withdrawn, killed = _agree(crowded, quota, replicate)
    assert min(waited, withdrawn, killed) > 20
    _agree(crowded, Policies(quota.admission, LeastLoaded()), replicate)


@pytest.mark.parametrize("law", LAWS)
def test_twin_agrees_on_the_reference_case(
    imagine: Federation, policies: Policies, law: str
) -> None:
    """A site joining, an upgrade or a migration would be played differently."""
    _agree(replace(imagine, growth=replace(imagine.growth, law=law)), policies, 0)
