"""What parts of GPUs and better habits must do, whatever the users of the tiny federation do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from sim.engine.logs import Deployment
from sim.entities import Federation
from sim.paths import with_value
from sim.policies.base import Policies
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.plain import PLAIN
from sim.policies.promptness_ramp import PromptnessRamp
from sim.runner import RunResult, RunSpec, run_once
from tests.property.test_idle import FEW, worlds
from tests.property.test_invariants import federations

FRACTIONS = st.builds(
    GpuFractions,
    st.sampled_from([2, 4, 64]),
    st.floats(0.3, 1.0),
    st.just(()),
    st.floats(1.0, 4.0),
    st.sampled_from([date(2024, 1, 1), date(2024, 5, 1)]),
)
HOME = replace(PLAIN, placement=HomeWithFailover())


def _played(federation: Federation, policies: Policies) -> RunResult:
    return run_once(RunSpec(federation, policies, 4))


@FEW
@given(federations(), FRACTIONS)
def test_whole_gpus_are_whole(federation: Federation, rule: GpuFractions) -> None:
    """A GPU would be held whole by one and in parts by others, or in more parts than there are."""
    log = _played(federation, replace(HOME, sharing=rule)).logs.deployments
    changes: dict[tuple[str, int], list[tuple[float, int, Deployment]]] = defaultdict(list)
    for d in log:
        assert (d.gpu is None) == (d.gpus in (0, 1, 2, 4)) == (d.slowdown == 1.0)
        changes[d.pool, d.node] += [(d.released_h or 0.0, -1, d), (d.started_h, 1, d)]
    for (name, _), mine in changes.items():
        whole, parts = 0.0, defaultdict(float)
        for _, sign, d in sorted(mine, key=lambda change: change[:2]):  # releases first
            if d.gpu is None:
                whole += sign * d.gpus
            else:
                parts[d.gpu] += sign * d.gpus
                assert 0.0 <= parts[d.gpu] <= 1.0
            split = sum(part > 0.0 for part in parts.values())
            assert whole + split <= federation.pools[name].gpus_per_node


@FEW
@given(worlds(), FRACTIONS)
def test_sharing_saves_gpus_and_costs_time(federation: Federation, rule: GpuFractions) -> None:
    """With room for all and nobody slowed down, other things would change than GPUs held."""
    federation = with_value(federation, "demand.reuse_frac", 0.0)
    alone, shared, slow = (
        _played(federation, replace(HOME, sharing=s))
        for s in (PLAIN.sharing, replace(rule, slowdown=1.0), rule)
    )
    same = [replace(d, gpus=0, gpu=None, node=0) for d in alone.logs.deployments]
    assert [replace(d, gpus=0, gpu=None, node=0) for d in shared.logs.deployments] == same
    assert any(d.gpu is not None for d in shared.logs.deployments)
    for ledger in ("allocated", "active"):
        one, two, three = (r.usage.monthly("gpu", ledger).sum() for r in (alone, shared, slow))
        assert two < one
        assert two <= three
    names = [{d.name for d in r.logs.deployments} for r in (alone, slow)]
    assert names[0] == names[1]


@FEW
@given(worlds(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_promptness_never_takes_more_gpu_hours(
    federation: Federation, one: float, two: float
) -> None:
    """Users who release sooner would hold more, or compute another amount."""
    federation = with_value(federation, "demand.reuse_frac", 0.0)
    federation = with_value(federation, "demand.prompt_delay_h", 0.0)
    ramp = PromptnessRamp(min(one, two), date(2024, 2, 1), date(2024, 4, 1))
    educated = (PLAIN.education, ramp, replace(ramp, prompt_frac=max(one, two)))
    totals = [
        _played(federation, replace(HOME, education=e)).summary()["gpu_h"] for e in educated
    ]
    held = [t["allocated"] for t in totals]
    assert held[0] >= held[1] >= held[2]
    assert len({t["active"] for t in totals}) == 1
