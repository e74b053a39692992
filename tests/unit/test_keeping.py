"""What is kept of a run for a comparison, from runs that were written by hand."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest

from analysis.paired.criteria import NAMES
from analysis.paired.keeping import WAIT_EDGES_H, Keep, Kept
from sim.ledger import usage_of
from sim.plan.outages import PoolOutage
from sim.policies.auto_release import AutoRelease
from sim.policies.base import Policies
from sim.policies.batch_mode import BatchMode
from sim.policies.maximum_lifetime import MaximumLifetime
from sim.runner import RunResult, RunSpec
from tests.worlds_by_hand import (
    FREE,
    START,
    Ask,
    application,
    calls,
    federation,
    plan,
    played,
    pool,
)

RULE = AutoRelease(2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2, 0.5, START)
RELEASED = replace(FREE, idle=RULE)


def _kept(policies: Policies, asks: list[Ask], months: range = range(1, 3), nodes: int = 3,
          **more: object) -> Kept:  # fmt: skip
    of = federation({"pool": pool(nodes_first=nodes, nodes_top=float(nodes))})
    world, logs = plan(of, asks, **more), played(of, asks, policies, **more)
    result = RunResult(RunSpec(of, policies), world, logs, usage_of(of, world, logs))
    return Keep(months, False)(result)


def _of(kept: Kept, *names: str) -> list[float]:
    every, here = (dict(zip(NAMES, row, strict=True)) for row in kept.criteria)
    assert all(every[n] == here[n] or np.isnan(here[n]) for n in names)  # a single site
    return [float(every[n]) for n in names]


def test_hours_by_hand() -> None:
    """A ledger, or idle time, would be counted in another month or twice."""
    asks = [Ask(0.0, gpus=1, cores=4, bursts=(2.0, 1.0), gaps=(1.0,), tail_h=6.0, forgotten=True)]
    asks += [Ask(750.0, bursts=(5.0,))]
    kept = _kept(FREE, asks, range(1, 2))
    names = ("gpu_provisioned", "gpu_allocated", "gpu_active", "gpu_idle", "cpu_allocated")
    assert _of(kept, *names) == [3 * 744.0, 10.0, 3.0, 7.0, 40.0]
    assert kept.gpu_h[:, 1].tolist() == [10.0, 5.0]
    assert _of(_kept(FREE, asks), "gpu_allocated") == [15.0]


def test_interruptions_releases_and_what_they_cost() -> None:
    """A tail that is cut would count as an interruption, or set-up and lost work for nothing."""
    tail = Ask(0.0, tail_h=9.0, forgotten=True)
    pause = Ask(0.0, user=1, bursts=(1.0, 1.0), gaps=(5.0,), restart_h=10.0)
    names = ("releases", "interruptions", "setup_h", "lost_h", "user_h")
    assert _of(_kept(RELEASED, [tail, pause]), *names) == [2.0, 1.0, 0.5, 0.0, 0.5]
    assert _of(_kept(FREE, [tail, pause]), *names) == [0.0] * 5
    mistaken = replace(FREE, idle=replace(RULE, mistaken_frac=1.0))
    long = Ask(0.0, bursts=(5.0,), restart_h=3.0)
    assert _of(_kept(mistaken, [long]), *names, "lost_gpu_h") == [1.0, 1.0, 0.5, 2.0, 2.5, 2.0]


def test_work_left_that_never_goes_on_counts() -> None:
    """An interruption just before the horizon would be none, because nothing follows it."""
    pause = Ask(1430.0, bursts=(1.0, 1.0), gaps=(8.5,))
    assert _of(_kept(RELEASED, [pause]), "releases", "interruptions") == [1.0, 1.0]


def test_a_user_who_follows_a_warning_is_not_interrupted() -> None:
    """Who lets go would count as someone whose deployment was taken."""
    warned = replace(FREE, idle=replace(RULE, warning_h=1.0, releases_frac=1.0))
    pause = Ask(0.0, bursts=(1.0, 1.0), gaps=(5.0,))
    assert _of(_kept(warned, [pause]), "releases", "interruptions") == [1.0, 0.0]


def test_a_lifetime_interrupts_where_work_is_left() -> None:
    """The end of a lifetime would be no interruption, or one where all work was done."""
    limited = replace(FREE, admission=MaximumLifetime(5.0, 1.0, True, START, None))
    names = ("releases", "interruptions", "lost_h", "setup_h")
    tail = Ask(0.0, bursts=(1.0,), tail_h=48.0, forgotten=True)
    assert _of(_kept(limited, [tail]), *names) == [1.0, 0.0, 0.0, 0.0]
    long = Ask(0.0, bursts=(7.0,), restart_h=1.0)  # lost at 5 h, then kept at 4 h of 7
    assert _of(_kept(limited, [long]), *names) == [2.0, 2.0, 5.0, 2.0]


def test_a_job_whose_script_ended_is_not_interrupted() -> None:
    """Batch jobs would count as taken from their users at each pause."""
    batch = replace(FREE, admission=BatchMode(1.0, (), 0.25, 0.5, START, None))
    pauses = Ask(0.0, bursts=(1.0, 1.0), gaps=(5.0,), restart_h=1.0)
    kept = _kept(batch, [pauses])
    assert _of(kept, "releases", "interruptions", "gpu_allocated") == [0.0, 0.0, 2.5]


def test_an_outage_is_no_interruption_by_a_policy() -> None:
    """Outages would be held against the policy that is judged."""
    out = {"pool": [PoolOutage(1.0, 3.0, 0.0)]}
    kept = _kept(RELEASED, [Ask(0.0, bursts=(4.0,), restart_h=3.0)], outages=out)
    assert _of(kept, "releases", "interruptions", "lost_h", "setup_h") == [0.0, 0.0, 1.0, 0.0]


def test_only_the_months_to_come_count() -> None:
    """What happened in reported months would count as an effect of the policy."""
    asks = [Ask(0.0, bursts=(1.0, 1.0), gaps=(5.0,)), Ask(750.0, bursts=(1.0, 1.0), gaps=(9.0,))]
    kept = _kept(RELEASED, asks, range(2, 3))
    assert _of(kept, "interruptions", "gpu_starts") == [1.0, 2.0]


def test_waits_by_hand() -> None:
    """Waits would be those without GPUs, too, or who gave up be forgotten."""
    asks = [
        Ask(0.0, bursts=(4.0,)),
        Ask(0.0, user=1, gpus=0, cores=8),
        Ask(1.0, user=2, bursts=(6.0,)),
        Ask(3.0, user=3, bursts=(0.5,)),
        Ask(4.5, user=4, patience_h=1.5),
    ]
    kept = _kept(FREE, asks, nodes=1)
    names = ("gpu_starts", "wait_mean", "wait_p50", "waited_share")
    assert _of(kept, *names) == [3.0, 4.0, 4.0, 2 / 3]  # from 0, 5 and 11 h on
    assert _of(kept, "wait_p95") == pytest.approx([7.6])
    every, here = (dict(zip(NAMES, row, strict=True)) for row in kept.criteria)
    assert every["withdrawn"] == 1.0
    assert np.isnan(here["withdrawn"])
    assert every["wait_h"] == 4.0 + 4.0 + 8.0 + 1.5
    assert here["wait_h"] == 16.0  # who gave up has no site
    assert kept.waits.sum() == 3
    assert kept.waits[0] == 1


def test_a_site_where_nobody_starts_has_no_waits() -> None:
    """A mean over nobody would be a zero, or a warning."""
    names = ("gpu_starts", "wait_p50", "waited_share", "cold_share", "response_p95")
    values = _of(_kept(FREE, []), *names)
    assert values[0] == 0.0
    assert np.isnan(values[1:]).all()


def test_bins_of_waits_have_no_gap() -> None:
    """A wait would fall into no bin."""
    assert WAIT_EDGES_H[0] == 0.0
    assert WAIT_EDGES_H[-1] == inf
    assert (np.diff(WAIT_EDGES_H) > 0.0).all()
    assert 1.0 in WAIT_EDGES_H.round(12)


def test_serving_by_hand() -> None:
    """Calls would be counted at another site or in another month."""
    of = federation(app=application(max_scale=1), cluster_cores=8)
    asked = calls([(100.0, 20.0), (125.0, 10.0), (3_000_000.0, 60.0)])
    world, logs = plan(of, invocations=asked), played(of, invocations=asked)
    result = RunResult(RunSpec(of, FREE), world, logs, usage_of(of, world, logs))
    kept = Keep(range(1, 2), True)(result)
    assert _of(kept, "invocations", "cold_share", "node_h") == [2.0, 0.5, 744.0]
    assert _of(kept, "response_p95") == pytest.approx([50.0], rel=0.05)
    assert kept.serving is not None
