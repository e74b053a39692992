"""Replicas of applications against logs worked out by hand; times in seconds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.engine.logs import Logs
from sim.entities import Application, ApplicationKind
from sim.ledger import DEPLOYMENT, usage_of
from sim.plan.invocations import Invocations
from sim.units import SECONDS_PER_H
from tests.worlds_by_hand import application, calls, federation, plan, played

UNIT_S = 225.0  # 1/16 h: exact on the grid of times
HORIZON_S = 1440 * SECONDS_PER_H


def _units(values: list[float]) -> list[float]:
    return [v / UNIT_S for v in values]


def _served(logs: Logs) -> list[tuple[float, float, bool]]:
    """Return (start, end) of computing in units, and whether it was a cold start."""
    return [
        (*_units([s.start_h * SECONDS_PER_H, s.end_h * SECONDS_PER_H]), s.cold) for s in logs.served
    ]


def _replicas(logs: Logs) -> list[tuple[float, float]]:
    """Return start and end of replicas in units, as they were logged."""
    return [
        (r.start_h * SECONDS_PER_H / UNIT_S, r.end_h * SECONDS_PER_H / UNIT_S)
        for r in logs.replicas
    ]


def _calls(*units: tuple[float, float]) -> Invocations:
    """Return invocations (arrival, service time) in units, whose cold start takes one unit."""
    return calls([(a * UNIT_S, s * UNIT_S) for a, s in units], cold_s=UNIT_S)


def _app(**changes: object) -> Application:
    """Return an application whose idle window is 4 units."""
    return application(**{"idle_window_s": 4 * UNIT_S, **changes})


def _logs(app: Application, *units: tuple[float, float], cores: int = 8) -> Logs:
    return played(federation(app=app, cluster_cores=cores), invocations=_calls(*units))


def test_cold_start_then_warm_then_gone() -> None:
    """The first call would not pay the cold start, the second would, or the replica stay on."""
    logs = _logs(_app(), (10, 2), (15, 3))
    assert _served(logs) == [(11, 13, True), (15, 18, False)]
    assert _replicas(logs) == [(10, 22)]


def test_idle_replica_goes_after_its_window() -> None:
    """A replica would outlive its idle window, or a call after it would find it warm."""
    logs = _logs(_app(), (10, 2), (18, 1))
    assert _served(logs) == [(11, 13, True), (19, 20, True)]
    assert _replicas(logs) == [(10, 17), (18, 24)]


def test_call_at_the_end_of_the_window_comes_too_late() -> None:
    """At one instant a replica would both go and take a call."""
    logs = _logs(_app(), (10, 2), (17, 1))
    assert [cold for _, _, cold in _served(logs)] == [True, True]


def test_newest_idle_replica_is_taken_first() -> None:
    """The older idle replica would be kept warm instead of running out its window."""
    logs = _logs(_app(), (0, 1), (0, 3), (5, 1))
    assert _served(logs) == [(1, 2, True), (1, 4, True), (5, 6, False)]
    assert _replicas(logs) == [(0, 6), (0, 10)]


def test_calls_wait_when_all_replicas_are_busy() -> None:
    """More replicas than the maximum would start, or waiting calls lose their order."""
    logs = _logs(_app(max_replicas=1), (0, 5), (1, 2), (2, 1))
    assert _served(logs) == [(1, 6, True), (6, 8, False), (8, 9, False)]
    assert [s.arrival_h * 16 for s in logs.served] == [0, 1, 2]
    assert _replicas(logs) == [(0, 13)]


def test_async_jobs_never_idle() -> None:
    """A batch job would find its model loaded, or leave an idle replica behind."""
    app = _app(kind=ApplicationKind.ASYNC, max_replicas=1)
    logs = _logs(app, (0, 2), (1, 2), (20, 2))
    assert _served(logs) == [(1, 3, True), (4, 6, True), (21, 23, True)]
    assert _replicas(logs) == [(0, 3), (3, 6), (20, 23)]


def test_exposed_applications_keep_one_replica() -> None:
    """An exposed application would scale to zero, or keep more than one replica."""
    logs = _logs(_app(kind=ApplicationKind.EXPOSED), (2, 6), (4, 2), (40, 1))
    assert _served(logs) == [(2, 8, False), (5, 7, True), (40, 41, False)]
    horizon = HORIZON_S / UNIT_S
    assert sorted(_replicas(logs)) == [(0, 12), (4, horizon)]


def test_exposed_without_window_serves_who_waits() -> None:
    """A call would wait beside the idle replica that is kept for it."""
    app = _app(kind=ApplicationKind.EXPOSED, idle_window_s=0.0, max_replicas=1)
    logs = _logs(app, (2, 5), (3, 1))
    assert _served(logs) == [(2, 7, False), (7, 8, False)]


def test_cluster_without_cores_makes_calls_wait() -> None:
    """Replicas would start on cores that their cluster does not have."""
    logs = _logs(_app(cores=2), (0, 2), (0, 4), (1, 1), cores=4)
    assert _served(logs) == [(1, 3, True), (1, 5, True), (3, 4, False)]
    none = _logs(_app(cores=2), (0, 2), cores=1)
    assert (none.served, none.replicas, none.unserved) == ([], [], {"case": 1})


def test_replicas_at_the_horizon_are_logged_until_it() -> None:
    """What computes or idles at the horizon would be missing from the log."""
    end = HORIZON_S / UNIT_S
    logs = _logs(_app(), (end - 6, 2), (end - 1, 5))
    assert _replicas(logs) == [(end - 6, end)]
    assert _served(logs)[1] == (end - 1, end + 4, False)


def test_hours_of_replicas_and_computing_by_hand() -> None:
    """The ledgers of CPU would not count replicas as allocated and computing as active."""
    of = federation(app=_app(cores=2), cluster_cores=8)
    world = plan(of, invocations=_calls((10, 2), (15, 3)))
    logs = played(of, invocations=_calls((10, 2), (15, 3)))
    usage = usage_of(of, world, logs)
    assert usage.of_service(DEPLOYMENT, "allocated")[0].tolist() == [0.0, 2 * 12 / 16]
    assert usage.of_service(DEPLOYMENT, "active")[0].tolist() == [0.0, 2 * 5 / 16]
    assert usage.monthly("cpu", "provisioned")[:, 0].tolist() == [16 * 744.0, 16 * 696.0]


def test_cluster_grows_with_the_applications_on_it() -> None:
    """Nodes under applications would not follow the applications hosted, or follow the replicas."""
    of = federation(app=_app(), cluster_cores=4)
    cluster = replace(of.clusters["cluster"], nodes_base=0.0, nodes_per_application=2.0)
    of = replace(of, clusters={"cluster": cluster})
    later = replace(_calls((64, 1)), hosted_h=3.0)
    logs = played(of, invocations=later)
    assert [(h.start_h, h.end_h, h.quantity) for h in logs.cluster_nodes] == [(3.0, 1440.0, 8.0)]


@pytest.mark.parametrize("kind", list(ApplicationKind))
def test_cores_held_never_exceed_the_cluster(kind: ApplicationKind) -> None:
    """At some instant replicas would hold more cores than the cluster has."""
    many = [(k / 4, 3 + (k * 7) % 5) for k in range(60)]
    logs = _logs(_app(kind=kind, cores=3), *many, cores=10)
    changes = [(r.start_h, 3) for r in logs.replicas] + [(r.end_h, -3) for r in logs.replicas]
    held, most = 0, 0
    for _, change in sorted(changes):
        held += change
        most = max(most, held)
    assert 0 < most <= 10
    assert len(logs.served) == 60
