"""Terms of admission, on plans by hand: lifetimes, batch jobs, quotas inside, gaming."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from sim.errors import ConfigError, EngineError
from sim.plan.outages import PoolOutage
from sim.policies.auto_release import AutoRelease
from sim.policies.base import Policies, Terms
from sim.policies.batch_mode import BatchMode
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.gpu_quota import GpuQuota
from sim.policies.maximum_lifetime import MaximumLifetime
from sim.policies.plain import PLAIN
from tests.worlds_by_hand import START, Ask, federation, played, pool, story

SHORT = MaximumLifetime(5.0, 0.0, True, START, None)
BATCH = BatchMode(1.0, (), 0.25, 0.0, START, None)
RULE = AutoRelease(2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.6, 2, 0.0, START)


def _with(**kinds: Any) -> Policies:
    return replace(PLAIN, **kinds)


def test_lifetime_loses_a_burst_once_and_keeps_it_then() -> None:
    """Long bursts would be lost again and again, or never be lost at all."""
    logs = played(federation(), [Ask(0.0, bursts=(12.0,))], _with(admission=SHORT))
    assert story(logs) == [
        (0.0, "0#0.0", "on pool"),
        (5.0, "0#0.0", "maximum lifetime reached"),
        (6.0, "0#0.1", "on pool"),
        (11.0, "0#0.1", "maximum lifetime reached"),
        (12.0, "0#0.2", "on pool"),
        (17.0, "0#0.2", "maximum lifetime reached"),
        (18.0, "0#0.3", "on pool"),
        (20.0, "0#0.3", "released promptly"),
    ]
    assert [d.lost_h for d in logs.deployments] == [5.0, 0.0, 0.0, 0.0]


def test_lifetime_costs_setup_and_leaves_cpu_work_alone() -> None:
    """Set-up would be free, or deployments without GPUs be cut, too."""
    slow = replace(SHORT, setup_h=0.5)
    asks = [Ask(0.0, bursts=(4.0, 4.0), gaps=(2.0,)), Ask(100.0, gpus=0, bursts=(9.0,))]
    logs = played(federation(), asks, _with(admission=slow))
    assert story(logs) == [
        (0.0, "0#0.0", "on pool"),
        (5.0, "0#0.0", "maximum lifetime reached"),
        (6.0, "0#0.1", "on pool"),
        (10.5, "0#0.1", "released promptly"),
        (100.0, "0#1.0", "on pool"),
        (109.0, "0#1.0", "released promptly"),
    ]


def test_lifetime_ends_a_forgotten_deployment_without_a_new_request() -> None:
    """A tail would be cut and asked for again, or a returning user lengthen a life."""
    asks = [Ask(0.0, tail_h=9.0, forgotten=True), Ask(2.0, bursts=(1.0,), tail_h=9.0, reuse=True)]
    logs = played(federation(), asks, _with(admission=SHORT))
    assert story(logs) == [(0.0, "0#0.0", "on pool"), (5.0, "0#0.0", "maximum lifetime reached")]
    assert [s.request for s in logs.deployments[0].segments] == [0, 1]


def test_own_release_comes_before_the_end_of_a_lifetime() -> None:
    """Who releases at the very end of a lifetime would count as taken."""
    logs = played(federation(), [Ask(0.0, bursts=(4.0,), tail_h=1.0)], _with(admission=SHORT))
    assert story(logs)[-1] == (5.0, "0#0.0", "released promptly")


def test_what_started_before_the_first_day_keeps_its_terms() -> None:
    """A lifetime would end deployments that were admitted without one."""
    late = replace(SHORT, from_day=date(2024, 1, 2))
    asks = [Ask(23.0, bursts=(30.0,)), Ask(30.0, user=1, bursts=(6.0,))]
    logs = played(federation({"pool": pool(gpus_per_node=2)}), asks, _with(admission=late))
    assert story(logs)[:4] == [
        (23.0, "0#0.0", "on pool"),
        (30.0, "1#0.0", "on pool"),
        (35.0, "1#0.0", "maximum lifetime reached"),
        (36.0, "1#0.1", "on pool"),
    ]
    assert (53.0, "0#0.0", "released promptly") in story(logs)


def test_batch_jobs_end_with_their_script_and_come_back_when_due() -> None:
    """A job would hold its GPU while its user thinks, or after its work, or start too early."""
    ask = Ask(0.0, bursts=(1.0, 1.0, 1.0), gaps=(0.25, 2.0), tail_h=50.0, forgotten=True)
    logs = played(federation(), [ask], _with(admission=replace(BATCH, setup_h=0.5)))
    assert story(logs) == [
        (0.0, "0#0.0", "on pool"),
        (2.25, "0#0.0", "script ended"),
        (4.25, "0#0.1", "on pool"),
        (5.75, "0#0.1", "script ended"),
    ]


@pytest.mark.parametrize(
    "never",
    [{"batch_frac": 0.0}, {"phases": ("serve",)}, {"from_day": date(2024, 2, 1)}],
    ids=lambda changes: next(iter(changes)),
)
def test_other_work_is_no_batch_job(never: dict[str, Any]) -> None:
    """Work of other phases, days or users would become jobs."""
    ask = Ask(0.0, bursts=(1.0, 1.0), gaps=(2.0,), tail_h=5.0)
    logs = played(federation(), [ask], _with(admission=replace(BATCH, **never)))
    assert logs == played(federation(), [ask])
    other = played(federation(), [ask], _with(admission=replace(BATCH, phases=("work",))))
    assert other != logs


def test_a_job_queues_again_and_its_user_may_be_overtaken() -> None:
    """The GPU would be kept for a user who thinks."""
    asks = [Ask(0.0, bursts=(1.0, 1.0), gaps=(1.0,)), Ask(0.5, user=1, bursts=(4.0,), batch=1.0)]
    logs = played(federation(), asks, _with(admission=replace(BATCH, batch_frac=0.5)))
    assert story(logs) == [
        (0.0, "0#0.0", "on pool"),
        (1.0, "0#0.0", "script ended"),
        (1.0, "1#0.0", "on pool"),
        (5.0, "1#0.0", "released promptly"),
        (5.0, "0#0.1", "on pool"),
        (6.0, "0#0.1", "script ended"),
    ]


def test_batch_work_does_not_go_back_to_a_held_deployment() -> None:
    """A batch job would start in a notebook that its user left open."""
    asks = [Ask(0.0, tail_h=9.0, batch=1.0), Ask(2.0, reuse=True)]
    roomy = federation({"pool": pool(gpus_per_node=2)})
    logs = played(roomy, asks, _with(admission=replace(BATCH, batch_frac=0.5)))
    assert [(d.name, d.ended.value) for d in logs.deployments] == [
        ("case/0#0.0", "released promptly"), ("case/0#1.0", "script ended"),
    ]  # fmt: skip


@pytest.mark.parametrize("admission", [SHORT, BATCH], ids=["lifetime", "batch"])
def test_quota_inside_holds_back(admission: MaximumLifetime | BatchMode) -> None:
    """A quota would be forgotten where another policy admits."""
    quota = GpuQuota(1, START)
    asks = [Ask(0.0, bursts=(3.0,)), Ask(1.0, bursts=(3.0,))]
    of = federation({"pool": pool(gpus_per_node=2)})
    starts = [
        [d.started_h for d in played(of, asks, _with(admission=a)).deployments]
        for a in (admission, replace(admission, quota=quota))
    ]
    assert starts == [[0.0, 1.0], [0.0, 3.0]]


def test_the_earliest_of_idle_script_and_lifetime_counts() -> None:
    """A deployment would outlive one of the rules that bind it."""
    ask = Ask(0.0, bursts=(1.0, 1.0), gaps=(9.0,), tail_h=30.0, forgotten=True)
    ended = [
        (d.released_h, d.ended.value)
        for admission in (SHORT, replace(SHORT, lifetime_h=3.0), replace(SHORT, lifetime_h=2.5))
        for d in played(federation(), [ask], _with(admission=admission, idle=RULE)).deployments[:1]
    ]
    assert ended == [
        (3.0, "released as idle"), (3.0, "released as idle"), (2.5, "maximum lifetime reached"),
    ]  # fmt: skip
    jobs = replace(BATCH, pause_h=10.0)
    first, *rest = played(federation(), [ask], _with(admission=jobs, idle=RULE)).deployments
    assert (first.released_h, first.ended.value) == (3.0, "released as idle")
    assert [(d.started_h, d.released_h, d.ended.value) for d in rest] == [
        (10.0, 11.0, "script ended")
    ]


def test_an_outage_cuts_a_job_and_a_kept_burst() -> None:
    """What a lifetime had kept would be lost in an outage, or computed twice."""
    ask = Ask(0.0, bursts=(12.0,))
    outage = {"pool": [PoolOutage(14.0, 20.0, 0.0)]}
    logs = played(federation(), [ask], _with(admission=SHORT), outages=outage)
    times = [(d.started_h, d.released_h, d.lost_h) for d in logs.deployments]
    assert times == [(0.0, 5.0, 5.0), (6.0, 11.0, 0.0), (12.0, 14.0, 2.0), (20.0, 25.0, 0.0),
                     (26.0, 28.0, 0.0)]  # fmt: skip


def test_a_kept_burst_goes_on_at_the_speed_of_a_shared_gpu() -> None:
    """What was computed on a part of a GPU would count for more or less on the next one."""
    halves = GpuFractions(2, 1.0, (), 2.0, START)
    logs = played(
        federation(), [Ask(0.0, bursts=(6.0,))], _with(admission=SHORT, sharing=halves)
    )
    times = [(d.started_h, d.released_h, d.lost_h) for d in logs.deployments]
    assert times == [(0.0, 5.0, 5.0), (6.0, 11.0, 0.0), (12.0, 17.0, 0.0), (18.0, 20.0, 0.0)]


def test_interrupted_users_keep_the_detector_busy_from_then_on() -> None:
    """Users would game the detector too early, or though they are not of that kind."""
    ask = Ask(0.0, bursts=(1.0,) * 4, gaps=(5.0,) * 3)
    games, honest = (
        played(federation(), [ask], _with(idle=replace(RULE, games_frac=g))).deployments
        for g in (0.6, 0.4)
    )
    assert [d.ended.value for d in games] == ["released as idle"] * 2 + ["released promptly"]
    assert [d.ended.value for d in honest] == ["released as idle"] * 3 + ["released promptly"]


@pytest.mark.parametrize(
    ("policy", "changes", "named"),
    [
        (SHORT, {"lifetime_h": 0.5}, "lifetime_h"),
        (SHORT, {"setup_h": 5.0}, "setup_h"),
    ],
)
def test_impossible_terms_are_refused(policy: Any, changes: dict[str, Any], named: str) -> None:
    """A lifetime in which nobody could work would be played for ever."""
    with pytest.raises(ConfigError, match=named):
        replace(policy, **changes)


@pytest.mark.parametrize("terms", [Terms(0.0), Terms(pause_h=-1.0), True], ids=str)
def test_the_engine_checks_what_admission_says(terms: Any) -> None:
    """A policy of a user's own could stop the clock."""

    class Odd:
        def admits(self, request: object) -> Any:
            return terms

    with pytest.raises(EngineError, match=r"policy\.admission"):
        played(federation(), [Ask(0.0)], _with(admission=Odd()))
