"""Storage policies beside each other: what they must not touch, and when they must do nothing."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from sim.entities import Federation
from sim.paths import with_value
from sim.policies.base import Policies, StoragePolicy
from sim.policies.keep_files import KeepFiles
from sim.policies.retire_files import RetireFiles
from sim.policies.storage_quota import StorageQuota
from sim.runner import RunResult, RunSpec, run_once

DAY, AFTER = date(2024, 4, 1), date(2025, 1, 1)
RETIRE = RetireFiles(30.0, 0.4, registry=True, shrinks=True, from_day=DAY)
QUOTA = StorageQuota(0.5, DAY)


def _played(federation: Federation, policies: Policies, storage: StoragePolicy) -> RunResult:
    return run_once(RunSpec(federation, replace(policies, storage=storage), 3))


@pytest.mark.parametrize(
    "inert",
    [
        replace(RETIRE, after_days=400.0),
        replace(RETIRE, needed_frac=1.0),
        replace(RETIRE, from_day=AFTER),
        StorageQuota(1e6, DAY),
        replace(QUOTA, from_day=AFTER),
    ],
    ids=["very old", "all needed", "retire after the horizon", "huge", "quota after the horizon"],
)
@pytest.mark.parametrize("name", ["tiny", "imagine"])
def test_inert_storage_policy_changes_no_bit(
    name: str, inert: StoragePolicy, request: pytest.FixtureRequest, policies: Policies
) -> None:
    """A policy that never acts would change the world, or come out of other sums."""
    federation = request.getfixturevalue(name)
    if name == "imagine":  # 36 months from 2022-09-01
        days = {"after_days": 1100.0} if getattr(inert, "after_days", 0.0) > 365.0 else {}
        late = {"from_day": date(2025, 9, 1)} if inert.from_day == AFTER else {}
        inert = replace(inert, **days, **late)
    keep, other = (_played(federation, policies, s) for s in (KeepFiles(), inert))
    assert np.array_equal(keep.usage.quantity, other.usage.quantity)
    assert keep.summary() == other.summary()


@pytest.mark.parametrize("storage", [RETIRE, QUOTA], ids=["retire", "quota"])
def test_storage_policy_touches_nothing_but_storage(
    tiny: Federation, policies: Policies, storage: StoragePolicy
) -> None:
    """Deleting files would move a GPU or CPU hour, an event, or the past."""
    keep, other = (_played(tiny, policies, s) for s in (KeepFiles(), storage))
    assert keep.logs == other.logs
    for resource, same in (("gpu", True), ("cpu", True), ("storage", False)):
        for ledger in ("provisioned", "allocated", "active")[: 3 if same else 2]:
            one, two = (r.usage.monthly(resource, ledger) for r in (keep, other))
            assert np.array_equal(one, two) is same
            assert np.array_equal(one[:3], two[:3])  # before the first day
    changed = {k for k, v in keep.summary().items() if v != other.summary()[k]}
    assert changed == {"tb_month", "retired_tb" if storage is RETIRE else "refused_tb"}


def _with_a_user_more(federation: Federation) -> Federation:
    users = federation.use_cases["birds"].users
    return with_value(federation, "use_cases.birds.users", users + 1)


def test_one_user_more_leaves_the_draws_of_others_alone(
    tiny: Federation, policies: Policies
) -> None:
    """Whether a file is needed would depend on who else there is."""
    found = []
    for federation in (tiny, _with_a_user_more(tiny)):
        result = _played(federation, policies, KeepFiles())
        requests, draws = result.plan.requests, result.plan.keeping()
        names = [result.plan.users[u].name for u in requests.user.tolist()]
        of_requests = zip(names, requests.number.tolist(), strict=True)
        found.append((draws, dict(zip(of_requests, draws.requests.tolist(), strict=True))))
    (alone, few), (together, more) = found
    assert len(more) > len(few) > 100
    assert few.items() <= more.items()
    assert len(set(few.values())) == len(few)
    for kind in ("uploads", "images", "answers"):
        one, two = getattr(alone, kind), getattr(together, kind)
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("storage", [RETIRE, QUOTA], ids=["retire", "quota"])
def test_one_user_more_leaves_the_files_of_others_alone(
    tiny: Federation, policies: Policies, storage: StoragePolicy
) -> None:
    """A use case would keep other files because another has a user more."""
    roomy = with_value(tiny, "stores.data.capacity_tb", None)
    for name in roomy.pools:
        roomy = with_value(roomy, f"pools.{name}.nodes_first", 60)
        roomy = with_value(roomy, f"pools.{name}.nodes_top", 60.0)
    usages = [_played(f, policies, storage).usage for f in (roomy, _with_a_user_more(roomy))]
    waves = usages[0].use_cases.index("waves")
    alone, together = (u.quantity[:, :, waves, 2] for u in usages)
    assert alone.sum() > 0.0
    assert np.array_equal(alone, together)


def test_result_under_a_storage_policy_survives_pickling(
    tiny: Federation, policies: Policies
) -> None:
    """Runs with such a policy could not be sent to other processes."""
    result = _played(tiny, policies, RETIRE)
    copy = pickle.loads(pickle.dumps(result))
    assert copy.summary() == result.summary()
    assert np.array_equal(run_once(copy.spec).usage.quantity, result.usage.quantity)
