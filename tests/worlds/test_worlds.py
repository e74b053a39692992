"""Worlds beside each other: one thing changes, and nothing that should not."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import date
from operator import methodcaller
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sim.ensemble import run_many
from sim.entities import Federation
from sim.paths import value_at, with_value
from sim.plan.world import draw_plan
from sim.policies.as_configured import AsConfigured
from sim.policies.auto_release import AutoRelease
from sim.policies.base import Policies
from sim.policies.give_back import GiveBack
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.gpu_quota import GpuQuota
from sim.policies.never_release import NeverRelease
from sim.policies.open_admission import OpenAdmission
from sim.policies.promptness_ramp import PromptnessRamp
from sim.policies.scale_down import ScaleDown
from sim.policies.tuned_serving import TunedServing
from sim.runner import RunSpec, run_on, run_once
from tests.configured import assert_same, roomy

QUARTERS = GpuFractions(4, 1.0, (), 1.5, date(2024, 2, 1))
RAMP = PromptnessRamp(1.0, date(2024, 2, 1), date(2024, 3, 1))
STRICT = AutoRelease(2.0, 1.0, 0.5, 0.1, 0.1, 0.3, 0.3, 0.2, 0.3, 2, 0.5, date(2024, 2, 1))
OFF_AT_ONCE = ScaleDown(0.0, 0.0, True, True, date(2024, 2, 1))
SCALED = ScaleDown(0.5, 0.25, True, True, date(2024, 2, 1))
WARM = TunedServing(1, 2, 900.0, 2, True, date(2024, 6, 1))


def _without_quota(policies: Policies) -> Policies:
    return replace(policies, admission=OpenAdmission())


@pytest.mark.parametrize("use_case", ["birds", "waves"])
@pytest.mark.parametrize(
    "others",
    [
        {}, {"idle": STRICT}, {"nodes": OFF_AT_ONCE, "serving": WARM},
        {"sharing": QUARTERS, "education": RAMP},
    ],
    ids=["plain", "auto_release", "scale_down", "shared"],
)
def test_one_user_more_changes_nobody_else(
    tiny: Federation, policies: Policies, use_case: str, others: dict[str, Any]
) -> None:
    """The draws of one user would depend on who else there is."""
    before, policies = roomy(tiny), replace(policies, **others)
    path = f"use_cases.{use_case}.users"
    users = value_at(before, path)
    after = with_value(before, path, users + 1)
    alone, together = (run_once(RunSpec(f, policies)).deployments_frame() for f in (before, after))
    extra = together["user"] == f"{use_case}/{users}"
    assert extra.any()
    pd.testing.assert_frame_equal(
        alone.sort_values("deployment", ignore_index=True),
        together[~extra].sort_values("deployment", ignore_index=True),
        check_exact=True,
    )


def test_one_use_case_more_changes_nobody_else(tiny: Federation, policies: Policies) -> None:
    """The draws of one use case would depend on its place among the others."""
    both = roomy(tiny)
    alone = replace(both, use_cases={"waves": both.use_cases["waves"]})
    one, two = (run_once(RunSpec(f, policies)).deployments_frame() for f in (alone, both))
    theirs = two[two["use_case"] == "waves"]
    pd.testing.assert_frame_equal(
        one.sort_values("deployment", ignore_index=True),
        theirs.sort_values("deployment", ignore_index=True),
        check_exact=True,
    )


def test_same_specification_same_bits(tiny: Federation, policies: Policies) -> None:
    """A run would depend on something else than its specification."""
    spec = RunSpec(tiny, policies, seed=5, replicate=2)
    assert_same(run_once(spec), run_once(spec))


def test_replicates_and_seeds_differ(tiny: Federation, policies: Policies) -> None:
    """Replicates or seeds would repeat each other."""
    totals = {
        float(run_once(RunSpec(tiny, policies, seed, replicate)).usage.quantity.sum())
        for seed in (0, 1)
        for replicate in (0, 1)
    }
    assert len(totals) == 4


@pytest.mark.slow
def test_serial_and_parallel_give_the_same_bits(tiny: Federation, policies: Policies) -> None:
    """Results would depend on the process that computed them, or come out of order."""
    specs = [RunSpec(tiny, policies, 1, k) for k in range(4)]
    reduce = methodcaller("deployments_frame")
    serial, parallel = (list(run_many(specs, reduce, jobs=jobs)) for jobs in (1, 2))
    for k, (one, two) in enumerate(zip(serial, parallel, strict=True)):
        assert set(one["replicate"]) == {k}
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    usage = methodcaller("usage_frame")
    for one, two in zip(
        run_many(specs, usage), run_many(specs, usage, jobs=2, batch=2), strict=True
    ):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


@pytest.mark.parametrize(
    "inert",
    [GpuQuota(10**6, date(2024, 1, 1)), GpuQuota(1, date(2025, 1, 1))],
    ids=["large", "after the horizon"],
)
def test_inert_quota_changes_no_bit(tiny: Federation, policies: Policies, inert: GpuQuota) -> None:
    """A policy that never acts would change the world."""
    without = run_once(RunSpec(tiny, _without_quota(policies)))
    assert_same(without, run_once(RunSpec(tiny, replace(policies, admission=inert))))


def test_binding_quota_changes_the_outcome_but_not_the_world(
    tiny: Federation, policies: Policies
) -> None:
    """Two policies would not face the same requests, or a binding one do nothing."""
    tight = with_value(tiny, "demand.forget_frac", 1.0)
    open_, shut = (
        run_once(RunSpec(tight, replace(policies, admission=a)))
        for a in (OpenAdmission(), GpuQuota(1, date(2024, 1, 1)))
    )
    for name in vars(open_.plan.requests):
        assert np.array_equal(getattr(open_.plan.requests, name), getattr(shut.plan.requests, name))
    assert open_.plan.outages == shut.plan.outages
    assert open_.logs.deployments != shut.logs.deployments


@pytest.mark.parametrize(
    "changes",
    [
        {"idle_h": 1e5, "warning_h": 0.0},
        {"exempt_frac": 1.0},
        {"missed_frac": 1.0, "mistaken_frac": 0.0},
        {"keeps_frac": 1.0, "releases_frac": 0.0},
        {"grace_h": 1e5},
        {"from_day": date(2025, 1, 1)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_inert_auto_release_changes_no_bit(
    tiny: Federation, policies: Policies, changes: dict[str, Any]
) -> None:
    """A rule that never acts would change the world, or draw from the streams of others."""
    without = run_once(RunSpec(tiny, policies))
    inert = replace(policies, idle=replace(STRICT, **changes))
    assert_same(without, run_once(RunSpec(tiny, inert)))


@pytest.mark.parametrize("law", ["saturating", "deployed"])
@pytest.mark.parametrize(
    "inert",
    [
        {"nodes": replace(SCALED, from_day=date(2025, 1, 1))},
        {"nodes": replace(SCALED, idle_h=1e5)},
        {"nodes": GiveBack(400.0, 72.0, False, date(2023, 1, 1))},
        {"serving": replace(WARM, from_day=date(2025, 1, 1))},
        {"serving": TunedServing(None, None, None, None, False, date(2024, 1, 1))},
        {"serving": TunedServing(None, 3, 5.0, 1, False, date(2024, 1, 1))},
    ],
    ids=["after the horizon", "too long", "not given back", "too late", "none", "as configured"],
)
def test_inert_nodes_and_serving_change_no_bit(
    tiny: Federation, policies: Policies, inert: dict[str, Any], law: str
) -> None:
    """A rule that never acts would change the world, or be played in other windows."""
    tiny = with_value(tiny, "growth.law", law)
    without = run_once(RunSpec(tiny, policies))
    assert_same(without, run_once(RunSpec(tiny, replace(policies, **inert))))


def test_serving_policy_changes_how_but_not_what(tiny: Federation, policies: Policies) -> None:
    """A serving policy would change who calls, or what a call computes, or deployments."""
    busy = with_value(tiny, "applications.classifier.max_scale", None)
    rules = (replace(policies, serving=s) for s in (AsConfigured(), replace(WARM, max_scale=None)))
    one, two = (run_once(RunSpec(busy, rule)) for rule in rules)
    pd.testing.assert_frame_equal(
        one.deployments_frame(), two.deployments_frame(), check_exact=True
    )
    both = one.serving_frame(), two.serving_frame()
    assert both[0]["invocations"].sum() == both[1]["invocations"].sum() > 1000
    assert both[0]["busy_s"].sum() == pytest.approx(both[1]["busy_s"].sum(), rel=0.05)
    before = both[0]["month"] < 6
    pd.testing.assert_frame_equal(both[0][before], both[1][before], check_exact=True)
    assert both[1]["cold"][~before].sum() < both[0]["cold"][~before].sum()


@pytest.mark.parametrize(
    "inert",
    [
        {"sharing": replace(QUARTERS, share_frac=0.0)},
        {"sharing": replace(QUARTERS, phases=("onboarded",))},
        {"sharing": replace(QUARTERS, from_day=date(2025, 1, 1))},
        {"education": replace(RAMP, prompt_frac=0.5)},  # less than in the tiny federation
        {"education": PromptnessRamp(1.0, date(2025, 1, 1), date(2025, 2, 1))},
    ],
    ids=["share_frac", "phases", "from_day", "prompt_frac", "begins"],
)
def test_inert_sharing_or_education_changes_no_bit(
    tiny: Federation, policies: Policies, inert: dict[str, Any]
) -> None:
    """A policy that never acts would change the world, or users unlearn what they can."""
    without = run_once(RunSpec(tiny, policies))
    assert_same(without, run_once(RunSpec(tiny, replace(policies, **inert))))
    acts = {"sharing": QUARTERS, "education": RAMP}
    other = run_once(RunSpec(tiny, replace(policies, **{k: acts[k] for k in inert})))
    assert other.logs != without.logs


@pytest.mark.parametrize(
    "changes",
    [
        {"warning_h": 0.0, "releases_frac": 0.1},
        {"warning_h": 0.0, "keeps_frac": 0.7},
    ],
    ids=lambda changes: list(changes)[-1],
)
def test_reactions_without_a_warning_change_no_bit(
    tiny: Federation, policies: Policies, changes: dict[str, Any]
) -> None:
    """Users would react to a warning that nobody gave."""
    silent = replace(STRICT, warning_h=0.0)
    one, two = (
        run_once(RunSpec(tiny, replace(policies, idle=idle)))
        for idle in (silent, replace(silent, **changes))
    )
    assert_same(one, two)


def test_auto_release_on_static_nodes_leaves_what_is_provisioned(
    tiny: Federation, policies: Policies
) -> None:
    """GPUs that are released would be taken for nodes that are shut down."""
    static = with_value(tiny, "growth.law", "saturating")
    never, strict = (
        run_once(RunSpec(static, replace(policies, idle=idle))) for idle in (NeverRelease(), STRICT)
    )
    for resource in ("gpu", "cpu"):
        one, two = (r.usage.monthly(resource, "provisioned") for r in (never, strict))
        assert np.array_equal(one, two)
    assert never.logs.nodes == strict.logs.nodes
    assert strict.usage.monthly("gpu", "allocated").sum() < never.usage.monthly(
        "gpu", "allocated"
    ).sum()


@pytest.mark.parametrize(
    "others", [{}, {"idle": STRICT, "nodes": SCALED, "serving": WARM}], ids=["none", "some"]
)
def test_specification_and_result_survive_pickling(
    tiny: Federation, policies: Policies, others: dict[str, Any]
) -> None:
    """Runs could not be sent to other processes, or come back changed."""
    spec = RunSpec(tiny, replace(policies, **others), 1, 1)
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    result = run_once(spec)
    assert_same(pickle.loads(pickle.dumps(result)), result)
    assert_same(run_once(copy), result)


def test_run_leaves_its_specification_as_it_was(tiny: Federation, policies: Policies) -> None:
    """A run would change the federation it was given."""
    before = pickle.dumps(tiny)
    run_once(RunSpec(tiny, policies))
    assert pickle.loads(before) == tiny


def test_a_plan_is_played_as_often_as_one_likes(tiny, policies) -> None:
    """Policies compared on one plan would leave traces in it, or see another world than alone."""
    plan = draw_plan(tiny, 3, 1)
    strict = replace(policies, idle=STRICT)
    for chosen in (strict, policies, strict):
        spec = RunSpec(tiny, chosen, 3, 1)
        assert_same(run_on(plan, spec), run_once(spec))


def test_clusters_are_taken_over_from_a_run_that_differs_in_other_policies(tiny, policies) -> None:
    """What another run's clusters did would not be what this one's would have done."""
    plan = draw_plan(tiny, 3, 1)
    other = run_on(plan, RunSpec(tiny, policies, 3, 1))
    spec = RunSpec(tiny, replace(policies, idle=STRICT), 3, 1)
    short, whole = run_on(plan, spec, other.logs), run_on(plan, spec)
    assert short.logs.events < whole.logs.events
    short.logs.events = whole.logs.events
    assert_same(short, whole)
