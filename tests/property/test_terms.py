"""What terms of admission must do, whatever the users of the tiny federation do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.engine.logs import Ended
from sim.engine.script import length_h
from sim.entities import Federation
from sim.ledger import active_bursts
from sim.paths import with_value
from sim.policies.base import NO_TERMS, AdmissionPolicy
from sim.policies.batch_mode import BatchMode
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.maximum_lifetime import MaximumLifetime
from sim.policies.plain import PLAIN
from sim.runner import RunResult, RunSpec, run_once
from tests.property.test_idle import FEW, worlds
from tests.property.test_invariants import federations

DAYS = st.sampled_from([date(2024, 1, 1), date(2024, 5, 1)])
LIFETIMES = st.builds(
    MaximumLifetime,
    lifetime_h=st.sampled_from([2.0, 8.0, 24.0, 200.0]),
    setup_h=st.sampled_from([0.0, 0.5, 1.5]),
    gpus_only=st.booleans(),
    from_day=DAYS,
    quota=st.none(),
)
BATCHES = st.builds(
    BatchMode,
    batch_frac=st.floats(0.3, 1.0),
    phases=st.just(()),
    pause_h=st.sampled_from([0.0, 0.5, 3.0]),
    setup_h=st.sampled_from([0.0, 0.5]),
    from_day=DAYS,
    quota=st.none(),
)


def _played(federation: Federation, rule: AdmissionPolicy) -> RunResult:
    policies = replace(PLAIN, placement=HomeWithFailover(), admission=rule)
    return run_once(RunSpec(federation, policies, 4))


@FEW
@given(federations(), LIFETIMES)
def test_nobody_holds_for_longer_than_the_lifetime(
    federation: Federation, rule: MaximumLifetime
) -> None:
    """A deployment would outlive its lifetime, or lose it when its user comes back to it."""
    result = _played(federation, rule)
    first_h = federation.calendar.hours_at(rule.from_day)
    bound = 0
    for d in result.logs.deployments:
        if d.started_h >= first_h and (d.gpus or not rule.gpus_only):
            assert d.released_h is not None
            assert d.released_h - d.started_h <= rule.lifetime_h
            bound += 1
    assert bound or not any(d.started_h >= first_h for d in result.logs.deployments if d.gpus)


@FEW
@given(federations(), BATCHES)
def test_a_job_computes_and_goes(federation: Federation, rule: BatchMode) -> None:
    """A batch job would hold its GPUs through a pause of its user, or after its script's end."""
    result = _played(federation, rule)
    log = result.logs.deployments
    owner, starts, ends = active_bursts(result.plan, result.logs)
    bursts: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for index, start, end in zip(owner.tolist(), starts.tolist(), ends.tolist(), strict=True):
        bursts[index].append((start, end))
    for index, d in enumerate(log):
        if d.terms is NO_TERMS:
            assert d.ended is not Ended.SCRIPT
            continue
        assert len(d.segments) == 1
        assert all(b[0] - a[1] <= rule.pause_h for a, b in pairwise(bursts[index]))
        if d.ended is Ended.SCRIPT:
            assert d.released_h == d.last_active_h == bursts[index][-1][1]


@FEW
@given(worlds(), st.one_of(LIFETIMES, BATCHES))
def test_no_work_is_lost_or_done_twice(federation: Federation, rule: AdmissionPolicy) -> None:
    """A cut would swallow hours of computing that were still to do, or count some twice."""
    federation = with_value(federation, "demand.reuse_frac", 0.0)
    result = _played(federation, rule)
    requests, log = result.plan.requests, result.logs.deployments
    work = [d.segments[0] for d in log]
    of = np.array([w.request for w in work])
    owner, start, end = active_bursts(result.plan, result.logs)
    done = np.bincount(of[owner], end - start, len(requests))
    done -= np.bincount(of, [d.lost_h for d in log], len(requests))
    left_h = np.array([length_h(requests, w.request, w.first, 1.0) - w.done_h for w in work])
    at_end = np.array([w.end_h - w.start_h for w in work]) == left_h
    finished = of[at_end & [d.ended is not Ended.HORIZON for d in log]]
    assert len(finished) == len(set(finished.tolist()))
    burst_h = np.append(0.0, np.cumsum(requests.burst_h))
    first = requests.burst_first[finished]
    asked = burst_h[first + requests.burst_count[finished]] - burst_h[first]
    assert (done[finished] == asked).all()
