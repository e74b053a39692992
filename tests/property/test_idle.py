"""Which way auto-release must move things, whatever the users of the tiny federation do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from math import nextafter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.engine.logs import Ended
from sim.entities import Federation
from sim.paths import with_value
from sim.policies.auto_release import AutoRelease
from sim.policies.base import IdlePolicy
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.never_release import NeverRelease
from sim.policies.plain import PLAIN
from sim.runner import RunResult, RunSpec, run_once
from tests import configured

FEW = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
BEHAVIOUR = {
    "demand.requests_per_user_week": st.floats(1.0, 6.0),
    "demand.bursts_mean": st.floats(1.0, 12.0),
    "demand.burst_h": st.floats(0.1, 6.0),
    "demand.gap_h": st.floats(0.1, 20.0),
    "demand.forget_frac": st.floats(0.0, 1.0),
    "demand.hold_h": st.floats(1.0, 200.0),
}


ROOMY = configured.roomy(configured.federation("tiny"))


@st.composite
def worlds(draw: st.DrawFn) -> Federation:
    """Draw behaviour in a federation where nobody waits."""
    federation = ROOMY
    for path, strategy in BEHAVIOUR.items():
        federation = with_value(federation, path, draw(strategy, label=path))
    return federation


def _free(federation: Federation) -> Federation:
    """Return the federation in which a release costs nobody any time.

    Who takes an idle deployment of another shape would hold more than he asked for: no re-use.
    """
    federation = with_value(federation, "demand.restart_delay_h", 0.0)
    return with_value(federation, "demand.reuse_frac", 0.0)


def _played(federation: Federation, idle: IdlePolicy) -> RunResult:
    return run_once(RunSpec(federation, replace(PLAIN, placement=HomeWithFailover(), idle=idle), 4))


def _gpu_h(result: RunResult) -> tuple[float, float]:
    """Return GPU-h allocated and active."""
    totals = result.summary()["gpu_h"]
    return totals["allocated"], totals["active"]


RULES = st.builds(
    AutoRelease,
    idle_h=st.sampled_from([1.0, 4.0, 12.0, 24.0, 72.0]),
    warning_h=st.floats(0.0, 0.9),
    grace_h=st.just(0.0),
    exempt_frac=st.floats(0.0, 0.5),
    missed_frac=st.floats(0.0, 0.5),
    mistaken_frac=st.just(0.0),
    releases_frac=st.floats(0.0, 0.5),
    keeps_frac=st.floats(0.0, 0.5),
    games_frac=st.just(0.0),  # who is interrupted more often would game sooner
    games_after=st.just(1),
    setup_h=st.just(0.0),
    from_day=st.sampled_from([date(2024, 1, 1), date(2024, 6, 15)]),
)


@FEW
@given(worlds(), RULES, st.sampled_from([1.5, 3.0, 10.0]))
def test_longer_idle_time_never_saves_more(
    federation: Federation, rule: AutoRelease, factor: float
) -> None:
    """A laxer rule would save more GPU hours though a release costs nobody anything."""
    world = _free(federation)
    rules = (rule, replace(rule, idle_h=factor * rule.idle_h), NeverRelease())
    strict, lax, none = (_gpu_h(_played(world, r)) for r in rules)
    assert strict[0] <= lax[0] <= none[0]
    assert strict[0] < none[0]
    assert strict[1] == lax[1] == none[1]  # the same work is done


@FEW
@given(worlds(), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_blind_detector_equals_never(
    federation: Federation, releases_frac: float, setup_h: float
) -> None:
    """A detector that takes everything for computing would release something."""
    blind = AutoRelease(
        1.0, 0.5, 0.0, 0.0, 1.0, 0.0, releases_frac, 0.0, 0.0, 1, setup_h, date(2024, 1, 1)
    )
    assert _played(federation, blind).logs == _played(federation, NeverRelease()).logs
    seeing = replace(blind, missed_frac=nextafter(0.5, 0.0))
    assert _played(federation, seeing).logs != _played(federation, NeverRelease()).logs


@FEW
@given(worlds(), st.floats(0.5, 1.0), st.floats(0.0, 3.0))
def test_mistakes_cost_hours_and_every_burst_is_finished(
    federation: Federation, mistaken_frac: float, setup_h: float
) -> None:
    """Work that a mistaken detector cut off would be lost for good, or cut again for ever."""
    federation = with_value(federation, "demand.patience_h", 1e6)
    rule = AutoRelease(
        0.5, 0.0, 0.0, 0.0, 0.0, mistaken_frac, 0.0, 0.0, 0.0, 1, setup_h, date(2024, 1, 1)
    )
    result = _played(federation, rule)
    lost = [d for d in result.logs.deployments if d.lost_h > 0.0]
    assert lost
    assert all(d.ended is Ended.IDLE and d.lost_h == 0.5 for d in lost)
    requests = result.plan.requests
    last: dict[int, tuple[float, float]] = {}
    for d in result.logs.deployments:
        for segment in d.segments:
            work_h = requests.burst_h[requests.burst_first[segment.request] + segment.first]
            last[segment.request] = (segment.end_h - segment.start_h, work_h)
    played = [requests.arrival_h[r] < 4000.0 for r in last]  # the rest may meet the horizon
    assert sum(played) > 10
    for request, (worked_h, work_h) in last.items():
        if requests.arrival_h[request] < 4000.0:
            assert worked_h >= work_h
