"""Which way storage policies must move things, whatever the tiny federation keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.engine.play import play
from sim.engine.storage import StorageLog, storage_log
from sim.entities import Federation
from sim.ledger import Usage, usage_of
from sim.paths import with_value
from sim.plan.world import draw_plan
from sim.policies.base import StoragePolicy
from sim.policies.keep_files import KeepFiles
from sim.policies.plain import PLAIN
from sim.policies.retire_files import RetireFiles
from sim.policies.storage_quota import StorageQuota
from tests import configured

FEW = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
TINY = configured.federation("tiny")
BEHAVIOUR = {
    "demand.checkpoint_gb": st.floats(0.0, 20.0),
    "files.dataset_tb": st.floats(0.1, 5.0),
    "files.images_gb_per_month": st.floats(1.0, 100.0),
    "files.catch_up_months": st.floats(0.1, 6.0),
    "stores.data.capacity_tb": st.one_of(st.none(), st.floats(0.2, 3.0)),
    "stores.data.copy_kept_days": st.floats(0.0, 90.0),
    "stores.data-new.fill_frac": st.floats(0.3, 1.0),
    "stores.registry.step_tb": st.floats(0.01, 0.3),
}
DAYS = st.sampled_from([date(2024, 1, 1), date(2024, 4, 10), date(2024, 8, 1)])
RETIRE = st.builds(
    RetireFiles, st.floats(1.0, 200.0), st.floats(0.0, 0.9), st.booleans(), st.booleans(), DAYS
)
QUOTA = st.builds(StorageQuota, st.floats(0.0, 3.0), DAYS)


@st.composite
def worlds(draw: st.DrawFn) -> Federation:
    """Draw what is kept in the tiny federation, and how."""
    federation = TINY
    for path, strategy in BEHAVIOUR.items():
        federation = with_value(federation, path, draw(strategy, label=path))
    return federation


def _usages(federation: Federation, *policies: StoragePolicy) -> list[Usage]:
    """Return the usage of one plan under each policy."""
    plan = draw_plan(federation, 4)
    logs = play(federation, plan, PLAIN)
    return [usage_of(federation, plan, logs, policy) for policy in policies]


def _no_more(less: Usage, more: Usage) -> None:
    """Hold that a usage keeps no more than another of any use case, and has no larger volumes."""
    kept = [u.quantity[:, :, :, 2, 1].sum(axis=-1) for u in (less, more)]
    volumes = [u.monthly("storage", "provisioned") for u in (less, more)]
    for one, other in (kept, volumes):
        assert (one <= other + 1e-9).all()


@FEW
@given(worlds(), st.one_of(RETIRE, QUOTA))
def test_no_policy_keeps_more_and_volumes_hold_what_is_kept(
    federation: Federation, policy: StoragePolicy
) -> None:
    """A policy would add bytes to a site, or cut a volume below what is in it."""
    keep, other = _usages(federation, KeepFiles(), policy)
    _no_more(other, keep)
    assert other.files.brought_tb == keep.files.brought_tb
    allocated, provisioned = (other.monthly("storage", x) for x in ("allocated", "provisioned"))
    assert (allocated <= provisioned + 1e-9).all()
    assert other.quantity[..., :2, :, :].tobytes() == keep.quantity[..., :2, :, :].tobytes()


@FEW
@given(worlds(), RETIRE, st.floats(1.0, 5.0), st.floats(0.0, 1.0))
def test_laxer_retirement_never_keeps_less(
    federation: Federation, policy: RetireFiles, factor: float, share: float
) -> None:
    """Files that may become older, or are needed more often, would take less room."""
    older = replace(policy, after_days=policy.after_days * factor)
    needed = replace(older, needed_frac=policy.needed_frac + share * (1.0 - policy.needed_frac))
    strict, lax, laxer = _usages(federation, policy, older, needed)
    _no_more(strict, lax)
    _no_more(lax, laxer)
    assert strict.files.retired_tb >= lax.files.retired_tb >= laxer.files.retired_tb


@FEW
@given(worlds(), QUOTA, st.floats(1.0, 5.0))
def test_larger_quota_never_refuses_more(
    federation: Federation, policy: StorageQuota, factor: float
) -> None:
    """A larger quota would refuse more of a use case, or cut volumes."""
    larger = replace(policy, tb_per_use_case=policy.tb_per_use_case * factor)
    tight, lax = (u.files.refused_tb for u in _usages(federation, policy, larger))
    assert tight >= lax - 1e-9


def _at_the_end(log: StorageLog, horizon_h: float) -> float:
    return float(log.amount_tb[~log.volume & (log.end_h == horizon_h)].sum())


@FEW
@given(worlds(), st.one_of(RETIRE, QUOTA))
def test_files_are_kept_refused_or_retired(federation: Federation, policy: StoragePolicy) -> None:
    """A file would vanish without being counted, or be counted and stay."""
    store = federation.stores["data-new"]
    stores = {**federation.stores, "data-new": replace(store, opened=date(2024, 1, 1))}
    federation = replace(federation, stores={k: v for k, v in stores.items() if k != "data"})
    plan = draw_plan(federation, 4)
    log = storage_log(federation, plan, play(federation, plan, PLAIN), policy)
    brought, refused, retired = log.fate
    there = _at_the_end(log, federation.calendar.horizon_h)
    np.testing.assert_allclose(there, brought - refused - retired, rtol=1e-9)
