"""What holds in every world: Hypothesis draws behaviour and capacity of the tiny federation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sim.applications import ApplicationKind, NodeScaling
from sim.engine.logs import Ended
from sim.entities import Federation
from sim.ledger import DEPLOYMENT, active_bursts, integrate
from sim.paths import with_value
from sim.policies.anti_affinity import AntiAffinity
from sim.policies.as_configured import AsConfigured
from sim.policies.auto_release import AutoRelease
from sim.policies.batch_mode import BatchMode
from sim.policies.first_fit import FirstFit
from sim.policies.give_back import GiveBack
from sim.policies.gpu_fractions import GpuFractions
from sim.policies.gpu_quota import GpuQuota
from sim.policies.home_with_failover import HomeWithFailover
from sim.policies.least_loaded import LeastLoaded
from sim.policies.maximum_lifetime import MaximumLifetime
from sim.policies.never_release import NeverRelease
from sim.policies.no_education import NoEducation
from sim.policies.open_admission import OpenAdmission
from sim.policies.plain import PLAIN
from sim.policies.promptness_ramp import PromptnessRamp
from sim.policies.scale_down import ScaleDown
from sim.policies.static_nodes import StaticNodes
from sim.policies.tuned_serving import TunedServing
from sim.policies.whole_gpus import WholeGpus
from sim.runner import RunResult, RunSpec, run_once
from sim.ticks import NEVER
from sim.units import GRID_PER_H
from tests import configured

TINY = configured.federation("tiny")
QUOTA_SINCE = date(2024, 5, 1)
FEW = settings(
    max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

BEHAVIOUR: dict[str, st.SearchStrategy[Any]] = {
    "demand.requests_per_user_week": st.floats(0.0, 6.0),
    "demand.bursts_mean": st.floats(1.0, 12.0),
    "demand.burst_h": st.floats(0.1, 3.0),
    "demand.gap_h": st.floats(0.1, 5.0),
    "demand.forget_frac": st.floats(0.0, 1.0),
    "demand.hold_h": st.floats(1.0, 200.0),
    "demand.reuse_frac": st.floats(0.0, 1.0),
    "demand.patience_h": st.floats(0.5, 300.0),
    "demand.restart_delay_h": st.floats(0.0, 24.0),
    "demand.prompt_delay_h": st.floats(0.0, 3.0),
    "demand.gpus": st.sampled_from([{1: 1.0}, {1: 1.0, 2: 1.0}, {1: 2.0, 2: 1.0, 4: 1.0}]),
    "demand.checkpoint_gb": st.floats(0.0, 5.0),
    "files.dataset_tb": st.floats(0.0, 5.0),
    "pools.north-gpu.nodes_first": st.integers(0, 3),
    "pools.north-gpu.nodes_top": st.floats(0.0, 4.0),
    "pools.north-gpu.outages_per_year": st.floats(0.0, 60.0),
    "pools.north-gpu.outage_mean_h": st.floats(0.0, 100.0),
    "pools.north-gpu.left": st.sampled_from([None, date(2024, 9, 1)]),
    "pools.south-gpu.nodes_first": st.integers(0, 2),
    "growth.law": st.sampled_from(["saturating", "deployed"]),
    "growth.tau_months": st.floats(0.5, 20.0),
    "growth.headroom": st.floats(1.0, 2.0),
    "applications.classifier.kind": st.sampled_from(list(ApplicationKind)),
    "applications.classifier.traffic.per_month": st.floats(0.0, 600.0),
    "applications.classifier.traffic.bursts.size_mean": st.floats(1.0, 20.0),
    "applications.classifier.keep_alive.idle_window_s": st.floats(0.0, 3600.0),
    "applications.classifier.max_scale": st.one_of(st.none(), st.integers(1, 5)),
    "applications.classifier.timeout_s": st.one_of(st.none(), st.floats(1.0, 900.0)),
    "applications.classifier.queue_most": st.one_of(st.none(), st.integers(0, 3)),
    "applications.classifier.retries.failing_frac": st.floats(0.0, 1.0),
    "clusters.south-cluster.scaling": st.one_of(st.none(), st.just(NodeScaling())),
    "applications.classifier.cores": st.integers(1, 4),
}


@st.composite
def federations(draw: st.DrawFn) -> Federation:
    """Draw a federation: the tiny one with some parameters changed."""
    federation = TINY
    for path, strategy in BEHAVIOUR.items():
        federation = with_value(federation, path, draw(strategy, label=path))
    return federation


QUOTAS = st.builds(GpuQuota, st.integers(1, 4), st.just(QUOTA_SINCE))
WITHIN = st.one_of(st.none(), QUOTAS)
ADMISSIONS = st.one_of(
    st.just(OpenAdmission()),
    QUOTAS,
    st.builds(
        MaximumLifetime, st.floats(1.0, 100.0), st.floats(0.0, 0.9), st.booleans(),
        st.just(QUOTA_SINCE), WITHIN,
    ),
    st.builds(
        BatchMode, st.floats(0.0, 1.0), st.just(()), st.floats(0.0, 2.0), st.floats(0.0, 2.0),
        st.just(QUOTA_SINCE), WITHIN,
    ),
)  # fmt: skip
PLACEMENTS = st.sampled_from([FirstFit(), LeastLoaded(), HomeWithFailover(), AntiAffinity()])
HOURS, SHARES = st.floats(0.0, 4.0), st.floats(0.0, 0.5)
IDLE = st.one_of(
    st.just(NeverRelease()),
    st.builds(
        AutoRelease, st.floats(4.5, 40.0), HOURS, HOURS, SHARES, SHARES,
        st.floats(0.0, 1.0), SHARES, SHARES, SHARES, st.integers(1, 3), HOURS, st.just(QUOTA_SINCE),
    ),
)  # fmt: skip
BOOT_H = 30.0  # the longest boot
NODES = st.one_of(
    st.just(StaticNodes()),
    st.builds(
        ScaleDown, st.floats(0.0, 40.0), st.floats(0.0, BOOT_H), st.booleans(), st.just(True),
        st.just(QUOTA_SINCE),
    ),
    st.builds(
        GiveBack, st.floats(1.0, 9.0), st.floats(0.0, BOOT_H), st.booleans(), st.just(QUOTA_SINCE)
    ),
)  # fmt: skip
NUMBERS = st.one_of(st.none(), st.integers(1, 3))
SERVING = st.one_of(
    st.just(AsConfigured()),
    st.builds(
        TunedServing, NUMBERS, st.none(), st.one_of(st.none(), st.floats(0.0, 900.0)), NUMBERS,
        st.booleans(), st.just(QUOTA_SINCE),
    ),
)  # fmt: skip
SHARING = st.one_of(
    st.just(WholeGpus()),
    st.builds(
        GpuFractions, st.sampled_from([2, 8, 64]), st.floats(0.0, 1.0), st.just(()),
        st.floats(1.0, 3.0), st.just(QUOTA_SINCE),
    ),
)  # fmt: skip
EDUCATION = st.one_of(
    st.just(NoEducation()),
    st.builds(PromptnessRamp, st.floats(0.0, 1.0), st.just(QUOTA_SINCE), st.just(date(2024, 6, 1))),
)
POLICIES = st.builds(
    replace, st.just(PLAIN), admission=ADMISSIONS, placement=PLACEMENTS, idle=IDLE, nodes=NODES,
    serving=SERVING, sharing=SHARING, education=EDUCATION,
)  # fmt: skip
RUNS = st.builds(RunSpec, federations(), POLICIES, st.integers(0, 9))


def _hours(
    result: RunResult, rows: Iterable[tuple[str, float, float, float]], owners: list[str]
) -> np.ndarray:
    """Integrate (owner, start, end, quantity) by owner and month."""
    table = list(rows)
    start, end, quantity = (np.array([r[k] for r in table], dtype=float) for k in (1, 2, 3))
    key = np.array([owners.index(r[0]) for r in table], dtype=np.int64)
    edges = result.spec.federation.calendar.month_edges_h
    return integrate(start, end, quantity, edges, key, len(owners))


def _ledgers_of_pools(result: RunResult, gpus: bool) -> tuple[np.ndarray, ...]:
    """Return provisioned, allocated and active hours by pool and month, from the logs."""
    pools, log = result.spec.federation.pools, result.logs.deployments
    names = list(pools)
    size = {n: p.gpus_per_node if gpus else p.cores_per_node for n, p in pools.items()}
    held = [d.gpus if gpus else d.cores for d in log]
    nodes = [(h.owner, h.start_h, h.end_h, h.quantity * size[h.owner]) for h in result.logs.nodes]
    took = [(d.pool, d.started_h, d.released_h, q) for d, q in zip(log, held, strict=True)]
    owner, start, end = active_bursts(result.plan, result.logs)
    bursts = [
        (log[i].pool, a, b, held[i])
        for i, a, b in zip(owner.tolist(), start.tolist(), end.tolist(), strict=True)
    ]
    return tuple(_hours(result, rows, names) for rows in (nodes, took, bursts))


@FEW
@given(RUNS)
def test_provisioned_allocated_active(spec: RunSpec) -> None:
    """A pool or site would hold more than it has, or compute on more than it holds."""
    result = run_once(spec)
    for gpus in (True, False):
        provisioned, allocated, active = _ledgers_of_pools(result, gpus)
        assert (provisioned >= allocated).all()
        assert (allocated >= active).all()
        assert (active >= 0.0).all()
    for resource in ("gpu", "cpu", "storage"):
        top, middle = (result.usage.monthly(resource, x) for x in ("provisioned", "allocated"))
        assert (top >= middle * (1.0 - 1e-12)).all(), resource
        assert (middle >= result.usage.monthly(resource, "active")).all(), resource


@FEW
@given(RUNS)
def test_no_node_is_ever_overbooked(spec: RunSpec) -> None:
    """At some instant a node would hold more GPUs, cores or memory than it has."""
    result = run_once(spec)
    for name, pool in spec.federation.pools.items():
        log = [d for d in result.logs.deployments if d.pool == name]
        sizes = (pool.gpus_per_node, pool.cores_per_node, pool.ram_gb_per_node)
        asked = [(d.gpus, d.cores, d.ram_gb) for d in log]
        for k, size in enumerate(sizes):
            changes = [(d.node, d.released_h, -a[k]) for d, a in zip(log, asked, strict=True)]
            changes += [(d.node, d.started_h, a[k]) for d, a in zip(log, asked, strict=True)]
            held: Counter[int] = Counter()
            for node, _, change in sorted(changes):  # at one instant: releases first
                held[node] += change
                assert 0 <= held[node] <= size
            assert not any(held.values())


@FEW
@given(RUNS)
def test_nobody_holds_a_node_that_is_not_there(spec: RunSpec) -> None:
    """A deployment would run on a pool that has not joined, is out or has left."""
    result = run_once(spec)
    calendar = spec.federation.calendar
    for deployment in result.logs.deployments:
        pool = spec.federation.pools[deployment.pool]
        assert deployment.started_h >= calendar.hours_at(pool.joined)
        if pool.left is not None:
            assert deployment.released_h <= calendar.hours_at(pool.left)
        for outage in result.plan.outages[deployment.pool]:
            assert deployment.released_h <= outage.start_h or deployment.started_h >= outage.end_h


@FEW
@given(RUNS)
def test_every_deployment_ends_once(spec: RunSpec) -> None:
    """A deployment would never end, end twice, or end before its work without a reason."""
    result = run_once(spec)
    horizon = spec.federation.calendar.horizon_h
    names = Counter(d.name for d in result.logs.deployments)
    names.update(w.name for w in result.logs.withdrawn)
    assert not [name for name, count in names.items() if count > 1]
    for d in result.logs.deployments:
        assert d.requested_h <= d.started_h <= d.released_h <= horizon
        assert (d.released_h == horizon) == (d.ended is Ended.HORIZON)
        if d.ended is not Ended.HORIZON:
            assert d.last_active_h <= d.released_h
        for before, after in zip(d.segments, d.segments[1:], strict=False):
            assert before.end_h <= after.start_h
        setup_h = d.segments[0].start_h - d.started_h
        assert setup_h == 0.0 or (0.0 < setup_h <= 4.0 and not d.name.endswith(".0"))


@FEW
@given(RUNS)
def test_hours_are_conserved(spec: RunSpec) -> None:
    """Hours would be lost or made between logs, ledgers and tables."""
    result = run_once(spec)
    log, frame = result.logs.deployments, result.usage_frame()
    quantity = result.usage.quantity
    owner, start, end = active_bursts(result.plan, result.logs)
    end = np.minimum(end, spec.federation.calendar.horizon_h)
    start = np.minimum(start, end)
    for index, (resource, held) in enumerate((("gpu", "gpus"), ("cpu", "cores"))):
        size = np.array([getattr(d, held) for d in log], dtype=float)
        allocated = sum(n * (d.released_h - d.started_h) for n, d in zip(size, log, strict=True))
        active = float((size[owner] * (end - start)).sum())
        assert quantity[..., index, 1, 1].sum() == allocated
        assert quantity[..., index, 2, 1].sum() == active
        rows = frame[(frame["resource"] == resource)]
        mine = rows[rows["installation"] == spec.federation.development_service]
        by_ledger = mine.groupby("ledger")["quantity"].sum()
        assert by_ledger.get("allocated", 0.0) == allocated
        assert by_ledger.get("active", 0.0) == active
        assert rows["quantity"].sum() == pytest.approx(quantity[..., index, :, :].sum(), rel=1e-12)
    table = result.deployments_frame()
    assert (table["gpus"] * table["active_h"]).sum() == quantity[..., 0, 2, 1].sum()


@FEW
@given(RUNS)
def test_quota_binds_after_its_date(spec: RunSpec) -> None:
    """A user would get a GPU that takes him above the quota."""
    quota = getattr(spec.policies.admission, "quota", spec.policies.admission)
    if not isinstance(quota, GpuQuota):
        return
    since_h = spec.federation.calendar.hours_at(quota.since)
    log = run_once(spec).logs.deployments
    table = pd.DataFrame(
        {"user": d.user, "start": d.started_h, "end": d.released_h, "gpus": d.gpus} for d in log
    )
    for d in log:
        if d.gpus and d.started_h >= since_h:
            there = table[
                (table["user"] == d.user)
                & (table["start"] <= d.started_h)
                & (table["end"] > d.started_h)
            ]
            assert there["gpus"].sum() <= quota.gpus_per_user


@FEW
@given(RUNS)
def test_requests_are_accounted_for(spec: RunSpec) -> None:
    """A request would vanish: neither served, nor re-using, nor withdrawn, nor still waiting."""
    result = run_once(spec)
    horizon, requests = spec.federation.calendar.horizon_h, result.plan.requests
    boot_h = 0.0 if isinstance(spec.policies.nodes, StaticNodes) else BOOT_H
    played = {s.request for d in result.logs.deployments for s in d.segments}
    withdrawn = {w.name.rsplit(".", 1)[0] for w in result.logs.withdrawn}
    users = [u.name for u in result.plan.users]
    for index in set(range(len(requests))) - played:
        name = f"{users[requests.user[index]]}#{requests.number[index]}"
        gives_up_h = requests.arrival_h[index] + requests.patience_h[index]
        if name in withdrawn:
            assert gives_up_h < horizon
        else:  # waits at the horizon, for room or for a node that boots
            assert gives_up_h >= horizon - boot_h


@FEW
@given(RUNS)
def test_times_lie_on_the_grid(spec: RunSpec) -> None:
    """Sums of times would depend on their order."""
    logs = run_once(spec).logs
    times = [t for d in logs.deployments for t in (d.requested_h, d.started_h, d.released_h)]
    times += [t for d in logs.deployments for s in d.segments for t in (s.start_h, s.end_h)]
    times += [t for h in (*logs.nodes, *logs.services) for t in (h.start_h, h.end_h)]
    times += [w.withdrawn_h for w in logs.withdrawn] + [d.lost_h for d in logs.deployments]
    points = np.array(times) * GRID_PER_H
    assert np.array_equal(points, np.rint(points))


@FEW
@given(RUNS)
def test_serving_is_provisioned_allocated_active(spec: RunSpec) -> None:
    """Replicas would hold more than their cluster has, or compute more than they are there."""
    result = run_once(spec)
    federation, table = spec.federation, result.serving_frame()
    application, cluster = (
        federation.applications["classifier"],
        federation.clusters["south-cluster"],
    )
    for row in table.to_dict("records"):
        assert row["busy_s"] >= 0.0
        assert row["busy_s"] <= row["replica_s"]
        assert row["replica_s"] * row["cores"] <= (
            row["cluster_node_h"] * 3600.0 * cluster.cores_per_node
        )
        month_s = federation.calendar.month_length_h[row["month"] - 1] * 3600.0
        most = application.max_scale or (10 if application.kind is ApplicationKind.EXPOSED else 99)
        assert row["replica_s"] <= month_s * most
        assert row["cold"] <= row["invocations"]
    quantity = result.usage.of_service(DEPLOYMENT, "allocated").sum()
    assert quantity == pytest.approx((table["replica_s"] * table["cores"]).sum() / 3600.0)


@FEW
@given(RUNS)
def test_every_request_to_an_application_has_one_end(spec: RunSpec) -> None:
    """A request would vanish: neither answered nor given up, turned away, failed or still there."""
    result = run_once(spec)
    for key, hosted in result.plan.hosted.items():
        came = len(hosted.requests().until(NEVER).arrival)
        months = [s for s in result.logs.served if s.hosted == key]
        ended = sum(sum(s.outcomes) for s in months)
        assert ended + result.logs.unserved[key] == came
